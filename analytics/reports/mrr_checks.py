"""Checks `mrr` by a second way to its figures: what is in force on a day, asked of the subscriptions as they are."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext
from functools import reduce
from operator import or_

import ibis
from ibis.expr import types as ir

from analytics import result
from analytics.reports import cells
from analytics.reports.movements import Split
from analytics.reports.mrr_ledger import Entry, Valuation


@dataclass(frozen=True, slots=True)
class Control:
    """Subscriptions as counted without regard to customers.

    Attributes:
        changes: per period and currency, MRR that starts less MRR that ends.
        unconverted: left out, because their currency had no rate.
        passing: those that begin and end between two last days.
        scheduled: those whose end is known and still to come.
        negative: those with an MRR below zero.
    """

    changes: Mapping[date, Mapping[str, Decimal]]
    unconverted: int
    passing: int
    scheduled: int
    negative: int


NOTHING = Control({}, 0, 0, 0, 0)


def with_worth(table: ir.Table, currencies: Sequence[str], valuation: Valuation) -> ir.Table:
    """Return the subscriptions whose currency has a worth on the last day of their first period."""
    known = {currency: valuation.known_from(currency) for currency in currencies}
    if all(first == date.min for first in known.values()):
        return table
    period = valuation.periods.period_of_day(table.started_on)
    tests = [
        (table.currency == currency) & (period >= ibis.literal(first))
        if first > date.min
        else table.currency == currency
        for currency, first in known.items()
        if first is not None
    ]
    return table.filter(reduce(or_, tests)) if tests else table.limit(0)


def count(table: ir.Table, known: ir.Table, valuation: Valuation) -> Control:
    """Count all subscriptions by the period they start in, and those with a worth by the period they end in."""
    last, period_of = ibis.literal(valuation.last_day), valuation.periods.period_of_day
    begun = period_of(table.started_on)
    starts = table.group_by("currency", period=begun).aggregate(
        amount=table.mrr.sum(),
        rows=table.count(),
        passing=table.count(where=(table.ended_on <= last) & (period_of(table.ended_on) == begun)),
        scheduled=table.count(where=table.ended_on > last),
        negative=table.count(where=table.mrr < 0),
    )
    over = known.filter(known.ended_on <= last)
    ends = over.group_by("currency", period=period_of(over.ended_on)).aggregate(amount=over.mrr.sum())
    changes: dict[date, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    counts = dict.fromkeys(("unconverted", "passing", "scheduled", "negative"), 0)
    for row in starts.to_pyarrow().to_pylist():
        first = valuation.known_from(row["currency"])
        if first is None or row["period"] < first:
            counts["unconverted"] += row["rows"]
            continue
        changes[row["period"]][row["currency"]] += row["amount"]
        for name in ("passing", "scheduled", "negative"):
            counts[name] += row[name]
    for row in ends.to_pyarrow().to_pylist():
        changes[row["period"]][row["currency"]] -= row["amount"]
    return Control(changes, **counts)


def invariants(
    entries: Sequence[Entry], known: ir.Table, split: Split, control: Control, valuation: Valuation
) -> tuple[result.Invariant, ...]:
    """Check that every row adds up, that each end is what is in force, and who is active on the last day."""
    off = [entry for entry in entries if not entry.adds_up]
    reported: dict[tuple[date, str], Decimal] = defaultdict(Decimal)
    with localcontext(prec=60):
        for entry in entries:
            reported[entry.period, entry.group[0]] += entry.end
    spans = sorted({entry.period for entry in entries})
    in_force = _in_force(spans, control, valuation)
    wrong = [key for key in reported.keys() | in_force.keys() if reported.get(key, 0) != in_force.get(key, 0)]
    last = [entry for entry in entries if entry.period == spans[-1]] if spans else []
    ends = cells.money_text(sum((entry.end for entry in last), Decimal(0)))
    people, active = sum(entry.customers for entry in last), _active(known, split, valuation)
    return (
        result.Invariant(
            "start_and_movements_are_end",
            not off,
            f"{len(entries) - len(off)} of {len(entries)} rows add up",
        ),
        result.Invariant(
            "end_is_mrr_in_force",
            not wrong,
            f"{len(reported) - len(wrong)} of {len(reported)} ends equal the sum of the subscriptions in force; "
            f"the last is {ends}",
        ),
        result.Invariant(
            "customers_are_active", people == active, f"rows {people}; distinct customers in force {active}"
        ),
    )


def nothing_to_check() -> tuple[result.Invariant, ...]:
    """Return what holds where there are no subscriptions at all."""
    return (result.Invariant("start_and_movements_are_end", True, "no subscriptions, no rows"),)


def _in_force(spans: Iterable[date], control: Control, valuation: Valuation) -> dict[tuple[date, str], Decimal]:
    levels: dict[str, Decimal] = defaultdict(Decimal)
    found: dict[tuple[date, str], Decimal] = defaultdict(Decimal)
    with localcontext(prec=60):
        for period in spans:
            for currency, amount in control.changes.get(period, {}).items():
                levels[currency] += amount
            for currency, level in levels.items():
                worth = level * valuation.closing(currency, period) if level else level
                found[period, valuation.row_currency(currency)] += worth
    return found


def _active(known: ir.Table, split: Split, valuation: Valuation) -> int:
    """Count the customers with MRR on the last day, as often as they have rows of their own."""
    last = ibis.literal(valuation.last_day)
    held = known.filter((known.started_on <= last) & (known.ended_on.isnull() | (known.ended_on > last)))
    levels = held.group_by(split.unit).aggregate(level=held.mrr.sum())
    holders = levels.filter(levels.level > 0).select(*split.customer, *split.moving).distinct()
    return int(holders.count().to_pyarrow().as_py())
