"""Computes `mrr`: the engine reduces subscriptions to movements, the ledger adds them up period by period."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

import pyarrow as pa
from ibis.expr import types as ir

from analytics import errors, result
from analytics.catalogue import mrr
from analytics.reports import calendar, cells, charts, movements, mrr_checks, mrr_ledger, rates, subscriptions
from analytics.reports.movements import Kind

MAX_ROWS = 1_000_000
_PLOTTED = 60
_CHARTED_CURRENCIES = 3
_DAY = timedelta(days=1)
# What the rows have and the summary spares its readers.
_NOT_HEADLINES = frozenset(
    {
        "complete",
        "transfer",
        "new_customers",
        "reactivated_customers",
        "expanded_customers",
        "contracted_customers",
        "churned_customers",
    }
)
# Gains in blue and green, losses in orange and red, what is neither in grey and violet.
_COLORS = {
    "new": "#4c78a8",
    "reactivation": "#72b7b2",
    "expansion": "#54a24b",
    "contraction": "#f2a541",
    "churn": "#d1495b",
    "transfer": "#9d9d9d",
    "fx": "#9c79b8",
}


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What was found, before it is put into words.

    Attributes:
        entries: the rows, by period, currency and segments.
        found: the subscriptions; None of what follows where there are none.
    """

    found: subscriptions.Subscriptions
    entries: Sequence[mrr_ledger.Entry]
    valuation: mrr_ledger.Valuation | None = None
    control: mrr_checks.Control = mrr_checks.NOTHING
    invariants: tuple[result.Invariant, ...] = ()


def compute(tables: Mapping[str, ir.Table], params: mrr.MrrParams) -> result.Result:
    """Return one row per period, currency and segment, in that order, as `catalogue.mrr` defines.

    Raises:
        errors.Refusal: subscriptions or a column are not there, a filter value does not suit its column, or the rows
            would be too many.
    """
    found = subscriptions.build(tables, params, priced=True)
    return _result(_reckon(tables, found, params), params)


def _reckon(tables: Mapping[str, ir.Table], found: subscriptions.Subscriptions, params: mrr.MrrParams) -> _Outcome:
    if found.last_day is None:
        return _Outcome(found, (), invariants=mrr_checks.nothing_to_check())
    periods = calendar.Calendar(params.timezone, params.period, params.week_start)
    valuation = mrr_ledger.Valuation(_rates(tables, found, params), periods, found.last_day)
    known = mrr_checks.with_worth(found.table, found.currencies, valuation)
    control = mrr_checks.count(found.table, known, valuation)
    span = list(periods.between(min(control.changes), periods.first_day(found.last_day))) if control.changes else []
    split = movements.Split(
        found.segments, found.moving, apart=valuation.rates is None, below_zero=control.negative > 0
    )
    net = movements.net(
        known, split, periods, last_day=found.last_day, opening=_opening(found.currencies, span, valuation)
    )
    books = mrr_ledger.books(net.to_pyarrow().to_pylist(), found.segments, valuation)
    if len(books) * len(span) > MAX_ROWS:
        raise errors.Refusal("too-many-rows", f"More than {MAX_ROWS} rows; choose a longer period or fewer segments.")
    every = [entry for group, book in books.items() for entry in mrr_ledger.entries(group, book, span, valuation)]
    start = params.instant_of(params.start)
    first = date.min if start is None else periods.first_day(periods.day_of(start))
    return _Outcome(
        found,
        sorted((entry for entry in every if entry.period >= first), key=lambda entry: entry.period),
        valuation,
        control,
        mrr_checks.invariants(every, known, split, control, valuation),
    )


def _rates(
    tables: Mapping[str, ir.Table], found: subscriptions.Subscriptions, params: mrr.MrrParams
) -> rates.Rates | None:
    """Return the rates to convert with; None where each currency keeps to itself."""
    if params.currencies is mrr.Currencies.SEPARATE:
        return None
    others = [currency for currency in found.currencies if currency != params.currency]
    base = params.base_currency or params.currency
    read = rates.read(tables.get("fx_rates") if others else None, others, wanted=params.currency, base=base)
    if params.currencies is None and others and not any(read.known_from(currency) for currency in others):
        return None
    return read


def _opening(
    currencies: Sequence[str], span: Sequence[date], valuation: mrr_ledger.Valuation
) -> dict[str, dict[date, Decimal]]:
    """Return the rates to compare changes in several currencies by; nothing where only one is valued."""
    known = {currency: valuation.known_from(currency) for currency in currencies}
    valued = {currency: first for currency, first in known.items() if first is not None}
    if valuation.rates is None or len(valued) < 2:
        return {}
    return {
        currency: {period: valuation.opening(currency, period) for period in span if period >= first}
        for currency, first in valued.items()
    }


def _result(outcome: _Outcome, params: mrr.MrrParams) -> result.Result:
    found = outcome.found
    currencies = sorted({entry.group[0] for entry in outcome.entries}) or [params.currency]
    # With several currencies the column `currency` says which it is.
    unit = currencies[0] if len(currencies) == 1 else "currency"
    described = cells.describe(mrr.TYPE.columns, params, currency=unit)
    complete = {entry.period: _is_complete(entry.period, outcome) for entry in outcome.entries}
    names = [column.name for column in described[len(mrr.TYPE.columns) :]]
    rows = [
        mrr_ledger.cells_of(entry, complete=complete[entry.period]) | dict(zip(names, entry.group[1], strict=True))
        for entry in outcome.entries
    ]
    schema = pa.schema([(column.name, cells.ARROW_TYPES[column.type]) for column in described])
    unconverted = {"unconverted": outcome.control.unconverted} if outcome.control.unconverted else {}
    totals = _totals(outcome.entries)
    return result.Result(
        columns=described,
        rows=pa.Table.from_pylist(rows, schema=schema),
        summary=_summary(outcome, params, currencies, totals, complete),
        charts=_charts(outcome.entries, currencies, totals),
        warnings=tuple(_warnings(outcome, currencies, complete)),
        dropped=dict(found.dropped) | unconverted,
        invariants=outcome.invariants,
        rows_read={"subscriptions": found.rows_read},
    )


def _is_complete(period: date, outcome: _Outcome) -> bool:
    last_day = outcome.found.last_day
    return (
        outcome.valuation is not None
        and last_day is not None
        and (outcome.valuation.periods.step(period, 1) <= last_day + _DAY)
    )


def _totals(entries: Sequence[mrr_ledger.Entry]) -> dict[tuple[date, str], mrr_ledger.Entry]:
    """Add the segments of each period and currency together."""
    return {
        key: mrr_ledger.together(list(members), (key[1], ()))
        for key, members in groupby(entries, key=lambda entry: (entry.period, entry.group[0]))
    }


def _summary(
    outcome: _Outcome,
    params: mrr.MrrParams,
    currencies: Sequence[str],
    totals: Mapping[tuple[date, str], mrr_ledger.Entry],
    complete: Mapping[date, bool],
) -> dict[str, Any]:
    """Return the last complete period, of the report's currency if that has rows, and of each where there are several."""
    found = outcome.found
    whole = [period for period, is_complete in complete.items() if is_complete]
    lasts = {
        currency: _printed(totals[whole[-1], currency], of_one=not found.moving) for currency in currencies if whole
    }
    main = params.currency if params.currency in currencies else currencies[0]
    return {
        "as_of": None if found.as_of is None else found.as_of.isoformat().replace("+00:00", "Z"),
        "currency": main,
        "periods": len(complete),
        "complete_periods": len(whole),
        "last": lasts.get(main),
        **({"currencies": list(lasts.values())} if len(currencies) > 1 else {}),
    }


def _printed(entry: mrr_ledger.Entry, *, of_one: bool) -> dict[str, Any]:
    """Return an entry's headline figures as JSON; customers only where each is in one row."""
    row = mrr_ledger.cells_of(entry, complete=True) | {"period": entry.period.isoformat()}
    return {
        name: cells.money_text(value) if isinstance(value, Decimal) else value
        for name, value in row.items()
        if name not in _NOT_HEADLINES and (of_one or name != "customers")
    }


def _charts(
    entries: Sequence[mrr_ledger.Entry],
    currencies: Sequence[str],
    totals: Mapping[tuple[date, str], mrr_ledger.Entry],
) -> tuple[result.Chart, ...]:
    if not entries:
        return ()
    several = len({entry.group for entry in entries}) > 1
    shown = sorted({entry.period for entry in entries})[-_PLOTTED:]
    levels = [
        {
            "period": entry.period.isoformat(),
            "mrr": float(entry.end),
            **(
                {"segment": " / ".join([*entry.group[:1][: len(currencies) - 1], *map(str, entry.group[1])])}
                if several
                else {}
            ),
        }
        for entry in entries
        if entry.period >= shown[0]
    ]
    unit = currencies[0] if len(currencies) == 1 else "each in its currency"
    made = [charts.lines(f"MRR, {unit}", levels, x="period", y="mrr", color="segment" if several else None)]
    for currency in currencies[:_CHARTED_CURRENCIES]:
        bars = _bars([totals[period, currency] for period in shown])
        made.append(charts.stacked(f"Movements, {currency}", bars, x="period", y="amount", colors=_COLORS))
    return tuple(made)


def _bars(entries: Sequence[mrr_ledger.Entry]) -> list[dict[str, Any]]:
    """Return the parts of the bars, one kind after the other."""
    parts = [
        *((kind, entry.period, entry.moved[kind]) for kind in Kind for entry in entries),
        *(("fx", entry.period, entry.fx) for entry in entries),
    ]
    return [
        {"period": period.isoformat(), "part": str(part), "amount": float(amount)}
        for part, period, amount in parts
        if amount
    ]


def _warnings(
    outcome: _Outcome, currencies: Sequence[str], complete: Mapping[date, bool]
) -> Iterator[result.ResultWarning]:
    control = outcome.control
    partial = [period for period, is_complete in complete.items() if not is_complete]
    if partial:
        detail = f"The data do not reach the end of {partial[0].isoformat()}; it has no grr and nrr."
        yield result.ResultWarning("partial-periods", detail)
    if control.scheduled and not outcome.found.bounded:
        detail = (
            f"{control.scheduled} ends lie on or after the day of as_of and are still to come; give as_of to see them."
        )
        yield result.ResultWarning("scheduled-ends", detail)
    if control.passing:
        detail = f"{control.passing} subscriptions begin and end between two last days and are in no movement."
        yield result.ResultWarning("between-two-last-days", detail)
    if control.negative:
        detail = f"{control.negative} subscriptions have an MRR below zero; they lessen what their customers pay."
        yield result.ResultWarning("negative-mrr", detail)
    if control.unconverted:
        detail = (
            f"{control.unconverted} subscriptions are left out, because fx_rates has no rate for their currency by the "
            "end of the period in which they start."
        )
        yield result.ResultWarning("unconverted", detail)
    if len(currencies) > 1:
        detail = "There is no rate between the currencies, or none was wanted; a customer of two counts in both."
        yield result.ResultWarning("several-currencies", detail)
