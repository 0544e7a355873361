"""A result in the formats people read."""
