"""Whether an alert holds for a value, and what that makes of its state: fired once when it crosses, over once when it is back."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from analytics.catalogue import alerts, thresholds
from analytics.catalogue.alerts import Alert, Kind


class State(StrEnum):
    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"


class Verdict(StrEnum):
    """What one run says."""

    HOLDS = "holds"
    OVER = "over"

    BETWEEN = "between"
    """It does not hold, and is not over either: whatever fires goes on."""

    UNKNOWN = "unknown"
    """There is nothing to compare."""


class MisjudgedError(ValueError):
    """A value cannot be compared as the alert wants; a sentence."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The slot that ages are reckoned from, and the zone whose days dates are."""

    due_at: datetime
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Step:
    """A state, and for how many runs in a row the other one has shown."""

    state: State = State.OK
    streak: int = 0


def step(at: Step, verdict: Verdict, *, after: int, recovers_after: int) -> Step:
    """Return what a state becomes by one more run."""
    if verdict is Verdict.UNKNOWN:
        return at
    if at.state is State.FIRING:
        if verdict is not Verdict.OVER:
            return Step(State.FIRING)
        return Step() if at.streak + 1 >= recovers_after else Step(State.FIRING, at.streak + 1)
    if verdict is not Verdict.HOLDS:
        return Step()
    return Step(State.FIRING) if at.streak + 1 >= after else Step(State.PENDING, at.streak + 1)


def judge(alert: Alert, value: Any, previous: Any, clock: Clock) -> Verdict:
    """Say what an alert makes of a value: a `Decimal` for every number, None where there is none.

    Raises:
        MisjudgedError: it is of another kind than the alert is about.
    """
    if alert.when.kind is Kind.MISSING:
        return _either(value is None)
    if value is None:
        return Verdict.UNKNOWN
    match alert.when.kind:
        case Kind.CHANGE:
            return _either(previous is not None and _has_changed(alert, _number(value), _number(previous)))
        case Kind.AGE:
            return _either(clock.due_at - _end(value, clock.zone) > alerts.age(alert.when.value))
        case _:
            return _threshold(alert, value)


def first_look(alert: Alert, clock: Clock) -> Callable[[Any], bool]:
    """Return whether an alert that compares with no other run holds for a value: `judge` for very many of them.

    Raises:
        MisjudgedError: a value is of another kind. What is returned raises it.
    """
    if alert.when.kind is not Kind.THRESHOLD:
        return lambda value: judge(alert, value, None, clock) is Verdict.HOLDS
    test = thresholds.test(alert.when.name, alert.when.value)

    def holds(value: Any) -> bool:
        try:
            return value is not None and test(value)
        except TypeError as error:
            raise _no_number() from error

    return holds


def _threshold(alert: Alert, value: Any) -> Verdict:
    try:
        if thresholds.holds(alert.when.name, alert.when.value, value):
            return Verdict.HOLDS
        is_over = alert.recovers is None or thresholds.holds(alert.recovers.name, alert.recovers.value, value)
    except TypeError as error:
        raise _no_number() from error
    return Verdict.OVER if is_over else Verdict.BETWEEN


def _has_changed(alert: Alert, value: Decimal, previous: Decimal) -> bool:
    """Whether it went so far up or down. From 0 every change is larger than any share."""
    change = value - previous
    share = alerts.share(alert.when.value)
    wanted = Decimal(str(alert.when.value)) if share is None else share * abs(previous)
    match alert.when.name:
        case "rises_by":
            return change > 0 and change >= wanted
        case "falls_by":
            return change < 0 and -change >= wanted
        case _:
            return change != 0 and abs(change) >= wanted


def _end(value: Any, zone: str) -> datetime:
    """Return the moment that a time is, or at which a day is over."""
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=ZoneInfo("UTC"))
    if isinstance(value, date):
        return datetime.combine(value + timedelta(days=1), time(), ZoneInfo(zone))
    raise MisjudgedError("The value is neither a date nor a time, so that it has no age.")


def _parsed(text: str) -> date | datetime:
    try:
        return date.fromisoformat(text) if len(text) == len("2026-11-22") else datetime.fromisoformat(text)
    except ValueError as error:
        raise MisjudgedError("The value is neither a date nor a time, so that it has no age.") from error


def _number(value: Any) -> Decimal:
    if not isinstance(value, Decimal):
        raise _no_number()
    return value


def _no_number() -> MisjudgedError:
    return MisjudgedError("The value is not a number, and cannot be compared as one.")


def _either(holds: bool) -> Verdict:  # noqa: FBT001 - a truth is all it turns into a verdict
    return Verdict.HOLDS if holds else Verdict.OVER
