"""What each operator of a filter keeps, on facts and on lines that become orders."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from analytics import errors, result

Ask = Callable[..., result.Result]
MakeOrder = Callable[..., dict[str, Any]]
Rows = Sequence[Mapping[str, Any]]


@pytest.fixture
def orders(order: MakeOrder) -> Rows:
    return [
        order("1", "anna", "2024-01-10T12:00", "10", channel="web"),
        order("2", "bert", "2024-01-11T12:00", "20.5", channel="shop"),
        order("3", "cleo", "2024-01-12T12:00", "30", channel=None, place="caf\u00e9"),
        order("4", None, "2024-01-13T12:00", "40", channel="web"),
    ]


def leaf(column: str, op: str, value: Any) -> dict[str, Any]:
    return {"column": column, "op": op, "value": value}


@pytest.mark.parametrize(
    ("tree", "kept"),
    [
        (leaf("channel", "eq", "web"), "14"),
        (leaf("channel", "ne", "web"), "23"),
        (leaf("place", "eq", "cafe\u0301"), "3"),
        (leaf("place", "in", ["cafe\u0301"]), "3"),
        (leaf("place", "contains", "e\u0301"), "3"),
        (leaf("channel", "in", ["web", "shop"]), "124"),
        (leaf("channel", "not_in", ["web"]), "23"),
        (leaf("channel", "is_null", True), "3"),
        (leaf("customer_id", "is_null", False), "123"),
        (leaf("channel", "contains", "h"), "2"),
        (leaf("channel", "starts_with", "w"), "14"),
        (leaf("amount", "gt", 20.5), "34"),
        (leaf("amount", "ge", "20.5"), "234"),
        (leaf("amount", "lt", 20.5), "1"),
        (leaf("amount", "le", 20.5), "12"),
        (leaf("amount", "between", [20, 30]), "23"),
        (leaf("ordered_at", "lt", "2024-01-11"), "1"),
        (leaf("ordered_at", "ge", "2024-01-12T12:00:00Z"), "34"),
        ({"not": leaf("channel", "eq", "web")}, "23"),
        ({"not": leaf("channel", "contains", "h")}, "134"),
        ({"and": [leaf("channel", "eq", "web"), leaf("amount", "lt", 30)]}, "1"),
        ({"or": [leaf("channel", "eq", "shop"), leaf("amount", "ge", 40)]}, "24"),
        ({"not": {"or": [leaf("channel", "eq", "shop"), leaf("channel", "eq", "web")]}}, "3"),
    ],
)
def test_operators(ask: Ask, orders: Rows, tree: dict[str, Any], kept: str) -> None:
    answer = ask("revenue_trend", {"period": "day", "filter": tree}, orders=orders)
    found = {str(row["period"].day - 9) for row in answer.rows.to_pylist() if row["orders"]}
    assert found == set(kept)
    assert answer.dropped.get("filtered", 0) == 4 - len(kept)


@pytest.mark.parametrize(
    "tree",
    [
        leaf("amount", "gt", "much"),
        leaf("channel", "eq", 5),
        leaf("ordered_at", "lt", "yesterday"),
        leaf("amount", "contains", "1"),
        leaf("amount", "eq", True),
        leaf("amount", "eq", "NaN"),
    ],
)
def test_values_of_the_wrong_kind_are_refused(ask: Ask, orders: Rows, tree: dict[str, Any]) -> None:
    with pytest.raises(errors.Refusal) as refusal:
        ask("revenue_trend", {"filter": tree}, orders=orders)
    assert refusal.value.code == "filter-type"
    assert refusal.value.data["column"] == tree["column"]


@pytest.fixture
def lines(order: MakeOrder) -> Rows:
    return [
        {**order("1", "anna", "2024-01-10", "10"), "line_no": 1, "product": "tea"},
        {**order("1", "anna", "2024-01-10", "15"), "line_no": 2, "product": "mug"},
        {**order("2", "bert", "2024-01-10", "20"), "line_no": 1, "product": "mug"},
    ]


def test_a_filter_on_lines_comes_before_orders_are_summed(ask: Ask, lines: Rows) -> None:
    answer = ask("rfm", {"filter": leaf("product", "eq", "mug")}, order_lines=lines)
    assert [(row["customer_id"], row["monetary"]) for row in answer.rows.to_pylist()] == [
        ("anna", Decimal(15)),
        ("bert", Decimal(20)),
    ]


def test_a_filter_on_the_amount_is_about_the_whole_order(ask: Ask, lines: Rows) -> None:
    answer = ask("rfm", {"filter": leaf("amount", "gt", 22)}, order_lines=lines)
    assert [(row["customer_id"], row["monetary"]) for row in answer.rows.to_pylist()] == [("anna", Decimal(25))]


def test_imported_orders_give_way_to_lines_when_a_filter_needs_them(ask: Ask, lines: Rows, order: MakeOrder) -> None:
    orders = [
        order("1", "anna", "2024-01-10", "99", channel="web"),
        order("2", "bert", "2024-01-10", "99", channel="shop"),
    ]
    assert ask("rfm", {}, orders=orders, order_lines=lines).summary["revenue"] == "198.00"
    both = {"and": [leaf("product", "eq", "mug"), leaf("channel", "eq", "web")]}
    assert ask("rfm", {"filter": both}, orders=orders, order_lines=lines).summary["revenue"] == "15.00"


def test_a_column_of_customers(ask: Ask, orders: Rows) -> None:
    customers = [{"customer_id": "anna", "country": "FR"}, {"customer_id": "bert", "country": "DE"}]
    answer = ask("rfm", {"filter": leaf("country", "eq", "FR")}, orders=orders, customers=customers)
    assert [row["customer_id"] for row in answer.rows.to_pylist()] == ["anna"]
    assert answer.summary["unattributed"]["orders"] == 0


def test_an_order_in_two_segments_of_its_lines_counts_in_both_and_once_in_all(ask: Ask, lines: Rows) -> None:
    answer = ask("revenue_trend", {"segment_by": ["product"]}, order_lines=lines)
    rows = {row["product"]: row for row in answer.rows.to_pylist()}
    assert (rows["mug"]["orders"], rows["tea"]["orders"]) == (2, 1)
    assert answer.summary["totals"]["orders"] == 2
    assert answer.summary["totals"]["net"] == "45.00"
