"""The checks of `data_quality` on how many rows there are each day and month."""

import dataclasses
import datetime as dt
import statistics
from collections.abc import Iterator, Mapping, Sequence

from ibis.expr import types as ir

from analytics.reports import calendar, data_quality_rows, local_time
from analytics.reports.data_quality_checks import Finding, Severity

# A business that is closed at weekends has no gaps, it has weekends.
_DENSE = 0.9
_FEWEST_MONTHS = 6
# Median absolute deviations are as large as standard deviations once they are multiplied by this, on normal data.
_SCALE = 1.4826
_FAR = 3.5


def of_time(rows: data_quality_rows.Rows, days: calendar.Calendar) -> Iterator[Finding]:
    """Look for days without rows, and for months with far more or far fewer than others."""
    counts = _per_day(rows, days)
    if not counts:
        return
    dataset = rows.schema.name
    missing = _missing(counts)
    span = (max(counts) - min(counts)).days + 1
    dense = len(counts) / span >= _DENSE
    sample = f"{missing[0]}, {missing[-1]}" if len(missing) > 1 else str(missing[0]) if missing else None
    yield Finding(
        dataset, rows.time, "gap", Severity.WARNING, len(missing) if dense else 0, span, sample if dense else None,
        unit_is_rows=False,
    )  # fmt: skip
    months = _months(counts)
    if len(months) >= _FEWEST_MONTHS:
        odd = _odd(months)
        found = f"{odd[0]:%Y-%m}" + (f", {odd[-1]:%Y-%m}" if len(odd) > 1 else "") if odd else None
        yield Finding(
            dataset, rows.time, "volume_drift", Severity.WARNING, len(odd), len(months), found, unit_is_rows=False
        )


def _per_day(rows: data_quality_rows.Rows, days: calendar.Calendar) -> dict[dt.date, int]:
    column = rows.table[rows.time]
    if column.type().is_timestamp():
        days = dataclasses.replace(days, reach=local_time.reach_of(rows.stored, rows.time))
    day: ir.DateValue = days.period_of(column) if column.type().is_timestamp() else column
    counted = rows.table.filter(column.notnull()).group_by(day=day).aggregate(lambda table: table.count().name("rows"))
    return {row["day"]: row["rows"] for row in counted.to_pyarrow().to_pylist()}


def _missing(counts: Mapping[dt.date, int]) -> list[dt.date]:
    first, last = min(counts), max(counts)
    every = (first + dt.timedelta(days=offset) for offset in range((last - first).days + 1))
    return [day for day in every if day not in counts]


def _months(counts: Mapping[dt.date, int]) -> dict[dt.date, int]:
    """Return the rows of each whole month: the first and the last are whole only if they have their outer days."""
    sums: dict[dt.date, int] = {}
    first, last = min(counts), max(counts)
    month = first.replace(day=1)
    while month <= last:
        sums[month] = 0
        month = (month + dt.timedelta(days=32)).replace(day=1)
    for day, rows in counts.items():
        sums[day.replace(day=1)] += rows
    if first.day != 1:
        del sums[first.replace(day=1)]
    if (last + dt.timedelta(days=1)).day != 1:
        sums.pop(last.replace(day=1), None)
    return sums


def _odd(months: Mapping[dt.date, int]) -> Sequence[dt.date]:
    middle = statistics.median(months.values())
    spread = statistics.median(abs(rows - middle) for rows in months.values()) * _SCALE
    return [month for month, rows in months.items() if abs(rows - middle) > _FAR * spread and spread > 0]
