"""Reduces orders to what each customer did before and after a day: x, recency and age in whole days, and money."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from ibis.expr import types as ir

from analytics import result
from analytics.catalogue import clv
from analytics.reports import activity, calendar, cells, facts
from analytics.stats.histories import Floats, Histories, Places

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Span:
    """The days a model learns from and those it is tested on; both ends are outside.

    Attributes:
        calibration_end: the model learns from the days before.
        holdout_end: the days from calibration_end to before this one test it; None without a test.
    """

    calibration_end: date
    holdout_end: date | None
    warnings: tuple[result.ResultWarning, ...] = ()

    @classmethod
    def of(cls, orders: facts.Facts, params: clv.ClvParams) -> "Span":
        """Place the ends on local days, no later than the data reach."""
        days = calendar.Calendar(params.timezone)
        reach = _EPOCH if orders.covered_to is None else days.day_of(orders.covered_to)
        calibration, warnings = _within("calibration_end", params.instant_of(params.calibration_end), days, reach)
        if params.holdout_end is None:
            return cls(calibration, None, warnings)
        holdout, more = _within("holdout_end", params.instant_of(params.holdout_end), days, reach)
        if holdout <= calibration:
            detail = f"The data have no day from {calibration} to before {holdout}, so the model is not tested."
            return cls(calibration, None, (*warnings, *more, result.ResultWarning("no-holdout", detail)))
        return cls(calibration, holdout, (*warnings, *more))

    @property
    def read_to(self) -> date:
        return self.holdout_end or self.calibration_end

    @property
    def holdout_days(self) -> int:
        return (self.read_to - self.calibration_end).days


def _within(
    name: str, moment: datetime | None, days: calendar.Calendar, reach: date
) -> tuple[date, tuple[result.ResultWarning, ...]]:
    day = reach if moment is None else days.day_of(moment)
    if day <= reach:
        return day, ()
    detail = f"{name} is {day}, but the data reach only to {reach}, which is used instead."
    return reach, (result.ResultWarning("beyond-data", detail),)


@dataclass(frozen=True, slots=True)
class Observed:
    """What is known of the customers who bought before calibration_end, by customer id.

    Attributes:
        customers: customer_id and the segment columns.
        first: the day of the first transaction, in days since 1970.
        x: transactions after the first.
        recency: days from the first to the last.
        age: days from the first to the last before calibration_end.
        histories: the same three, coded.
        spend: what the days after the first brought before calibration_end.
        held_out: transactions from calibration_end to before holdout_end.
        returns: transactions after the first on each day since anybody's first, held out ones too.
        left_out: orders that count nowhere, by reason.
        unattributed: money of nobody in particular.
        net: the money of all customers and of nobody, at any time.
    """

    customers: pd.DataFrame
    first: Places
    x: Floats
    recency: Floats
    age: Floats
    histories: Histories
    spend: Floats
    held_out: Floats
    returns: Places
    left_out: dict[str, int]
    unattributed: Decimal
    net: Decimal

    @property
    def mean_spend(self) -> Floats:
        """The mean of the transactions after the first, to eight places; nan without."""
        mean: Floats = np.divide(self.spend, self.x, out=np.full_like(self.x, np.nan), where=self.x > 0)
        return mean.round(8)


def observe(orders: facts.Facts, span: Span) -> Observed:
    """Reduce orders to customers: to the days on which each bought, then to one row each."""
    found = _reduce(orders, span).to_pyarrow()
    # The lists of days are by far the largest part, and only their counts are needed.
    return_days, everybody = found["return_days"], found.drop_columns(["return_days"]).combine_chunks()
    del found
    end = (span.calibration_end - _EPOCH).days
    known, first = everybody["customer_id"].is_valid(), everybody["first"].cast(pa.int32())
    bought = pc.and_(known, first.is_valid())
    early = pc.and_kleene(bought, pc.less(first, end))
    kept = everybody.filter(early).sort_by("customer_id")
    born = _whole(kept["first"].cast(pa.int32()))
    x = _whole(kept["x"]).astype(np.float64)
    last = _whole(kept["last"].cast(pa.int32()))
    recency, age = (last - born).astype(np.float64), (end - 1 - born).astype(np.float64)
    return Observed(
        customers=_people(orders, kept),
        first=born,
        x=x,
        recency=recency,
        age=age,
        histories=Histories.of(x, recency, age),
        spend=_floats(kept["spend"]),
        held_out=_whole(kept["held_out"]).astype(np.float64),
        returns=_by_day(return_days, origin=int(born.min(initial=end))),
        left_out=_left_out(everybody.filter(pc.and_(bought, pc.invert(early))), kept, span),
        unattributed=_sum(everybody.filter(pc.invert(known))["net"]),
        net=_sum(everybody["net"]),
    )


def _reduce(orders: facts.Facts, span: Span) -> ir.Table:
    """Return one row per customer, and one for nobody in particular."""
    days = calendar.Calendar(orders.zone)
    each = activity.with_first_period(activity.by_period(orders, days, keep_segments=False))
    bought, returned = each.orders > 0, (each.orders > 0) & (each.period > each.first_period)
    learnt, read = each.period < ibis.literal(span.calibration_end), each.period < ibis.literal(span.read_to)
    known = each.first_period < ibis.literal(span.calibration_end)
    zero = ibis.literal(0).cast("int64")
    return each.group_by("customer_id").aggregate(
        first=each.first_period.min(),
        last=each.period.max(where=bought & learnt),
        x=each.count(where=returned & learnt),
        held_out=each.count(where=bought & read & ~learnt),
        spend=each.net.sum(where=learnt & (each.period > each.first_period)),
        return_days=each.period.collect(where=returned & read & known),
        orders=each.orders.sum().cast("int64").fill_null(zero),
        orders_beyond=each.orders.sum(where=~read).cast("int64").fill_null(zero),
        net=each.net.sum(),
    )


def _by_day(lists: pa.ChunkedArray, *, origin: int) -> Places:
    """Count the days in lists, from `origin` on."""
    counts = np.zeros(0, dtype=np.int64)
    for chunk in lists.chunks:
        days = chunk.flatten().cast(pa.int32()).to_numpy(zero_copy_only=False) - origin
        found = np.bincount(days, minlength=counts.size)
        found[: counts.size] += counts
        counts = found
    return counts


def _left_out(late: pa.Table, kept: pa.Table, span: Span) -> dict[str, int]:
    """Count the orders that are neither learnt from nor tested on."""
    end = "after_calibration_end" if span.holdout_end is None else "after_holdout_end"
    counts = {end: pc.sum(kept["orders_beyond"]).as_py(), "of_later_customers": pc.sum(late["orders"]).as_py()}
    return {reason: count for reason, count in counts.items() if count}


def _people(orders: facts.Facts, kept: pa.Table) -> pd.DataFrame:
    """Return customer_id and the segment columns, which are those of the first order."""
    ids = cells.frame(kept.select(["customer_id"]))
    if not orders.segments:
        return ids
    sales = orders.table.filter(orders.table.is_sale & orders.table.customer_id.notnull())
    order = [sales.ordered_at, sales.order_id]
    first = sales.group_by("customer_id").aggregate(
        **{name: sales[name].first(order_by=order) for name in orders.segments}
    )
    return ids.merge(cells.frame(first.to_pyarrow()), on="customer_id", how="left")


def _whole(column: Any) -> Places:
    """Return a column of whole numbers; nulls are 0."""
    filled = pc.fill_null(column.cast(pa.int64()), 0)
    return np.asarray(filled.to_numpy(), dtype=np.int64)


def _floats(column: pa.ChunkedArray) -> Floats:
    """Return money as the nearest numbers; nulls are 0."""
    return np.asarray(pc.fill_null(column.cast(pa.float64()), 0.0).to_numpy(), dtype=np.float64)


def _sum(column: pa.ChunkedArray) -> Decimal:
    total = pc.sum(column.cast(cells.ROOMY)).as_py()
    return Decimal(0) if total is None else Decimal(total)
