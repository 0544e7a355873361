"""The pictures of `clv`: expected beside actual transactions, over time and by groups, and who is still a customer."""

from datetime import date, timedelta
from typing import Any

import numpy as np

from analytics import result
from analytics.reports import charts, clv_holdout
from analytics.reports.clv_summary import Told
from analytics.stats import buying
from analytics.stats.histories import Floats

_EPOCH = date(1970, 1, 1)
_POINTS = 60
_BINS = 20


def draw(told: Told) -> tuple[result.Chart, ...]:
    """Return the pictures that the data allow."""
    found = [_over_time(told)]
    expected = told.predicted.held_out
    if expected is not None:
        found += [_by_frequency(told, expected), _by_tenth(told, expected)]
    if told.fitted.dropout_seen:
        found.append(_alive(told))
    return tuple(found)


def _over_time(told: Told) -> result.Chart:
    """Count all repeat transactions since the first purchase of anybody, beside what the model expects of them."""
    observed = told.observed
    origin = int(observed.first.min())
    length = (told.span.read_to - _EPOCH).days - origin
    births = np.bincount(observed.first - origin, minlength=length)[:length]
    each = np.append(0.0, buying.from_birth(told.fitted.model, np.arange(1.0, length + 1)))
    # Customers are born on whole days, so what is expected of all is a convolution.
    expected = np.convolve(births, each)[:length]
    actual = np.cumsum(np.pad(observed.returns, (0, length - observed.returns.size)))
    step = max(1, -(-length // _POINTS))
    shown = range((length - 1) % step, length, step)
    rows: list[dict[str, Any]] = [
        {"day": (_EPOCH + timedelta(days=origin + place)).isoformat(), "transactions": value, "series": series}
        for series, values in (("actual", actual), ("expected", expected))
        for place in shown
        for value in [round(float(values[place]), 2)]
    ]
    title = "Repeat transactions since the first, expected and actual"
    if told.span.holdout_end is not None:
        title += f"; the model has seen those before {told.span.calibration_end}"
    return charts.lines(title, rows, x="day", y="transactions", color="series")


def _by_frequency(told: Told, expected: Floats) -> result.Chart:
    groups = clv_holdout.by_frequency(told.observed.x, told.observed.held_out, expected)
    return _beside(told, groups, of="x", title="by x before")


def _by_tenth(told: Told, expected: Floats) -> result.Chart:
    groups = clv_holdout.deciles(told.observed.held_out, expected)
    return _beside(told, groups, of="decile", title="by tenths of customers, those first from whom most was expected")


def _beside(told: Told, groups: list[dict[str, Any]], *, of: str, title: str) -> result.Chart:
    """Show what each group of customers did in the days held out, beside what was expected of them."""
    rows = [
        {of: str(group[of]), "transactions per customer": round(group[f"{series}_mean"], 4), "series": series}
        for group in groups
        for series in ("actual", "expected")
    ]
    when = f"Transactions from {told.span.calibration_end} to before {told.span.read_to}"
    return charts.beside(f"{when}, {title}", rows, x=of, y="transactions per customer", part="series")


def _alive(told: Told) -> result.Chart:
    counts, edges = np.histogram(told.predicted.alive, bins=_BINS, range=(0.0, 1.0))
    rows = [
        {"from": round(float(low), 2), "to": round(float(high), 2), "customers": int(count)}
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    return charts.histogram("Customers by the chance of still being one", rows, value="customers")
