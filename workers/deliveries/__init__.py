"""Sending what the outbox holds: webhooks, e-mail, files."""
