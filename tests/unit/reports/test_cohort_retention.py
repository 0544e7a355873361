"""Edges of `cohort_retention`: the triangle, what is unobserved, measures and criteria, sign-ups."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from analytics import errors, result

Ask = Callable[..., result.Result]
MakeOrder = Callable[..., dict[str, Any]]
Rows = Sequence[Mapping[str, Any]]

VISITS = [
    ("1", "anna", "2024-01-10", "10"),
    ("2", "bert", "2024-01-20", "20"),
    ("3", "anna", "2024-03-05", "30"),
    ("4", "cleo", "2024-02-10", "40"),
    ("5", "cleo", "2024-03-11", "5"),
    ("6", "cleo", "2024-03-12", "5"),
]


def _column(answer: result.Result, name: str) -> dict[tuple[int, int], object]:
    return {(row["cohort"].month, row["period_index"]): row[name] for row in answer.rows.to_pylist()}


def _holds(answer: result.Result) -> bool:
    return bool(answer.invariants) and all(invariant.holds for invariant in answer.invariants)


@pytest.fixture
def visits(order: MakeOrder) -> Rows:
    return [order(*visit) for visit in VISITS]


def test_triangle(ask: Ask, visits: Rows) -> None:
    answer = ask("cohort_retention", {}, orders=visits)
    assert _column(answer, "active") == {(1, 0): 2, (1, 1): 0, (1, 2): 1, (2, 0): 1, (2, 1): 1, (2, 2): None}
    assert _column(answer, "complete") == {
        (1, 0): True,
        (1, 1): True,
        (1, 2): False,
        (2, 0): True,
        (2, 1): False,
        (2, 2): False,
    }
    assert _column(answer, "rate")[1, 2] == 0.5
    assert _column(answer, "revenue")[2, 1] == Decimal(10)
    assert _holds(answer)


def test_means_leave_out_incomplete_cells(ask: Ask, visits: Rows) -> None:
    means = ask("cohort_retention", {}, orders=visits).summary["weighted_mean"]
    assert means == [
        {"period_index": 0, "rate": 1.0, "cohorts": 2},
        {"period_index": 1, "rate": 0.0, "cohorts": 1},
        {"period_index": 2, "rate": None, "cohorts": 0},
    ]


def test_on_or_after(ask: Ask, visits: Rows) -> None:
    answer = ask("cohort_retention", {"criterion": "on_or_after"}, orders=visits)
    assert _column(answer, "active") == {(1, 0): 2, (1, 1): 1, (1, 2): 1, (2, 0): 1, (2, 1): 1, (2, 2): None}
    assert _column(answer, "revenue")[1, 0] == Decimal(60)
    assert _holds(answer)


@pytest.mark.parametrize(("measure", "rate"), [("orders", 2.0), ("revenue", 0.25), ("customers", 1.0)])
def test_measures(ask: Ask, visits: Rows, measure: str, rate: float) -> None:
    answer = ask("cohort_retention", {"measure": measure}, orders=visits)
    assert _column(answer, "rate")[2, 1] == rate


def test_periods_limits_the_width(ask: Ask, visits: Rows) -> None:
    answer = ask("cohort_retention", {"periods": 1}, orders=visits)
    assert {row["period_index"] for row in answer.rows.to_pylist()} == {0, 1}


def test_refund_before_the_first_purchase_makes_no_cohort(ask: Ask, order: MakeOrder, visits: Rows) -> None:
    orders = [order("0", "anna", "2023-12-01", "-3"), order("9", "dora", "2024-02-01", "-4"), *visits]
    answer = ask("cohort_retention", {}, orders=orders)
    assert answer.summary["customers"] == 3
    assert _column(answer, "active")[1, 0] == 2
    assert _holds(answer)
    assert "before-cohort" in {warning.code for warning in answer.warnings}


def test_signup_cohorts_hold_those_who_never_bought(ask: Ask, visits: Rows) -> None:
    customers = [
        {"customer_id": name, "created_at": dt.datetime(2024, month, 1, tzinfo=dt.UTC)}
        for name, month in (("anna", 1), ("bert", 1), ("cleo", 1), ("dora", 1))
    ]
    answer = ask("cohort_retention", {"cohort_by": "signup"}, orders=visits, customers=customers)
    assert _column(answer, "cohort_size")[1, 0] == 4
    assert _column(answer, "active") == {(1, 0): 2, (1, 1): 1, (1, 2): 2}
    assert _column(answer, "rate")[1, 0] == 0.5
    assert _holds(answer)


def test_signups_without_any_order_have_no_cells(ask: Ask) -> None:
    customers = [{"customer_id": "anna", "created_at": dt.datetime(2024, 1, 1, tzinfo=dt.UTC)}]
    answer = ask("cohort_retention", {"cohort_by": "signup"}, orders=[], customers=customers)
    assert (answer.rows.num_rows, answer.summary["customers"]) == (0, 1)
    assert _holds(answer)


def test_signup_needs_customers(ask: Ask, visits: Rows) -> None:
    with pytest.raises(errors.Refusal, match="created_at"):
        ask("cohort_retention", {"cohort_by": "signup"}, orders=visits)


def test_segments_make_their_own_cohorts(ask: Ask, order: MakeOrder) -> None:
    orders = [
        order("1", "anna", "2024-01-10", "1", channel="web"),
        order("2", "anna", "2024-01-11", "1", channel="shop"),
        order("3", "bert", "2024-01-12", "1", channel="shop"),
    ]
    answer = ask("cohort_retention", {"segment_by": ["channel"]}, orders=orders)
    assert [(row["channel"], row["cohort_size"], row["orders"]) for row in answer.rows.to_pylist()] == [
        ("shop", 1, 1),
        ("web", 1, 2),
    ]
    assert _holds(answer)
