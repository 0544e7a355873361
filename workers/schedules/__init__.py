"""Schedules: when they are due, what their relative dates mean, and how each slot fires exactly once."""
