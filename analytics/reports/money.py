"""One currency for a report: rows in others are converted at the rate of their day, or left out and counted."""

from dataclasses import dataclass

import ibis
from ibis.expr import types as ir

from analytics import result
from analytics.reports import calendar

# Decimals of a converted amount: as many as the amount of a line has.
_EXACT = "decimal(38, 8)"
# As many digits as an amount, because Ibis multiplies decimals only when one type holds the other.
_RATE = "decimal(38, 10)"


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


def convert(
    rows: ir.Table, rates: ir.Table | None, *, wanted: str, present: tuple[str, str] | None, zone: str
) -> Conversion:
    """Bring `amount` into the wanted currency.

    Columns in: currency, amount, ordered_at. `present` is the least and greatest currency code among the rows.
    Money that is in one other currency and cannot be converted is reported as it is, with a warning; where there
    are several currencies they are never added together, so rows without a rate are left out.
    """
    if present is None or present == (wanted, wanted):
        return Conversion(rows, wanted)
    if rates is None and present[0] == present[1]:
        detail = f"All money is in {present[0]} and there are no fx_rates to report it in {wanted}; it is reported in {present[0]}."
        return Conversion(rows, present[0], warnings=(result.ResultWarning("other-currency", detail),))
    rows = rows.mutate(currency=rows.currency.fill_null(wanted))
    priced = (
        rows.mutate(rate=_same(rows, wanted)) if rates is None else _with_rates(rows, rates, wanted=wanted, zone=zone)
    )
    lost = int(priced.filter(priced.rate.isnull()).count().to_pyarrow().as_py())
    kept = priced.filter(priced.rate.notnull())
    own = kept.amount.cast(_EXACT)
    kept = kept.mutate(amount=ibis.ifelse(kept.currency == wanted, own, (own * kept.rate).round(8).cast(_EXACT))).drop(
        "rate"
    )
    return Conversion(kept, wanted, lost, _warn(lost, wanted, known=rates is not None))


def _warn(lost: int, wanted: str, *, known: bool) -> tuple[result.ResultWarning, ...]:
    if not lost:
        return ()
    why = "fx_rates has no rate for their currency on or before their day" if known else "there are no fx_rates"
    detail = f"{lost} rows are in other currencies than {wanted} and left out, because {why}."
    return (result.ResultWarning("unconverted", detail),)


def _same(rows: ir.Table, wanted: str) -> ir.Value:
    return ibis.ifelse(rows.currency == wanted, ibis.literal(1).cast(_RATE), ibis.null().cast(_RATE))


def _with_rates(rows: ir.Table, rates: ir.Table, *, wanted: str, zone: str) -> ir.Table:
    """Add `rate`: units of the wanted currency for one of the row's, by the latest rates on or before its local day.

    Rates are in units of one base currency, which has none itself: a wanted currency without rates is that base.
    """
    rows = rows.mutate(day=calendar.local_date(rows.ordered_at, zone))
    own = rates.select(rate_currency="currency", rate_on="on", own_rate=rates.rate.cast(_RATE))
    priced = rows.asof_join(own, on=rows.day >= own.rate_on, predicates=[rows.currency == own.rate_currency])
    priced = priced.drop("rate_currency", "rate_on")
    wanted_rates = rates.filter(rates.currency == wanted)
    if int(wanted_rates.count().to_pyarrow().as_py()) == 0:
        rate = priced.own_rate
    else:
        target = wanted_rates.select(wanted_on="on", wanted_rate=wanted_rates.rate.cast(_RATE))
        priced = priced.asof_join(target, on=priced.day >= target.wanted_on).drop("wanted_on")
        rate = (priced.own_rate.cast("float64") / priced.wanted_rate.cast("float64")).round(10).cast(_RATE)
    rate = ibis.ifelse(priced.currency == wanted, ibis.literal(1).cast(_RATE), rate)
    return priced.mutate(rate=rate).drop(
        "day", *[name for name in ("own_rate", "wanted_rate") if name in priced.columns]
    )
