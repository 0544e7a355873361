"""Tests a model of repeat buying on days it has not seen: expected against actual transactions, by x and by tenths."""

from typing import Any

import numpy as np

from analytics.stats.histories import Floats, Places

# Customers with as many repeats or more are one group.
_MOST = 7
_TENTHS = 10


def by_frequency(x: Floats, actual: Floats, expected: Floats) -> list[dict[str, Any]]:
    """Return the groups of customers with 0, 1, … and `7+` transactions after the first."""
    group = np.minimum(x, _MOST).astype(np.int64)
    names = [*(str(count) for count in range(_MOST)), f"{_MOST}+"]
    rows = _groups(group, names, actual, expected)
    return [{"x": row.pop("group"), **row} for row in rows]


def deciles(actual: Floats, expected: Floats) -> list[dict[str, Any]]:
    """Return tenths of the customers, those from whom most is expected first; ties stay in the customers' order."""
    order = np.argsort(-expected, kind="stable")
    group = np.empty(order.size, dtype=np.int64)
    group[order] = np.arange(order.size) * _TENTHS // max(order.size, 1)
    names = [str(tenth) for tenth in range(1, _TENTHS + 1)]
    return [{"decile": int(row.pop("group")), **row} for row in _groups(group, names, actual, expected)]


def _groups(group: Places, names: list[str], actual: Floats, expected: Floats) -> list[dict[str, Any]]:
    size = len(names)
    customers = np.bincount(group, minlength=size)
    sums = [np.bincount(group, weights=each, minlength=size) for each in (actual, expected, abs(expected - actual))]
    return [
        {
            "group": name,
            "customers": int(count),
            "actual": int(total),
            "expected": float(hoped),
            "actual_mean": float(total / count),
            "expected_mean": float(hoped / count),
            "mae": float(missed / count),
        }
        for name, count, total, hoped, missed in zip(names, customers, *sums, strict=True)
        if count
    ]
