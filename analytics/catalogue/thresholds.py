"""Thresholds as sets of values: whether one holds for a value, and whether two can hold for the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

_NUMERIC_ONLY = frozenset({"above", "at_least", "below", "at_most", "outside", "inside"})


@dataclass(frozen=True, slots=True)
class _Interval:
    """Numbers between two bounds, each of which belongs to it or not; None: no bound."""

    low: Decimal | None = None
    high: Decimal | None = None
    with_low: bool = False
    with_high: bool = False

    def has(self, number: Decimal) -> bool:
        above = self.low is None or number > self.low or (self.with_low and number == self.low)
        below = self.high is None or number < self.high or (self.with_high and number == self.high)
        return above and below

    def meets(self, other: "_Interval") -> bool:
        return self.begins_before_end_of(other) and other.begins_before_end_of(self)

    def begins_before_end_of(self, other: "_Interval") -> bool:
        """Whether this one begins before the other ends."""
        if self.low is None or other.high is None or self.low < other.high:
            return True
        return self.low == other.high and self.with_low and other.with_high


def holds(name: str, wanted: Any, found: Any) -> bool:
    """Tell whether a threshold holds for a value that is there: a `Decimal` for every number, else a text or a truth.

    Raises:
        TypeError: the value is not a number, and the threshold is about numbers.
    """
    return test(name, wanted)(found)


def test(name: str, wanted: Any) -> Callable[[Any], bool]:
    """Return `holds` for one threshold and many values."""
    if name not in _NUMERIC_ONLY:
        number, plain, is_equals = as_number(wanted), _plain(wanted), name == "equals"
        return lambda found: (found == number if isinstance(found, Decimal) else _plain(found) == plain) is is_equals
    intervals = _intervals(name, wanted)

    def is_within(found: Any) -> bool:
        if not isinstance(found, Decimal):
            raise TypeError("not a number")
        return any(interval.has(found) for interval in intervals)

    return is_within


def overlap(name: str, wanted: Any, other: str, other_wanted: Any) -> bool:
    """Tell whether there is a value for which both hold."""
    texts = [
        (of == "equals", _plain(value))
        for of, value in ((name, wanted), (other, other_wanted))
        if of not in _NUMERIC_ONLY and as_number(value) is None
    ]
    if not texts:
        return any(
            one.meets(another) for one in _intervals(name, wanted) for another in _intervals(other, other_wanted)
        )
    if len(texts) == 1:
        # One is about numbers: who says "equals a text" is never such, who says "differs from it" always is.
        return not texts[0][0]
    (is_first, first), (is_second, second) = texts
    if is_first and is_second:
        return bool(first == second)
    return not (is_first or is_second) or bool(first != second)


def suits(name: str, wanted: Any, *, is_number: bool) -> bool:
    """Tell whether a threshold can be asked of a column of numbers, or of another."""
    if name in _NUMERIC_ONLY:
        return is_number
    return not is_number or as_number(wanted) is not None


def as_number(value: Any) -> Decimal | None:
    """Return the number that a value is, exactly as it is printed; None: it is none."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _intervals(name: str, wanted: Any) -> tuple[_Interval, ...]:
    if name in {"outside", "inside"}:
        low, high = wanted
        if name == "inside":
            return (_Interval(low, high, with_low=True, with_high=True),)
        return (_Interval(high=low), _Interval(low=high))
    number = as_number(wanted)
    known: Mapping[str, tuple[_Interval, ...]] = {
        "above": (_Interval(low=number),),
        "at_least": (_Interval(low=number, with_low=True),),
        "below": (_Interval(high=number),),
        "at_most": (_Interval(high=number, with_high=True),),
        "equals": (_Interval(number, number, with_low=True, with_high=True),),
        "differs_from": (_Interval(high=number), _Interval(low=number)),
    }
    return known[name]


def _plain(value: Any) -> Any:
    return ("bool", value) if isinstance(value, bool) else value
