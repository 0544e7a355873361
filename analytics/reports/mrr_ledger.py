"""The ledger of `mrr`: opening, movements and closing of each period, in exact money; nothing here asks the engine."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any

from analytics.reports import calendar, rates
from analytics.reports.movements import Kind

_PLACES = Decimal("0.00000001")
_NOTHING = Decimal(0)
_DAY = timedelta(days=1)
_CAME = (Kind.NEW, Kind.REACTIVATION)

# The currency of a row and its segments.
Group = tuple[str, tuple[str | None, ...]]


@dataclass(frozen=True, slots=True)
class Valuation:
    """What one unit of a currency is worth; without rates every currency stays what it is."""

    rates: rates.Rates | None
    periods: calendar.Calendar
    last_day: date

    def row_currency(self, currency: str) -> str:
        return currency if self.rates is None else self.rates.wanted

    def known_from(self, currency: str) -> date | None:
        """Return the first period on whose last day a currency has a worth; None where no period has."""
        first = date.min if self.rates is None else self.rates.known_from(currency)
        if first is None or first > self.last_day:
            return None
        return first if first == date.min else self.periods.first_day(first)

    def closing(self, currency: str, period: date) -> Decimal:
        """Return the worth on the last known day of a period, for a currency that has a rate by then."""
        rate = self._at(currency, self.end_of(period))
        if rate is None:
            raise LookupError(f"{currency} has no rate in {period}")
        return rate

    def opening(self, currency: str, period: date) -> Decimal:
        """Return the worth on the day before a period; where there was no rate yet, nothing was held either."""
        return self._at(currency, period - _DAY) or self.closing(currency, period)

    def end_of(self, period: date) -> date:
        return min(self.periods.step(period, 1) - _DAY, self.last_day)

    def _at(self, currency: str, day: date) -> Decimal | None:
        return Decimal(1) if self.rates is None else self.rates.at(currency, day)


@dataclass(frozen=True, slots=True)
class Entry:
    """One period of one group. Money is exact; `moved` has losses as negative amounts."""

    period: date
    group: Group
    start: Decimal
    moved: Mapping[Kind, Decimal]
    fx: Decimal
    end: Decimal
    customers: int
    people: Mapping[Kind, int]
    customers_before: int

    @property
    def adds_up(self) -> bool:
        with localcontext(prec=60):
            return self.start + sum(self.moved.values()) + self.fx == self.end and self.customers >= 0


@dataclass(slots=True)
class _Book:
    """What is known of one group: amounts by period, kind and currency, and people by period and kind."""

    amounts: dict[date, list[tuple[Kind, str, Decimal]]] = field(default_factory=lambda: defaultdict(list))
    people: dict[date, dict[Kind, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    steps: dict[date, int] = field(default_factory=lambda: defaultdict(int))


def books(net: Iterable[Mapping[str, Any]], segments: Sequence[str], valuation: Valuation) -> dict[Group, "_Book"]:
    """Sort what the engine found into groups, by currency and segments, those without a segment last."""
    found: dict[Group, _Book] = {}
    for row in net:
        group = (valuation.row_currency(row["currency"]), tuple(row[name] for name in segments))
        book, period, kind = found.setdefault(group, _Book()), row["period"], Kind(row["kind"])
        book.amounts[period].append((kind, row["currency"], row["amount"]))
        book.people[period][kind] += row["people"]
        book.steps[period] += row["step"]
    return {group: found[group] for group in sorted(found, key=_in_order)}


def _in_order(group: Group) -> tuple[str, list[tuple[bool, str]]]:
    return group[0], [(name is None, name or "") for name in group[1]]


def entries(group: Group, book: "_Book", span: Sequence[date], valuation: Valuation) -> Iterator[Entry]:
    """Yield an entry for every period of the span, oldest first; the span begins no later than the first movement."""
    levels: dict[str, Decimal] = defaultdict(lambda: _NOTHING)
    start, customers = _NOTHING, 0
    with localcontext(prec=60):
        for period in span:
            moved = dict.fromkeys(Kind, _NOTHING)
            came: dict[str, Decimal] = defaultdict(lambda: _NOTHING)
            for kind, currency, amount in book.amounts.get(period, ()):
                worth = valuation.closing if kind in _CAME else valuation.opening
                moved[kind] += amount * worth(currency, period)
                levels[currency] += amount
                came[currency] += amount if kind in _CAME else _NOTHING
            closing = {currency: valuation.closing(currency, period) for currency in levels}
            fx = sum(
                (
                    (level - came[currency]) * (closing[currency] - valuation.opening(currency, period))
                    for currency, level in levels.items()
                ),
                _NOTHING,
            )
            end = sum((level * closing[currency] for currency, level in levels.items()), _NOTHING)
            before, customers = customers, customers + book.steps.get(period, 0)
            people = {kind: book.people[period][kind] if period in book.people else 0 for kind in Kind}
            yield Entry(period, group, start, moved, fx, end, customers, people, before)
            start = end


def together(entries_of_groups: Sequence[Entry], group: Group) -> Entry:
    """Add up the entries of one period and currency; a customer in several segments is counted in each."""
    with localcontext(prec=60):
        return Entry(
            entries_of_groups[0].period,
            group,
            sum((entry.start for entry in entries_of_groups), _NOTHING),
            {kind: sum((entry.moved[kind] for entry in entries_of_groups), _NOTHING) for kind in Kind},
            sum((entry.fx for entry in entries_of_groups), _NOTHING),
            sum((entry.end for entry in entries_of_groups), _NOTHING),
            sum(entry.customers for entry in entries_of_groups),
            {kind: sum(entry.people[kind] for entry in entries_of_groups) for kind in Kind},
            sum(entry.customers_before for entry in entries_of_groups),
        )


def cells_of(entry: Entry, *, complete: bool) -> dict[str, Any]:
    """Return the cells of a row: money to eight places, `fx` taking up what rounding leaves."""
    with localcontext(prec=60):
        money = {kind: _rounded(amount) for kind, amount in entry.moved.items()}
        start, end = _rounded(entry.start), _rounded(entry.end)
        kept = start + money[Kind.CONTRACTION] + money[Kind.CHURN]
        rated = complete and start > 0
        return {
            "period": entry.period,
            "currency": entry.group[0],
            "start": start,
            "new": money[Kind.NEW],
            "reactivation": money[Kind.REACTIVATION],
            "expansion": money[Kind.EXPANSION],
            "contraction": -money[Kind.CONTRACTION],
            "churn": -money[Kind.CHURN],
            "fx": end - start - sum(money.values()),
            "end": end,
            "grr": float(kept / start) if rated else None,
            "nrr": float((kept + money[Kind.EXPANSION]) / start) if rated else None,
            "arr": 12 * end,
            "customers": entry.customers,
            "complete": complete,
            "transfer": money[Kind.TRANSFER],
            "new_customers": entry.people[Kind.NEW],
            "reactivated_customers": entry.people[Kind.REACTIVATION],
            "expanded_customers": entry.people[Kind.EXPANSION],
            "contracted_customers": entry.people[Kind.CONTRACTION],
            "churned_customers": entry.people[Kind.CHURN],
        }


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(_PLACES, rounding=ROUND_HALF_EVEN) + _NOTHING
