"""Edges of `rfm`: nobody, one customer, ties, refunds without purchases, days that are 23 hours long."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from analytics import errors, result

Ask = Callable[..., result.Result]
MakeOrder = Callable[..., dict[str, Any]]


def _by_customer(answer: result.Result) -> dict[str, dict[str, Any]]:
    return {row["customer_id"]: row for row in answer.rows.to_pylist()}


def _holds(answer: result.Result) -> bool:
    return bool(answer.invariants) and all(invariant.holds for invariant in answer.invariants)


@pytest.mark.parametrize("kind", ["rfm", "revenue_trend", "cohort_retention"])
@pytest.mark.parametrize("dataset", ["orders", "order_lines"])
def test_no_rows_is_an_answer(ask: Ask, kind: str, dataset: str) -> None:
    answer = ask(kind, {}, **{dataset: []})
    assert answer.rows.num_rows == 0
    assert answer.rows.column_names == [column.name for column in answer.columns]
    assert _holds(answer)


def test_one_customer(ask: Ask, order: MakeOrder) -> None:
    answer = ask(
        "rfm", {}, orders=[order("1", "anna", "2024-03-01T10:00", "10.50"), order("2", "anna", "2024-03-09T10:00", "5")]
    )
    row = _by_customer(answer)["anna"]
    assert (row["recency_days"], row["frequency"], row["monetary"]) == (1, 2, Decimal("15.5"))
    assert row["first_order"] == dt.datetime(2024, 3, 1, 10, tzinfo=dt.UTC)
    assert (row["r"], row["f"], row["m"]) == (5, 1, 1)
    assert answer.summary["as_of"] == "2024-03-10T00:00:00Z"


def test_a_refund_is_no_purchase_and_no_customer(ask: Ask, order: MakeOrder) -> None:
    orders = [
        order("1", "anna", "2024-03-01T10:00", "100"),
        order("2", "anna", "2024-03-09T10:00", "-30"),
        order("3", "bert", "2024-03-02T10:00", "-8"),
        order("4", None, "2024-03-02T10:00", "7"),
    ]
    answer = ask("rfm", {}, orders=orders)
    rows = _by_customer(answer)
    assert rows.keys() == {"anna"}
    assert (rows["anna"]["frequency"], rows["anna"]["monetary"], rows["anna"]["recency_days"]) == (1, Decimal(70), 9)
    assert answer.summary["refunds_without_purchase"] == "-8.00"
    assert answer.summary["unattributed"] == {"orders": 1, "revenue": "7.00"}
    assert _holds(answer)


def test_the_sign_of_a_refund_does_not_matter(ask: Ask, order: MakeOrder) -> None:
    sale = order("1", "anna", "2024-03-01", "100")
    for amount in ("-30", "30"):
        answer = ask("rfm", {}, orders=[sale, order("2", "anna", "2024-03-02", amount, kind="refund")])
        assert _by_customer(answer)["anna"]["monetary"] == Decimal(70)


def test_recency_counts_local_calendar_days(ask: Ask, order: MakeOrder) -> None:
    """Half past eleven in the evening is the next day two zones further east; the change of the clock makes no day."""
    orders = [order("1", "anna", "2024-03-30T23:30", "1"), order("2", "bert", "2024-03-31T23:30", "1")]
    utc = _by_customer(ask("rfm", {"as_of": "2024-04-02"}, orders=orders))
    assert (utc["anna"]["recency_days"], utc["bert"]["recency_days"]) == (3, 2)
    berlin = _by_customer(ask("rfm", {"as_of": "2024-04-02"}, timezone="Europe/Berlin", orders=orders))
    assert (berlin["anna"]["recency_days"], berlin["bert"]["recency_days"]) == (2, 1)


def test_as_of_is_half_open(ask: Ask, order: MakeOrder) -> None:
    orders = [order("1", "anna", "2024-03-01T10:00", "1"), order("2", "bert", "2024-03-02T00:00", "1")]
    answer = ask("rfm", {"as_of": "2024-03-02"}, orders=orders)
    assert _by_customer(answer).keys() == {"anna"}
    assert answer.dropped == {"outside_dates": 1}


def test_equal_values_share_a_score_as_quantiles_of_pandas_do(ask: Ask, order: MakeOrder) -> None:
    amounts = [1, 1, 1, 2, 3, 3, 4, 5, 8, 8, 8, 13, 21, 34, 55, 89, 144]
    orders = [order(str(i), f"c{i:02}", "2024-03-01", str(amount)) for i, amount in enumerate(amounts)]
    rows = ask("rfm", {}, orders=orders).rows.to_pylist()
    cuts = pd.Series(amounts).quantile([0.2, 0.4, 0.6, 0.8])
    expected = [1 + int((cuts < amount).sum()) for amount in amounts]
    assert [row["m"] for row in rows] == expected
    assert {row["f"] for row in rows} == {1}


def test_rank_makes_equal_bins_and_breaks_ties_by_id(ask: Ask, order: MakeOrder) -> None:
    orders = [order(str(i), f"c{i}", "2024-03-01", "5") for i in range(10)]
    rows = ask("rfm", {"method": "rank"}, orders=orders).rows.to_pylist()
    assert [row["m"] for row in rows] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_fixed_thresholds(ask: Ask, order: MakeOrder) -> None:
    orders = [order(str(i), f"c{i}", f"2024-03-0{i}", str(i * 10)) for i in range(1, 7)]
    bounds = {"recency": [1, 2], "frequency": [1, 2], "monetary": [20, 40]}
    answer = ask("rfm", {"method": "fixed", "bins": 3, "thresholds": bounds}, orders=orders)
    assert [row["m"] for row in answer.rows.to_pylist()] == [1, 1, 2, 2, 3, 3]
    assert [row["r"] for row in answer.rows.to_pylist()] == [1, 1, 1, 1, 2, 3]


def test_an_amount_on_a_bound_is_in_the_lower_bin(ask: Ask, order: MakeOrder) -> None:
    """0.29 and 8.9 are no sums of powers of two: compared as floats by way of their digits they may fall off the bound."""
    amounts = [f"{cents / 100:.2f}" for cents in range(1, 1000, 7)]
    orders = [order(str(i), f"c{i:03}", "2024-03-01", amount) for i, amount in enumerate(amounts)]
    for bound in amounts[1:-1:20]:
        bounds = {"recency": [1], "frequency": [1], "monetary": [float(bound)]}
        rows = ask("rfm", {"method": "fixed", "bins": 2, "thresholds": bounds}, orders=orders).rows.to_pylist()
        assert [row["m"] for row in rows] == [1 + (Decimal(amount) > Decimal(bound)) for amount in amounts]


def test_amounts_beyond_sixty_four_bits_are_ranked_exactly(ask: Ask, order: MakeOrder) -> None:
    orders = [order(str(i), f"c{i}", "2024-03-01", f"9999999999999{i}.0001") for i in range(5)]
    rows = ask("rfm", {}, orders=orders).rows.to_pylist()
    assert [row["m"] for row in rows] == [1, 2, 3, 4, 5]


def test_segment_by_a_column_of_customers_keeps_both_columns(ask: Ask, order: MakeOrder) -> None:
    orders = [order("1", "anna", "2024-03-01", "10"), order("2", "bert", "2024-03-02", "20")]
    customers = [{"customer_id": "anna", "segment": "smb"}, {"customer_id": "bert", "segment": None}]
    answer = ask("rfm", {"segment_by": ["segment"]}, orders=orders, customers=customers)
    rows = _by_customer(answer)
    assert (rows["anna"]["by_segment"], rows["bert"]["by_segment"]) == ("smb", None)
    assert sum(group["customers"] for group in answer.summary["groups"]) == 2


def test_segment_by_a_column_of_orders_is_that_of_the_first(ask: Ask, order: MakeOrder) -> None:
    orders = [
        order("2", "anna", "2024-03-02", "20", channel="web"),
        order("1", "anna", "2024-03-01", "10", channel="shop"),
    ]
    assert _by_customer(ask("rfm", {"segment_by": ["channel"]}, orders=orders))["anna"]["channel"] == "shop"


def test_missing_datasets_and_columns_are_refused(ask: Ask, order: MakeOrder) -> None:
    with pytest.raises(errors.Refusal, match="orders or order_lines") as missing:
        ask("rfm", {}, customers=[])
    assert missing.value.code == "missing-dataset"
    with pytest.raises(errors.Refusal, match="No column 'colour'") as unknown:
        ask("rfm", {"segment_by": ["colour"]}, orders=[order("1", "anna", "2024-03-01", "10")])
    assert unknown.value.code == "unknown-column"
    assert "channel" in unknown.value.data["columns"]


@pytest.mark.parametrize("kind", ["rfm", "revenue_trend", "cohort_retention"])
@pytest.mark.parametrize("name", ["place", "above", "previous", "count", "sum", "seg_0"])
def test_a_segment_may_have_any_name(ask: Ask, order: MakeOrder, kind: str, name: str) -> None:
    """Such as those by which a computation calls its own columns."""
    answer = ask(kind, {"segment_by": [name]}, orders=[order("1", "anna", "2024-03-01", "10", **{name: "x"})])
    assert {row[name] for row in answer.rows.to_pylist()} == {"x"}
