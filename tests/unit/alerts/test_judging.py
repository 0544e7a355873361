"""What runs make of an alert's state, against a plain telling of the same rules; and thresholds as sets of numbers."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from analytics.alerts import judging
from analytics.alerts.judging import Clock, MisjudgedError, State, Step, Verdict
from analytics.catalogue import thresholds
from analytics.catalogue.alerts import Alert, Kind

NOON = Clock(datetime(2026, 11, 22, 12, tzinfo=UTC), "Europe/London")
NUMBERS = st.integers(-3, 3).map(Decimal)
PAIRS = st.tuples(NUMBERS, NUMBERS).map(lambda pair: tuple(sorted(pair)))
THRESHOLDS = st.one_of(
    st.tuples(st.sampled_from(["above", "at_least", "below", "at_most", "equals", "differs_from"]), NUMBERS),
    st.tuples(st.sampled_from(["outside", "inside"]), PAIRS),
)
# Every number at which something can change for whole bounds, and those between.
AXIS = [Decimal(half) / 2 for half in range(-9, 10)]


def holds(name: str, bound: Any, number: Decimal) -> bool:
    """What a threshold means, said as plainly as can be."""
    means: dict[str, Callable[[], bool]] = {
        "above": lambda: number > bound,
        "at_least": lambda: number >= bound,
        "below": lambda: number < bound,
        "at_most": lambda: number <= bound,
        "equals": lambda: number == bound,
        "differs_from": lambda: number != bound,
        "outside": lambda: number < bound[0] or number > bound[1],
        "inside": lambda: bound[0] <= number <= bound[1],
    }
    return means[name]()


def written(name: str, bound: Any) -> dict[str, Any]:
    """Return a threshold as JSON has it."""
    return {name: list(map(str, bound)) if isinstance(bound, tuple) else str(bound)}


def fires(verdicts: list[Verdict], *, after: int, recovers_after: int) -> list[bool]:
    """Return after each run whether it fires: by a look at the runs before, and not by counting along."""
    known = []
    firing = [False]
    since = 0
    for verdict in verdicts:
        if verdict is Verdict.UNKNOWN:
            firing.append(firing[-1])
            continue
        known.append(verdict)
        wanted, count = (Verdict.OVER, recovers_after) if firing[-1] else (Verdict.HOLDS, after)
        last = known[since:][-count:]
        turns = len(last) == count and all(one is wanted for one in last)
        firing.append(firing[-1] is not turns)
        if turns:
            since = len(known)
    return firing[1:]


@settings(deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(Verdict), max_size=30), st.integers(1, 4), st.integers(1, 4))
def test_it_fires_once_and_recovers_once_as_a_plain_telling_says(
    verdicts: list[Verdict], after: int, recovers_after: int
) -> None:
    at, found = Step(), []
    for verdict in verdicts:
        at = judging.step(at, verdict, after=after, recovers_after=recovers_after)
        found.append(at.state is State.FIRING)
    assert found == fires(verdicts, after=after, recovers_after=recovers_after)
    # It is told of changes: never twice of the same.
    told = [now for before, now in pairwise([False, *found]) if before is not now]
    assert told == [number % 2 == 0 for number in range(len(told))]


@settings(deadline=None, derandomize=True)
@given(THRESHOLDS, st.sampled_from(AXIS))
def test_a_threshold_holds_where_it_says(threshold: tuple[str, Any], number: Decimal) -> None:
    assert thresholds.holds(*threshold, number) is holds(*threshold, number)


@settings(deadline=None, derandomize=True)
@given(THRESHOLDS, THRESHOLDS)
def test_two_thresholds_overlap_where_there_is_a_number_for_both(one: tuple[str, Any], other: tuple[str, Any]) -> None:
    both = any(holds(*one, number) and holds(*other, number) for number in AXIS)
    assert thresholds.overlap(*one, *other) is both
    assert thresholds.overlap(*other, *one) is both


@settings(deadline=None, derandomize=True)
@given(THRESHOLDS, THRESHOLDS, st.lists(st.sampled_from(AXIS), max_size=20))
def test_with_hysteresis_it_goes_on_until_it_is_over(
    when: tuple[str, Any], recovers: tuple[str, Any], values: list[Decimal]
) -> None:
    declared = {"name": "x", "when": written(*when), "recovers": written(*recovers)}
    if any(holds(*when, number) and holds(*recovers, number) for number in AXIS):
        with pytest.raises(ValidationError, match="must not hold"):
            Alert.model_validate(declared)
        return
    alert, at, firing = Alert.model_validate(declared), Step(), False
    for value in values:
        verdict = judging.judge(alert, value, None, NOON)
        at = judging.step(at, verdict, after=1, recovers_after=1)
        firing = (not holds(*recovers, value)) if firing else holds(*when, value)
        assert (at.state is State.FIRING) is firing


def alert(**of: Any) -> Alert:
    return Alert.model_validate({"name": "x", **of})


@pytest.mark.parametrize(
    ("when", "previous", "value", "is_told"),
    [
        ({"rises_by": "20%"}, "100", "120", True),
        ({"rises_by": "20%"}, "100", "119.99", False),
        ({"rises_by": "20%"}, "-100", "-80", True),
        ({"rises_by": "20%"}, "0", "0.01", True),
        ({"rises_by": "20%"}, "0", "0", False),
        ({"rises_by": "20%"}, "0", "-5", False),
        ({"falls_by": "50%"}, "0", "-0.01", True),
        ({"falls_by": "50%"}, "10", "5", True),
        ({"falls_by": 3}, "10", "7.01", False),
        ({"changes_by": "0.5"}, "10", "10.5", True),
        ({"changes_by": "0.5"}, "10", "9.51", False),
        ({"changes_by": "33.3%"}, "1000", "667", True),
    ],
)
def test_a_change_is_reckoned_exactly(when: dict[str, Any], previous: str, value: str, *, is_told: bool) -> None:
    verdict = judging.judge(alert(when=when), Decimal(value), Decimal(previous), NOON)
    assert verdict is (Verdict.HOLDS if is_told else Verdict.OVER)


def test_without_a_previous_value_there_is_no_change_and_without_a_value_nothing_is_known() -> None:
    rises = alert(when={"rises_by": 1})
    assert judging.judge(rises, Decimal(5), None, NOON) is Verdict.OVER
    assert judging.judge(rises, None, Decimal(5), NOON) is Verdict.UNKNOWN
    assert judging.judge(alert(when={"above": 1}), None, None, NOON) is Verdict.UNKNOWN
    assert judging.judge(alert(when={"missing": True}), None, None, NOON) is Verdict.HOLDS


@pytest.mark.parametrize(
    ("value", "older_than", "is_old"),
    [
        ("2026-11-22", "1 minutes", False),
        # That day is over at midnight in London: twelve hours before the slot.
        ("2026-11-21", "12 hours", False),
        ("2026-11-21", "11 hours", True),
        (datetime(2026, 11, 20, 12, tzinfo=UTC), "2 days", False),
        (datetime(2026, 11, 20, 11, 59, 59, tzinfo=UTC), "2 days", True),
        ("2026-11-20T11:00:00Z", "2 days", True),
        ("2026-11-23T11:00:00Z", "1 week", False),
    ],
)
def test_an_age_is_reckoned_from_the_slot(value: Any, older_than: str, *, is_old: bool) -> None:
    verdict = judging.judge(alert(when={"older_than": older_than}), value, None, NOON)
    assert verdict is (Verdict.HOLDS if is_old else Verdict.OVER)


@pytest.mark.parametrize(
    ("when", "value"), [({"above": 1}, "much"), ({"rises_by": 1}, "much"), ({"older_than": "1 day"}, "much")]
)
def test_what_cannot_be_compared_is_no_verdict(when: dict[str, Any], value: str) -> None:
    with pytest.raises(MisjudgedError):
        judging.judge(alert(when=when), value, Decimal(1), NOON)


@pytest.mark.parametrize(
    ("when", "value", "verdict"),
    [
        ({"equals": "open"}, "open", Verdict.HOLDS),
        ({"differs_from": "open"}, "open", Verdict.OVER),
        ({"equals": 5}, Decimal("5.00"), Verdict.HOLDS),
        ({"equals": "5.0"}, Decimal(5), Verdict.HOLDS),
        # Texts are texts, however much they look like numbers; and a truth is no number.
        ({"equals": "7"}, "007", Verdict.OVER),
        ({"equals": True}, True, Verdict.HOLDS),
        ({"equals": 1}, True, Verdict.OVER),
    ],
)
def test_equality_is_of_the_same_kind(when: dict[str, Any], value: Any, verdict: Verdict) -> None:
    assert judging.judge(alert(when=when), value, None, NOON) is verdict


def test_every_condition_is_of_a_kind() -> None:
    kinds = {
        Kind.THRESHOLD: {"above": 1},
        Kind.CHANGE: {"rises_by": 1},
        Kind.MISSING: {"missing": True},
        Kind.AGE: {"older_than": "1 day"},
    }
    assert {kind: alert(when=when).when.kind for kind, when in kinds.items()} == {kind: kind for kind in kinds}
