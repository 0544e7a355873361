"""Reduces subscriptions to what changed from one period's last day to the next, and says of each change what it was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

import ibis
import pyarrow as pa
from ibis.expr import types as ir

from analytics.reports import calendar

# Per currency and period, the rate at which changes of one customer in several currencies are compared.
Opening = Mapping[str, Mapping[date, Decimal]]


class Kind(StrEnum):
    """What a change of MRR is."""

    NEW = "new"
    REACTIVATION = "reactivation"
    EXPANSION = "expansion"
    CONTRACTION = "contraction"
    CHURN = "churn"
    TRANSFER = "transfer"


@dataclass(frozen=True, slots=True)
class Split:
    """How customers are told apart and what of theirs is looked at.

    Attributes:
        segments: all segment columns.
        moving: those a customer can change, because they are columns of subscriptions.
        apart: each currency is a world of its own: who has two is a customer in both.
        below_zero: some subscriptions have an MRR below zero, so that a customer's first need not make them active.
    """

    segments: tuple[str, ...]
    moving: tuple[str, ...]
    apart: bool
    below_zero: bool

    @property
    def customer(self) -> list[str]:
        """Return the columns that make one customer."""
        fixed = [name for name in self.segments if name not in self.moving]
        return ["customer_id", *fixed, *(["currency"] if self.apart else [])]

    @property
    def unit(self) -> list[str]:
        """Return the columns of what has one level of MRR."""
        return ["customer_id", *self.segments, "currency"]


def net(
    subscriptions: ir.Table, split: Split, periods: calendar.Calendar, *, last_day: date, opening: Opening
) -> ir.Table:
    """Return movements added up: currency, segments, period, kind, amount (signed), people, step.

    Columns in: customer_id, currency, started_on, ended_on, mrr and the segments; nothing starts after `last_day`.
    `people` counts the customers behind a movement, `step` says by how many there are more active ones.
    """
    changes = _changes(subscriptions, split, periods, last_day)
    levels = _levels(_with_rates(changes, opening) if opening else changes, split)
    told = _told_apart(levels)
    return told.group_by("currency", *split.segments, "period", "kind").aggregate(
        amount=told.delta.sum(),
        people=told.count(where=told.leads),
        step=told.step.sum(where=told.leads).fill_null(0).cast("int64"),
    )


def _changes(subscriptions: ir.Table, split: Split, periods: calendar.Calendar, last_day: date) -> ir.Table:
    """Return by how much each unit's MRR differs between a period's last day and the one before, where it does."""
    ended = subscriptions.filter(subscriptions.ended_on <= ibis.literal(last_day))
    both = subscriptions.select(
        *split.unit, period=periods.period_of_day(subscriptions.started_on), delta=subscriptions.mrr
    ).union(ended.select(*split.unit, period=periods.period_of_day(ended.ended_on), delta=-ended.mrr), distinct=False)
    summed = both.group_by(*split.unit, "period").aggregate(delta=both.delta.sum())
    return summed.filter(summed.delta != 0)


def _with_rates(changes: ir.Table, opening: Mapping[str, Mapping[date, Decimal]]) -> ir.Table:
    """Add the rate of each change's currency in its period."""
    listed = [(currency, period, rate) for currency, rates in opening.items() for period, rate in rates.items()]
    schema = pa.schema([("rate_currency", pa.string()), ("rate_period", pa.date32()), ("rate", pa.decimal128(38, 10))])
    columns = [pa.array(column, field.type) for column, field in zip(zip(*listed, strict=True), schema, strict=True)]
    rates = ibis.memtable(pa.table(columns, schema=schema))
    joined = changes.join(rates, (changes.currency == rates.rate_currency) & (changes.period == rates.rate_period))
    return joined.select(*changes.columns, "rate")


def _levels(changes: ir.Table, split: Split) -> ir.Table:
    """Add whether there was MRR before and after: of the customer in the segment (held), of the customer (was)."""
    own = ibis.window(group_by=split.unit, order_by="period", rows=(None, 0))
    after = changes.delta.sum().over(own)
    alone = not split.moving and "rate" not in changes.columns
    # With nothing below zero a customer's first change makes them active; where a customer is one unit, asking that in
    # the same window costs nothing.
    history = own if alone else ibis.window(group_by=split.customer, order_by="period", rows=(None, 0))
    rows = changes.mutate(
        held_after=after > 0, held_before=after - changes.delta > 0, since=changes.period.min().over(history)
    )
    rows = rows.mutate(gain=rows.held_after.cast("int64") - rows.held_before.cast("int64"))
    holder = [*split.customer, *split.moving]
    if "rate" in changes.columns:
        together = ibis.window(group_by=[*holder, "period"])
        rows = rows.mutate(
            leads=ibis.row_number().over(ibis.window(group_by=[*holder, "period"], order_by="currency")) == 0,
            change=(rows.delta * rows.rate).sum().over(together),
            **_active("held", rows, holder),
        )
    else:
        rows = rows.mutate(leads=ibis.literal(True), change=rows.delta)
    if split.moving:
        rows = rows.mutate(**_active("was", rows, split.customer))
    else:
        rows = rows.mutate(was_before=rows.held_before, was_after=rows.held_after)
    if split.below_zero:
        first = rows.period.min(where=rows.was_after).over(ibis.window(group_by=split.customer))
        rows = rows.mutate(since=first)
    return rows.mutate(step=rows.held_after.cast("int64") - rows.held_before.cast("int64"))


def _active(name: str, rows: ir.Table, keys: Sequence[str]) -> dict[str, ir.BooleanValue]:
    """Return whether any of the units with these keys had MRR before and after the period."""
    # By range and not by rows: units that change in the same period do so at once.
    after = rows.gain.sum().over(ibis.window(group_by=keys, order_by="period", range=(None, 0)))
    step = rows.gain.sum().over(ibis.window(group_by=[*keys, "period"]))
    return {f"{name}_before": after - step > 0, f"{name}_after": after > 0}


def _told_apart(rows: ir.Table) -> ir.Table:
    """Add what kind of movement each change is."""
    came, left = ~rows.was_before & rows.was_after, rows.was_before & ~rows.was_after
    moved = rows.was_before & rows.was_after & (rows.held_before != rows.held_after)
    kind = ibis.cases(
        (came & (rows.period == rows.since), Kind.NEW.value),
        (came, Kind.REACTIVATION.value),
        (left, Kind.CHURN.value),
        (moved, Kind.TRANSFER.value),
        (rows.change >= 0, Kind.EXPANSION.value),
        else_=Kind.CONTRACTION.value,
    )
    return rows.mutate(kind=kind)
