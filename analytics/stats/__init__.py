"""Numerics on arrays: numpy and scipy only. Knows no tables, no currencies and no calendar."""
