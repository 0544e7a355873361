"""Data quality: each check finds what was put there, and nothing else."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pydantic
import pytest

from analytics import errors, result
from analytics.catalogue import registry
from tests.unit.reports.conftest import Ask

D = Decimal


def order(number: int, customer: str | None, day: str, amount: str | None, **more: Any) -> dict[str, Any]:
    at = dt.datetime.fromisoformat(f"{day}T12:00:00+00:00")
    return {
        "order_id": f"o{number}", "customer_id": customer, "ordered_at": at, "kind": "sale",
        "amount": None if amount is None else D(amount), "currency": "GBP", "channel": "web", **more,
    }  # fmt: skip


def found(answer: result.Result, column: str | None, check: str) -> dict[str, Any]:
    (row,) = [row for row in answer.rows.to_pylist() if (row["column"], row["check"]) == (column, check)]
    return dict(row)


def counts(answer: result.Result) -> dict[tuple[str | None, str], int]:
    """Every check that found something, but facts."""
    return {
        (row["column"], row["check"]): row["count"]
        for row in answer.rows.to_pylist()
        if row["severity"] != "fact" and row["count"]
    }


def test_clean_rows_have_a_score_of_100(ask: Ask) -> None:
    orders = [order(i, "a", f"2024-01-{i:02}", "1") for i in range(1, 11)]
    answer = ask("data_quality", {}, orders=orders, customers=[{"customer_id": "a", "email": "a@b.org"}])
    assert counts(answer) == {}
    assert answer.summary["score"] == 100
    assert [one["dataset"] for one in answer.summary["datasets"]] == ["customers", "orders"]
    assert all(check.holds for check in answer.invariants)


def test_what_is_wrong_with_orders(ask: Ask) -> None:
    orders = [
        order(1, "a", "2024-01-01", "0"),
        order(2, "b", "2024-01-02", "-3"),
        order(3, None, "2024-01-03", None),
        order(4, "c", "2024-01-04", "-5", kind="refund"),
        order(5, "a", "2030-01-05", "5", currency="pounds", channel="Web"),
    ]
    answer = ask("data_quality", {"as_of": "2025-01-01"}, orders=orders, customers=[{"customer_id": "a"}])
    assert counts(answer) == {
        ("amount", "zero"): 1,
        ("amount", "negative"): 1,
        ("amount", "missing"): 1,
        ("customer_id", "orphan"): 2,
        ("ordered_at", "future"): 1,
        ("currency", "bad_format"): 1,
        ("channel", "blurred"): 1,
    }
    orphans = found(answer, "customer_id", "orphan")
    assert (orphans["severity"], orphans["share"], orphans["sample"]) == ("error", 0.5, "b, c")
    assert found(answer, "amount", "negative")["sample"] == "o2"
    assert found(answer, "channel", "distinct")["count"] == 2
    assert found(answer, "channel", "blurred")["sample"] == "Web, web"
    assert 0 < answer.summary["score"] < 100
    assert (answer.summary["errors"], answer.summary["warnings"]) == (3, 4)


def test_moments_in_the_wrong_order(ask: Ask) -> None:
    early, late = dt.datetime(2024, 1, 1, tzinfo=dt.UTC), dt.datetime(2024, 2, 1, tzinfo=dt.UTC)
    deals = [
        {"deal_id": "1", "stage": "won", "created_at": early, "closed_at": late},
        {"deal_id": "2", "stage": "won", "created_at": late, "closed_at": early},
        {"deal_id": "3", "stage": "open", "created_at": late, "closed_at": None},
    ]
    answer = ask("data_quality", {"datasets": ["deals"]}, deals=deals)
    wrong = found(answer, "closed_at", "wrong_order")
    assert (wrong["count"], wrong["share"], wrong["sample"]) == (1, 0.5, "2")


def test_rows_that_say_the_same_again(ask: Ask) -> None:
    line = {**order(1, "a", "2024-01-01", "1"), "product_id": "p"}
    lines = [
        {**line, "line_no": 1},
        {**line, "line_no": 2},
        {**line, "line_no": 3},
        {**line, "line_no": 4, "product_id": "q"},
    ]
    answer = ask("data_quality", {}, order_lines=lines)
    again = found(answer, None, "repeated_row")
    assert (again["count"], again["sample"]) == (2, "o1/1")


def test_days_without_rows_count_where_nearly_every_day_has_some(ask: Ask) -> None:
    days = [f"2024-{month:02}-{day:02}" for month in (1, 2) for day in range(1, 29)]
    orders = [order(i, "a", day, "1") for i, day in enumerate(days) if day not in {"2024-01-10", "2024-02-11"}]
    gap = found(ask("data_quality", {}, orders=orders), "ordered_at", "gap")
    # The 29th to 31st of January as well.
    assert (gap["count"], gap["sample"]) == (5, "2024-01-10, 2024-02-11")
    weekly = [order(i, "a", day, "1") for i, day in enumerate(days[::7])]
    assert found(ask("data_quality", {}, orders=weekly), "ordered_at", "gap")["count"] == 0


def test_a_month_with_far_fewer_rows_stands_out(ask: Ask) -> None:
    per_month = {1: 50, 2: 48, 3: 52, 4: 49, 5: 5, 6: 51, 7: 50}
    orders = [
        order(100 * month + number, "a", f"2024-{month:02}-{(number % 28) + 1:02}", "1")
        for month, rows in per_month.items()
        for number in range(rows)
    ]
    orders.append(order(9999, "a", "2024-07-31", "1"))
    drift = found(ask("data_quality", {}, orders=orders), "ordered_at", "volume_drift")
    assert (drift["count"], drift["sample"]) == (1, "2024-05")


def test_bounds_and_filter_say_what_they_leave_out(ask: Ask) -> None:
    orders = [order(1, "a", "2024-01-01", "0"), order(2, "a", "2024-02-01", "0"), order(3, "b", "2024-02-02", "0")]
    params = {"start": "2024-02-01", "filter": {"column": "customer_id", "op": "eq", "value": "a"}}
    answer = ask("data_quality", params, orders=orders)
    assert found(answer, "amount", "zero")["count"] == 1
    assert answer.dropped == {"orders_outside_dates": 1, "orders_filtered": 1}


def test_an_empty_dataset_is_an_answer(ask: Ask) -> None:
    answer = ask("data_quality", {}, orders=[])
    assert counts(answer) == {}
    assert answer.summary["score"] is None


def test_what_cannot_be_looked_at(ask: Ask) -> None:
    with pytest.raises(errors.Refusal) as refused:
        ask(
            "data_quality",
            {"filter": {"column": "nowhere", "op": "eq", "value": 1}},
            orders=[order(1, "a", "2024-01-01", "1")],
        )
    assert refused.value.code == "unknown-column"
    kind = registry.REPORT_TYPES["data_quality"]
    for raw in ({"datasets": ["orderz"]}, {"datasets": ["orders", "orders"]}, {"segment_by": ["channel"]}):
        with pytest.raises(pydantic.ValidationError):
            kind.parse_params(raw, timezone="UTC", currency="GBP")
