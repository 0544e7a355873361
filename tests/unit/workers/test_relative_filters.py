"""Relative dates in a filter: resolved where a column has dates, left alone where it has not, refused where they are none."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from analytics.datasets.schemas import ColumnKind
from workers.schedules import relative_filters
from workers.schedules.relative import Slot

# A Sunday, six in the morning in London.
SLOT = Slot(datetime(2026, 11, 22, 6, 0, tzinfo=UTC), ZoneInfo("Europe/London"))
KINDS = {"ordered_at": ColumnKind.TIMESTAMP, "signed_on": ColumnKind.DATE, "status": ColumnKind.TEXT}


def leaf(op: str, value: Any, column: str = "ordered_at") -> dict[str, Any]:
    return {"column": column, "op": op, "value": value}


def resolve(raw: Any) -> tuple[Any, list[tuple[str, str]]]:
    found, wrong = relative_filters.resolve(raw, slot=SLOT, kinds=KINDS)
    return found, [(error.pointer, error.code) for error in wrong]


@pytest.mark.parametrize(
    ("given", "means"),
    [
        (leaf("ge", "today - 7 days"), leaf("ge", "2026-11-15")),
        (leaf("lt", "now"), leaf("lt", "2026-11-22T06:00:00Z")),
        (leaf("between", ["start_of_month", "today"]), leaf("between", ["2026-11-01", "2026-11-22"])),
        (leaf("in", ["yesterday", "2026-01-01"], "signed_on"), leaf("in", ["2026-11-21", "2026-01-01"], "signed_on")),
        (
            {"or": [{"not": leaf("lt", "start_of_year")}, leaf("eq", "today", "status")]},
            {"or": [{"not": leaf("lt", "2026-01-01")}, leaf("eq", "today", "status")]},
        ),
        (leaf("eq", "today", "of_nobody_knows_what"), leaf("eq", "today", "of_nobody_knows_what")),
        (leaf("is_null", value=True), leaf("is_null", value=True)),
        (leaf("contains", "today"), leaf("contains", "today")),
        (leaf("ge", 7), leaf("ge", 7)),
    ],
)
def test_what_is_compared_with_dates_is_resolved_and_nothing_else(given: Any, means: Any) -> None:
    assert resolve(given) == (means, [])


@pytest.mark.parametrize(
    ("given", "pointer", "code"),
    [
        (leaf("ge", "todya"), "#/params/filter/value", "relative-date"),
        (leaf("ge", "today - 7 fortnights"), "#/params/filter/value", "relative-date"),
        (
            {"and": [leaf("ge", "today"), leaf("in", ["today", "soon"])]},
            "#/params/filter/and/1/value/1",
            "relative-date",
        ),
        ({"not": leaf("eq", "now", "signed_on")}, "#/params/filter/not/value", "filter-date"),
        (leaf("eq", "2026-02-30"), "#/params/filter/value", "filter-date"),
        (leaf("eq", "2026-02-03T04:05:06Z", "signed_on"), "#/params/filter/value", "filter-date"),
    ],
)
def test_what_is_no_date_is_refused_where_it_is(given: Any, pointer: str, code: str) -> None:
    assert resolve(given)[1] == [(pointer, code)]


@pytest.mark.parametrize(
    "given", [None, 7, "today", [leaf("ge", "today")], {"and": [None, 7]}, {"column": "ordered_at"}]
)
def test_what_is_no_filter_is_left_to_who_validates_it(given: Any) -> None:
    assert resolve(given) == (given, [])


def test_a_tree_too_deep_to_go_into_is_left_alone() -> None:
    deep = leaf("ge", "today")
    for _ in range(2_000):
        deep = {"not": deep}
    assert relative_filters.resolve(deep, slot=SLOT, kinds=KINDS)[0] is deep
    assert not relative_filters.is_written(deep)
