"""Rates of exchange on chosen days, for reports that value what is held and not what is paid."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from ibis.expr import types as ir

_PLACES = Decimal("0.0000000001")


@dataclass(frozen=True, slots=True)
class Rates:
    """The rates of some currencies into one.

    Attributes:
        wanted: what everything is valued in.
        base: what one unit in `series` is a number of units of.
        series: per currency the days of its rates, rising, and the rates.
    """

    wanted: str
    base: str
    series: Mapping[str, tuple[Sequence[date], Sequence[Decimal]]]

    def at(self, currency: str, day: date) -> Decimal | None:
        """Return units of the wanted currency for one unit by the latest rates on or before a day; None without."""
        if currency == self.wanted:
            return Decimal(1)
        own, target = self._in_base(currency, day), self._in_base(self.wanted, day)
        if own is None or not target:
            return None
        # Ten places are what a rate has.
        with localcontext(prec=50):
            return (own / target).quantize(_PLACES, rounding=ROUND_HALF_EVEN)

    def known_from(self, currency: str) -> date | None:
        """Return the day from which on `at` finds a rate; None: never. The wanted currency has one on every day."""
        if currency == self.wanted:
            return date.min
        firsts = [self._first(name) for name in (currency, self.wanted)]
        return None if None in firsts else max(first for first in firsts if first is not None)

    def _first(self, currency: str) -> date | None:
        if currency == self.base:
            return date.min
        return self.series[currency][0][0] if currency in self.series else None

    def _in_base(self, currency: str, day: date) -> Decimal | None:
        if currency == self.base:
            return Decimal(1)
        days, rates = self.series.get(currency, ((), ()))
        found = bisect_right(days, day)
        return rates[found - 1] if found else None


def read(table: ir.Table | None, currencies: Iterable[str], *, wanted: str, base: str) -> Rates:
    """Read the rates of some currencies from `fx_rates` (currency, on, rate); a rate of zero is none."""
    series: dict[str, tuple[list[date], list[Decimal]]] = {}
    if table is not None:
        names = sorted({*currencies, wanted} - {base})
        chosen = table.filter(table.currency.isin(names) & (table.rate > 0)) if names else table.limit(0)
        for row in chosen.select("currency", "on", "rate").order_by("currency", "on").to_pyarrow().to_pylist():
            days, rates = series.setdefault(row["currency"], ([], []))
            days.append(row["on"])
            rates.append(row["rate"])
    return Rates(wanted, base, series)
