"""Alerts: the figures they watch, what a run makes of them, and what they would say of a result."""
