"""Canonical schemas, header mapping, cleaning: a file in, clean Arrow and rejects out."""
