"""The subscriptions a report counts: read, bounded by days, filtered; what is left out is counted by reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import ibis
from ibis.expr import types as ir

from analytics.catalogue import parameters
from analytics.reports import attributes, calendar, cells

_COLUMNS = ("subscription_id", "customer_id", "started_on", "ended_on", "mrr", "currency")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """Subscriptions, ready to be counted.

    Attributes:
        table: subscription_id, customer_id, started_on, ended_on, mrr, currency and the segments.
        moving: of the segment columns, those that are of subscriptions and not of customers.
        last_day: the last day that is known; None where there is nothing at all.
        as_of: the moment that ends it, or what was asked for.
        bounded: whether the question said how far the data are known.
        currencies: those of the rows, in order.
    """

    table: ir.Table
    segments: tuple[str, ...]
    moving: tuple[str, ...]
    last_day: date | None
    as_of: datetime | None
    bounded: bool
    currencies: tuple[str, ...]
    rows_read: int
    dropped: Mapping[str, int]


def build(tables: Mapping[str, ir.Table], params: parameters.ReportParams, *, priced: bool) -> Subscriptions:
    """Return the subscriptions of a question, all of them or only the `priced`, which have an MRR.

    Nothing that starts on the day of `as_of` or `end`, or later, is read; without them the data are known up to the
    last start, because an end may be set long before it comes.

    Raises:
        errors.Refusal: there are no subscriptions, or no such column, or a filter value does not suit its column.
    """
    found = attributes.attach(tables, "subscriptions", {name: name for name in _COLUMNS}, params)
    rows = found.table.mutate(currency=found.table.currency.fill_null(params.currency))
    days = calendar.Calendar(params.timezone)
    bounds = [at for at in (params.instant_of(params.as_of), params.instant_of(params.end)) if at is not None]
    bound = days.day_of(min(bounds)) if bounds else None
    sound = _sound(rows, priced=priced)
    tests = sound | _wanted(rows, found.wanted, bound)
    kinds = rows.group_by("currency", **tests).aggregate(rows=rows.count(), last=rows.started_on.max())
    profile = cells.frame(kinds.to_pyarrow())
    used, dropped, last_day = profile, {}, None
    for reason in tests:
        passed = used[reason].fillna(value=False)
        dropped[reason] = int(used["rows"][~passed].sum())
        used = used[passed]
        if reason == list(sound)[-1]:
            last_day = None if used.empty else used["last"].max()
    if bound is not None and last_day is not None:
        last_day = bound - _DAY
    return Subscriptions(
        table=rows.filter(*tests.values()),
        segments=found.segments,
        moving=found.own,
        last_day=last_day,
        as_of=_as_of(params, days, last_day),
        bounded=bool(bounds),
        currencies=tuple(sorted(used["currency"].unique())),
        rows_read=int(profile["rows"].sum()),
        dropped={reason: count for reason, count in dropped.items() if count},
    )


def _sound(rows: ir.Table, *, priced: bool) -> dict[str, ir.BooleanValue]:
    dated = rows.started_on.notnull()
    return {
        **({"no_date_or_amount": dated & rows.mrr.notnull()} if priced else {"no_date": dated}),
        "no_customer": rows.customer_id.notnull(),
        "ends_before_it_starts": rows.ended_on.isnull() | (rows.ended_on > rows.started_on),
    }


def _wanted(rows: ir.Table, wanted: ir.BooleanValue | None, bound: date | None) -> dict[str, ir.BooleanValue]:
    outside = {} if bound is None else {"outside_dates": rows.started_on < ibis.literal(bound)}
    return outside | ({} if wanted is None else {"filtered": wanted})


def _as_of(params: parameters.ReportParams, days: calendar.Calendar, last_day: date | None) -> datetime | None:
    given = params.instant_of(params.as_of)
    if given is not None or last_day is None:
        return given
    return days.instant(last_day + _DAY)
