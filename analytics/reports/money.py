"""One currency for a report: rows in others are converted at the rate of their day, or left out and counted."""

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
from ibis.expr import types as ir

from analytics import result
from analytics.reports import calendar

# Decimals of a converted amount: as many as the amount of a line has.
_EXACT = "decimal(38, 8)"
# As many digits as an amount, because Ibis multiplies decimals only when one type holds the other.
_RATE = "decimal(38, 10)"
PER = "rate_of_wanted"


@dataclass(frozen=True, slots=True)
class Conversion:
    """What became of the money.

    Attributes:
        table: the rows, `amount` in the report's currency; rows that could not be converted are gone.
        currency: what `amount` is in.
        unconverted: how many rows are gone.
    """

    table: ir.Table
    currency: str
    unconverted: int = 0
    warnings: tuple[result.ResultWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class Rates:
    """The organisation's rates, in units of one base currency; None where it has imported none."""

    table: ir.Table | None
    base: str


def convert(  # noqa: PLR0913 - each is an independent part of the question
    rows: ir.Table,
    rates: Rates,
    *,
    wanted: str,
    present: tuple[str, str] | None,
    zone: str,
    amounts: Sequence[str] = ("amount",),
    moment: str = "ordered_at",
) -> Conversion:
    """Bring the columns of `amounts` into the wanted currency, at the rate of the local day of `moment`.

    Columns in: currency, `amounts`, `moment`. `present` is the least and greatest currency code among the rows.
    Money that is all in one other currency and cannot be converted is reported as it is, with a warning; several
    currencies are never added together, so rows without a rate are then left out.
    """
    if present is None or present == (wanted, wanted):
        return Conversion(rows, wanted)
    rows = rows.mutate(currency=rows.currency.fill_null(wanted))
    priced = (
        rows.mutate(rate=_same(rows, wanted))
        if rates.table is None
        else _priced(rows, rates, wanted, _Day(moment, zone))
    )
    counts = priced.aggregate(total=priced.count(), lost=priced.rate.isnull().sum()).to_pyarrow().to_pylist()[0]
    lost = counts["lost"] or 0
    if present[0] == present[1] and lost == counts["total"]:
        detail = f"All money is in {present[0]} and no rate brings it into {wanted}; it is reported in {present[0]}."
        return Conversion(rows, present[0], warnings=(result.ResultWarning("other-currency", detail),))
    kept = priced.filter(priced.rate.notnull())
    converted = {name: _converted(kept, name, wanted) for name in amounts}
    table = kept.mutate(**converted).drop("rate", *({PER} & set(kept.columns)))
    return Conversion(table, wanted, lost, _warn(lost, wanted, known=rates.table is not None))


def _converted(rows: ir.Table, name: str, wanted: str) -> ir.Value:
    own = rows[name].cast(_EXACT)
    worth = own * rows.rate
    if PER in rows.columns:
        # Division is the one inexact step, and so the last one.
        worth = worth.cast("float64") / rows[PER].cast("float64")
    return ibis.ifelse(rows.currency == wanted, own, worth.round(8).cast(_EXACT))


def _warn(lost: int, wanted: str, *, known: bool) -> tuple[result.ResultWarning, ...]:
    if not lost:
        return ()
    why = "fx_rates has no rate for their currency on or before their day" if known else "there are no fx_rates"
    detail = f"{lost} rows are in other currencies than {wanted} and left out, because {why}."
    return (result.ResultWarning("unconverted", detail),)


def _one() -> ir.Scalar:
    return ibis.literal(1).cast(_RATE)


def _same(rows: ir.Table, wanted: str) -> ir.Value:
    return ibis.ifelse(rows.currency == wanted, _one(), ibis.null().cast(_RATE))


@dataclass(frozen=True, slots=True)
class _Day:
    """The day whose rate counts: the local day of an instant, or a column that is a day already."""

    moment: str
    zone: str

    def of(self, rows: ir.Table) -> ir.DateValue:
        column = rows[self.moment]
        return column if column.type().is_date() else calendar.local_date(column, self.zone)


def _priced(rows: ir.Table, rates: Rates, wanted: str, day: _Day) -> ir.Table:
    """Add `rate`: units of the base currency for one of the row's, by the latest rates on or before its local day.

    Where another currency than the base is wanted, `PER` is the same of the wanted one. A rate that is not above zero is none.
    """
    table = rates.table
    if table is None:
        return rows.mutate(rate=_same(rows, wanted))
    table = table.filter(table.rate > 0)
    rows = rows.mutate(day=day.of(rows))
    own = table.select(rate_currency="currency", rate_on="on", own_rate=table.rate.cast(_RATE))
    priced = rows.asof_join(own, on=rows.day >= own.rate_on, predicates=[rows.currency == own.rate_currency])
    rate = ibis.ifelse(priced.currency == rates.base, _one(), priced.own_rate)
    if wanted != rates.base:
        other = table.filter(table.currency == wanted)
        target = other.select(wanted_on="on", wanted_rate=other.rate.cast(_RATE))
        priced = priced.mutate(own_rate=rate)
        priced = priced.asof_join(target, on=priced.day >= target.wanted_on)
        rate = ibis.ifelse(priced.wanted_rate.notnull(), priced.own_rate, ibis.null().cast(_RATE))
        priced = priced.mutate(**{PER: priced.wanted_rate})
    priced = priced.mutate(rate=ibis.ifelse(priced.currency == wanted, _one(), rate))
    kept = [name for name in priced.columns if name == PER or (name in rows.columns and name != "day")]
    return priced.select(*kept, "rate")
