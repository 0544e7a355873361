"""What an alert may be declared as, what is refused and where, and how it reads."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from analytics.catalogue import alert_checks, alert_words, alerts
from analytics.catalogue.alerts import Alert
from analytics.catalogue.columns import ColumnType
from workers import field_errors

KINDS = {
    "month": ColumnType.TEXT,
    "net": ColumnType.DECIMAL,
    "at": ColumnType.TIMESTAMP,
    "open": ColumnType.BOOLEAN,
    "unknown": None,
}


def alert(**of: Any) -> Alert:
    return Alert.model_validate({"name": "x", **of})


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"when": {}}, "#/when"),
        ({"when": {"above": 1, "below": 2}}, "#/when"),
        ({"when": {"above": None}}, "#/when"),
        ({"when": {"above": True}}, "#/when/above"),
        ({"when": {"above": "much"}}, "#/when/above"),
        ({"when": {"above": "NaN"}}, "#/when/above"),
        ({"when": {"above": "1e40"}}, "#/when/above"),
        ({"when": {"outside": [2, 1]}}, "#/when/outside"),
        ({"when": {"rises_by": 0}}, "#/when/rises_by"),
        ({"when": {"rises_by": "-5%"}}, "#/when/rises_by"),
        ({"when": {"rises_by": "0%"}}, "#/when/rises_by"),
        ({"when": {"rises_by": "Infinity"}}, "#/when/rises_by"),
        ({"when": {"missing": False}}, "#/when/missing"),
        ({"when": {"older_than": "2 months"}}, "#/when/older_than"),
        ({"when": {"older_than": "0 days"}}, "#/when/older_than"),
        ({"when": {"above": 1}, "recovers": {"above": 2}}, "#/recovers"),
        ({"when": {"above": 1}, "recovers": {"below": 2}}, "#/recovers"),
        ({"when": {"missing": True}, "recovers": {"above": 2}}, "#/recovers"),
        ({"when": {"rises_by": 1}, "recovers": {"above": 2}}, "#/recovers"),
        ({"when": {"above": 1}, "recovers": {"missing": True}}, "#/recovers/missing"),
        ({"when": {"above": 1}, "after": 0}, "#/after"),
        ({"when": {"above": 1}, "after": "2"}, "#/after"),
        ({"when": {"above": 1}, "of": {}}, "#/of"),
        ({"when": {"above": 1}, "of": {"column": "net"}}, "#/of"),
        ({"when": {"above": 1}, "of": {"column": "net", "each": ["a"], "take": "sum"}}, "#/of/each"),
        ({"when": {"above": 1}, "of": {"column": "net", "each": []}}, "#/of/each"),
        ({"when": {"above": 1}, "of": {"column": "net", "each": ["a", "a"]}}, "#/of/each"),
        ({"when": {"above": 1}, "of": {"column": "net", "take": "median"}}, "#/of/take"),
        ({"when": {"above": 1}, "of": {"rows": "count", "where": {"column": "a"}}}, "#/of/where"),
        ({"when": {"above": 1}, "colour": "red"}, "#/colour"),
        ({"when": {"above": 1}, "name": ""}, "#/name"),
        ({"when": {"above": 1}, "name": "a\nb"}, "#/name"),
    ],
)
def test_what_is_wrong_is_pointed_at(given: dict[str, Any], pointer: str) -> None:
    raw = {"name": "x", **given}
    with pytest.raises(ValidationError) as raised:
        Alert.model_validate(raw)
    assert [one.pointer for one in field_errors.of_validation(raised.value, raw)] == [pointer]


@pytest.mark.parametrize(
    ("given", "figure", "condition"),
    [
        ({"when": {"above": 10}}, "number of rows", "above 10"),
        ({"of": {"summary": "totals.net"}, "when": {"below": "0.10"}}, "totals net", "below 0.10"),
        ({"of": {"column": "net", "take": "sum"}, "when": {"outside": [1, 2.5]}}, "sum of net", "below 1 or above 2.5"),
        (
            {"of": {"column": "net", "each": ["by_country"]}, "when": {"rises_by": "20 %"}},
            "net of each by country",
            "up by 20% or more",
        ),
        ({"when": {"missing": True}}, "number of rows", "missing"),
        ({"when": {"equals": True}}, "number of rows", "equal to true"),
        ({"when": {"older_than": "36 hours"}}, "number of rows", "older than 36 hours"),
    ],
)
def test_it_reads_as_people_would_say_it(given: dict[str, Any], figure: str, condition: str) -> None:
    declared = alert(**given)
    assert (alert_words.figure(declared.of), alert_words.condition(declared.when)) == (figure, condition)
    # What is kept is the same again, and the same however it was written.
    assert Alert.model_validate(declared.as_json()) == declared
    assert Alert.model_validate(declared.as_json()).as_json() == declared.as_json()


def test_every_condition_has_words() -> None:
    bounds: dict[str, Any] = {"outside": [1, 2], "inside": [1, 2], "missing": True, "older_than": "1 day"}
    for name in alerts.Condition.model_fields:
        assert alert_words.condition(alert(when={name: bounds.get(name, 5)}).when)


@pytest.mark.parametrize(
    ("given", "path", "code"),
    [
        ({"of": {"column": "gross", "take": "sum"}, "when": {"above": 1}}, "/of/column", "unknown-column"),
        ({"of": {"column": "net", "each": ["month", "x"]}, "when": {"above": 1}}, "/of/each/1", "unknown-column"),
        ({"of": {"column": "month", "take": "mean"}, "when": {"missing": True}}, "/of/take", "alert-type"),
        ({"of": {"column": "month", "take": "last"}, "when": {"above": 1}}, "/when/above", "alert-type"),
        ({"of": {"column": "net", "take": "last"}, "when": {"equals": "x"}}, "/when/equals", "alert-type"),
        (
            {"of": {"column": "month", "take": "last"}, "when": {"equals": "x"}, "recovers": {"inside": [1, 2]}},
            "/recovers/inside",
            "alert-type",
        ),
        ({"of": {"column": "net", "take": "max"}, "when": {"older_than": "1 day"}}, "/when/older_than", "alert-type"),
        ({"of": {"column": "at", "take": "max"}, "when": {"rises_by": 1}}, "/when/rises_by", "alert-type"),
        (
            {"of": {"rows": "count", "where": {"column": "gross", "op": "eq", "value": 1}}, "when": {"above": 1}},
            "/of/where/column",
            "unknown-column",
        ),
    ],
)
def test_what_does_not_suit_the_columns_is_pointed_at(given: dict[str, Any], path: str, code: str) -> None:
    assert [(one.path, one.code) for one in alert_checks.misfits(alert(**given), KINDS, zone="UTC")] == [(path, code)]


@pytest.mark.parametrize(
    "given",
    [
        {"of": {"summary": "anything"}, "when": {"above": 1}},
        {"of": {"column": "net", "each": ["month"]}, "when": {"changes_by": "5%"}},
        {"of": {"column": "month", "take": "last"}, "when": {"differs_from": "5"}},
        {"of": {"column": "open", "take": "last"}, "when": {"equals": False}},
        {"of": {"column": "at", "take": "max"}, "when": {"older_than": "1 day"}},
        {"of": {"column": "month", "each": ["month"]}, "when": {"missing": True}},
        {"of": {"column": "unknown", "take": "sum"}, "when": {"older_than": "1 day"}},
    ],
)
def test_what_suits_the_columns_is_taken(given: dict[str, Any]) -> None:
    assert list(alert_checks.misfits(alert(**given), KINDS, zone="UTC")) == []


def test_names_that_repeat_are_found() -> None:
    named = [Alert.model_validate({"name": name, "when": {"above": 1}}) for name in "abab"]
    assert list(alerts.repeated_names(named)) == [2, 3]


def test_shares_are_exact() -> None:
    assert alerts.share("0.1%") == Decimal("0.001")
    assert alerts.share(5) is None
