"""Turns rows into lifetimes: how long each customer was seen, and whether that ended in leaving."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import ibis
from ibis.expr import datatypes as dt
from ibis.expr import types as ir

from analytics import errors, result
from analytics.catalogue import churn_survival
from analytics.reports import attributes, calendar, cells, subscriptions

_DAY = timedelta(days=1)
_FOREVER = date(9999, 12, 31)
_LEFT = frozenset({"yes", "y", "true", "t", "1", "churned", "left", "cancelled", "canceled", "lost"})
_STAYED = frozenset({"no", "n", "false", "f", "0", "active", "stayed", "retained", "current"})
_VALUES_SHOWN = 10


@ibis.udf.scalar.builtin(name="date_sub", signature=((dt.string, dt.date, dt.date), dt.int64))
def _completed(unit, begin, end):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - the signature is given above
    """Name DuckDB's function that counts the whole units between two days."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Lifetimes, ready to be counted.

    Attributes:
        table: customer_id, t, left, group and the segments.
        unit: what t is counted in.
        as_of: until when they were seen; None where lifetimes have no dates.
    """

    table: ir.Table
    segments: tuple[str, ...]
    unit: str
    as_of: datetime | None
    rows_read: Mapping[str, int]
    dropped: Mapping[str, int]
    warnings: tuple[result.ResultWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows with their named columns; the last of `segments` is the group where there is one."""

    table: ir.Table
    segments: tuple[str, ...]
    group: str | None

    def labels(self) -> dict[str, ir.Value]:
        group = ibis.literal("all") if self.group is None else self.table[self.group]
        return {"group": group, **{name: self.table[name] for name in self.segments}}


def build(tables: Mapping[str, ir.Table], params: churn_survival.ChurnSurvivalParams) -> Lifetimes:
    """Return the lifetimes of a question.

    Raises:
        errors.Refusal: a dataset or column is not there, a value does not say whether somebody left, or a filter value
            does not suit its column.
    """
    if params.duration is not None and params.event is not None:
        return _measured(tables, params, params.duration, params.event)
    if params.started is not None and params.ended is not None:
        return _dated(tables, params, params.started, params.ended)
    if params.reads is churn_survival.Dataset.CUSTOMERS:
        raise errors.Refusal(
            "lifetime-columns",
            "Customers have no lifetimes by themselves: give duration and event, or started and ended.",
        )
    return _subscribed(tables, params)


def _with_group(params: churn_survival.ChurnSurvivalParams) -> churn_survival.ChurnSurvivalParams:
    """Read the column of `group_by` in the way of a segment, at the end of the others."""
    named = () if params.group_by is None else (params.group_by,)
    return params.model_copy(update={"segment_by": (*params.segment_by, *named)})


def _parted(
    segments: tuple[str, ...], params: churn_survival.ChurnSurvivalParams
) -> tuple[tuple[str, ...], str | None]:
    return (segments, None) if params.group_by is None else (segments[:-1], segments[-1])


def _read(
    tables: Mapping[str, ir.Table], params: churn_survival.ChurnSurvivalParams, columns: Mapping[str, str]
) -> tuple[_Rows, ir.BooleanValue | None]:
    found = attributes.attach(tables, params.reads, {"customer_id": "customer_id", **columns}, _with_group(params))
    segments, group = _parted(found.segments, params)
    return _Rows(found.table, segments, group), found.wanted


def _drop(table: ir.Table, tests: Mapping[str, ir.BooleanValue]) -> tuple[ir.Table, dict[str, int], int]:
    """Return the rows that pass, how many do not by the first reason, and how many there were."""
    kinds = cells.frame(table.group_by(**tests).aggregate(rows=table.count()).to_pyarrow())
    total, dropped = int(kinds["rows"].sum()), {}
    for reason in tests:
        passed = kinds[reason].fillna(value=False)
        dropped[reason] = int(kinds["rows"][~passed].sum())
        kinds = kinds[passed]
    return table.filter(*tests.values()), {reason: count for reason, count in dropped.items() if count}, total


def _measured(
    tables: Mapping[str, ir.Table], params: churn_survival.ChurnSurvivalParams, duration: str, event: str
) -> Lifetimes:
    """Take lifetimes from a column of numbers and one that says who left."""
    rows, wanted = _read(tables, params, {"duration": duration, "event": event})
    table = rows.table
    length = (table.duration.strip() if table.duration.type().is_string() else table.duration).try_cast("float64")
    tests = {
        "no_duration": (length >= 0) & (length < float("inf")),
        "no_event": table.event.notnull() & (table.event.cast("string").strip() != ""),
        **({} if wanted is None else {"filtered": wanted}),
    }
    used, dropped, total = _drop(table.mutate(t=length), tests)
    left = _has_left(used, event, params)
    kept = _Rows(used, rows.segments, rows.group)
    return Lifetimes(
        table=used.select("customer_id", t=used.t, left=left, **kept.labels()),
        segments=rows.segments,
        unit="units of " + duration,
        as_of=None,
        rows_read={str(params.reads): total},
        dropped=dropped,
    )


def _has_left(rows: ir.Table, name: str, params: churn_survival.ChurnSurvivalParams) -> ir.BooleanValue:
    """Return whether the event happened; what its values mean is never guessed."""
    if rows.event.type().is_boolean() and not params.event_values:
        return rows.event
    if rows.event.type().is_numeric() and not params.event_values:
        return rows.event != 0
    text = rows.event.cast("string").strip().lower()
    if params.event_values:
        return text.isin(sorted({value.strip().lower() for value in params.event_values}))
    values = rows.select(text=text).distinct().order_by("text").limit(_VALUES_SHOWN).to_pyarrow()["text"].to_pylist()
    unclear = [value for value in values if value not in _LEFT | _STAYED]
    if unclear:
        raise errors.Refusal(
            "event-values",
            f"'{name}' has values such as {', '.join(map(repr, unclear))}; say with event_values which of its values "
            "mean that somebody left.",
            {"column": name, "values": values},
        )
    return text.isin(sorted(_LEFT))


def _dated(
    tables: Mapping[str, ir.Table], params: churn_survival.ChurnSurvivalParams, started: str, ended: str
) -> Lifetimes:
    """Take each row as a lifetime between two dates."""
    rows, wanted = _read(tables, params, {"began": started, "ended": ended})
    table = rows.table
    began, over = _day(table.began, params.timezone), _day(table.ended, params.timezone)
    empty = table.ended.isnull() | (table.ended.cast("string").strip() == "")
    table = table.mutate(first=began, outside=over)
    sound = {
        "no_date": table["first"].notnull() & (empty | table.outside.notnull()),
        "ends_before_it_starts": table.outside.isnull() | (table.outside >= table["first"]),
    }
    last = table.filter(*sound.values())["first"].max().to_pyarrow().as_py()
    days = calendar.Calendar(params.timezone)
    bound = _bound(params, days)
    seen = bound - _DAY if bound is not None else last
    tests = sound | ({} if seen is None else _between(table["first"], params, days, seen))
    used, dropped, total = _drop(table, tests | ({} if wanted is None else {"filtered": wanted}))
    kept = _Rows(used, rows.segments, rows.group)
    return Lifetimes(
        table=_timed(used, kept.labels(), params, seen),
        segments=rows.segments,
        unit=f"{params.unit}s",
        as_of=_as_of(params, days, seen),
        rows_read={str(params.reads): total},
        dropped=dropped,
        warnings=_scheduled(used, seen) if bound is None else (),
    )


def _day(value: ir.Value, zone: str) -> ir.DateValue:
    """Return the local day of a timestamp, a date, or a text that is a date."""
    if value.type().is_timestamp():
        return calendar.local_date(value, zone)
    return value if value.type().is_date() else value.cast("string").strip().try_cast("date")


def _bound(params: churn_survival.ChurnSurvivalParams, days: calendar.Calendar) -> date | None:
    """Return the day from which on nothing is known, where the question says so."""
    at = params.instant_of(params.as_of)
    return None if at is None else days.day_of(at)


def _as_of(params: churn_survival.ChurnSurvivalParams, days: calendar.Calendar, seen: date | None) -> datetime | None:
    given = params.instant_of(params.as_of)
    return given if given is not None or seen is None else days.instant(seen + _DAY)


def _between(
    first: ir.DateValue, params: churn_survival.ChurnSurvivalParams, days: calendar.Calendar, seen: date
) -> dict[str, ir.BooleanValue]:
    """Return that a lifetime begins between `start` and `end`, and on a day that is known."""
    tests = [first <= ibis.literal(seen)]
    start, end = params.instant_of(params.start), params.instant_of(params.end)
    if start is not None:
        tests.append(first >= ibis.literal(days.day_of(start)))
    if end is not None:
        tests.append(first < ibis.literal(days.day_of(end)))
    return {"outside_dates": ibis.and_(*tests)}


def _scheduled(rows: ir.Table, seen: date | None) -> tuple[result.ResultWarning, ...]:
    if seen is None:
        return ()
    later = rows.filter(rows.outside > ibis.literal(seen)).count().to_pyarrow().as_py()
    detail = f"{later} ends lie on or after the day of as_of and count as not yet come; give as_of to see them."
    return (result.ResultWarning("scheduled-ends", detail),) if later else ()


def _timed(
    rows: ir.Table,
    labels: Mapping[str, ir.Value],
    params: churn_survival.ChurnSurvivalParams,
    seen: date | None,
    *,
    grace_days: int = 0,
) -> ir.Table:
    """Measure lifetimes from `first` to `outside`, or to the last day that is known.

    Columns in: customer_id, first, outside (the first day without; null: still there) and the labels.
    """
    last = seen or _FOREVER - _DAY
    until = ibis.least(rows.outside.fill_null(ibis.literal(_FOREVER)), ibis.literal(last + _DAY))
    return rows.select(
        "customer_id",
        t=_completed(str(params.unit), rows["first"], until).cast("float64"),
        left=(rows.outside <= ibis.literal(last - timedelta(days=grace_days))).fill_null(False),
        **labels,
    )


def _subscribed(tables: Mapping[str, ir.Table], params: churn_survival.ChurnSurvivalParams) -> Lifetimes:
    """Take each customer's first unbroken stretch of subscriptions."""
    # Of `start` and `end` it is a question when a customer began, so that subscriptions are read whole.
    whole = _with_group(params).model_copy(update={"start": None, "end": None})
    found = subscriptions.build(tables, whole, priced=False)
    segments, group = _parted(found.segments, params)
    firsts, returned = _first_stretches(found, params.grace_days)
    rows = _Rows(firsts, segments, group)
    days, dropped = calendar.Calendar(params.timezone), dict(found.dropped)
    if (params.start is not None or params.end is not None) and found.last_day is not None:
        firsts, outside, _ = _drop(firsts, _between(firsts["first"], params, days, found.last_day))
        rows = _Rows(firsts, segments, group)
        dropped |= {f"customers_{reason}": count for reason, count in outside.items()}
    warnings = () if found.bounded else _scheduled(firsts, found.last_day)
    if returned:
        detail = f"{returned} customers came back after leaving; only their first stretch counts."
        warnings = (*warnings, result.ResultWarning("came-back", detail))
    return Lifetimes(
        table=_timed(firsts, rows.labels(), params, found.last_day, grace_days=params.grace_days),
        segments=segments,
        unit=f"{params.unit}s",
        as_of=found.as_of,
        rows_read={"subscriptions": found.rows_read},
        dropped=dropped,
        warnings=warnings,
    )


def _first_stretches(found: subscriptions.Subscriptions, grace_days: int) -> tuple[ir.Table, int]:
    """Return customer_id, first, outside and the segments of first stretches, and how many customers had a second.

    A stretch ends where no subscription begins until `grace_days` after all before it have ended.
    """
    table = found.table.mutate(over=found.table.ended_on.fill_null(ibis.literal(_FOREVER)))
    order = [table.started_on, table.over, table.subscription_id]
    earlier = ibis.window(group_by="customer_id", order_by=order, preceding=(None, 1))
    table = table.mutate(before=table.over.max().over(earlier))
    follows = table.started_on <= (table.before + ibis.interval(days=grace_days)).cast("date")
    table = table.mutate(begins=ibis.ifelse(follows, 0, 1).cast("int64"))
    so_far = ibis.window(group_by="customer_id", order_by=order, rows=(None, 0))
    table = table.mutate(stretch=table.begins.sum().over(so_far))
    opening = [table.started_on, table.over, table.subscription_id]
    first = table.stretch == 1
    people = table.group_by("customer_id").aggregate(
        **{
            "first": table.started_on.min(),
            "over": table.over.max(where=first),
            "stretches": table.stretch.max(),
            **{name: table[name].first(where=first, order_by=opening, include_null=True) for name in found.segments},
        }
    )
    returned = people.filter(people.stretches > 1).count().to_pyarrow().as_py()
    return people.mutate(outside=people.over.nullif(ibis.literal(_FOREVER))), int(returned)
