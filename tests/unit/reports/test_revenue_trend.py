"""Edges of `revenue_trend`: empty periods, zones, currencies, refunds, segments."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from analytics import errors, result

Ask = Callable[..., result.Result]
MakeOrder = Callable[..., dict[str, Any]]

D = Decimal


def _periods(answer: result.Result) -> dict[dt.date, dict[str, Any]]:
    return {row["period"]: row for row in answer.rows.to_pylist()}


def _holds(answer: result.Result) -> bool:
    return bool(answer.invariants) and all(invariant.holds for invariant in answer.invariants)


def test_empty_periods_are_rows_of_zeros(ask: Ask, order: MakeOrder) -> None:
    orders = [order("1", "anna", "2024-01-15", "10"), order("2", "anna", "2024-04-30", "20")]
    answer = ask("revenue_trend", {}, orders=orders)
    rows = answer.rows.to_pylist()
    assert [row["net"] for row in rows] == [D(10), D(0), D(0), D(20)]
    assert [row["aov"] for row in rows] == [D(10), None, None, D(20)]
    assert [row["new_revenue"] for row in rows] == [D(10), D(0), D(0), D(0)]
    assert [row["complete"] for row in rows] == [True] * 4
    assert [row["change_previous"] for row in rows] == [None, -1.0, None, None]


def test_change_on_last_year_and_partial_periods(ask: Ask, order: MakeOrder) -> None:
    orders = [
        order("1", "anna", "2023-01-15", "10"),
        order("2", "anna", "2024-01-15", "15"),
        order("3", "anna", "2024-02-03", "99"),
    ]
    rows = _periods(ask("revenue_trend", {}, orders=orders))
    assert rows[dt.date(2024, 1, 1)]["change_year"] == 0.5
    assert rows[dt.date(2024, 2, 1)]["complete"] is False
    assert rows[dt.date(2024, 2, 1)]["change_previous"] is None


def test_the_zone_comes_before_truncation(ask: Ask, order: MakeOrder) -> None:
    """Half past eleven at night in UTC on the last of March is April in London, where the clock has changed."""
    orders = [order("1", "anna", "2024-03-31T23:30", "10"), order("2", "anna", "2024-10-31T23:30", "7")]
    assert next(iter(_periods(ask("revenue_trend", {"period": "day"}, orders=orders)))) == dt.date(2024, 3, 31)
    london = _periods(ask("revenue_trend", {}, timezone="Europe/London", orders=orders))
    assert london[dt.date(2024, 4, 1)]["net"] == D(10)
    assert london[dt.date(2024, 10, 1)]["net"] == D(7)


@pytest.mark.parametrize(("week_start", "first"), [("monday", 4), ("sunday", 3), ("wednesday", 6)])
def test_weeks_begin_when_asked(ask: Ask, order: MakeOrder, week_start: str, first: int) -> None:
    answer = ask(
        "revenue_trend", {"period": "week", "week_start": week_start}, orders=[order("1", "anna", "2024-03-09", "1")]
    )
    assert list(_periods(answer)) == [dt.date(2024, 3, first)]


def test_start_and_end_are_half_open(ask: Ask, order: MakeOrder) -> None:
    orders = [order(str(day), "anna", f"2024-03-{day:02}", "1") for day in range(1, 11)]
    answer = ask("revenue_trend", {"period": "day", "start": "2024-03-03", "end": "2024-03-06"}, orders=orders)
    assert [day.day for day in _periods(answer)] == [3, 4, 5]
    assert answer.dropped == {"outside_dates": 7}
    assert [row["complete"] for row in answer.rows.to_pylist()] == [True] * 3


def test_a_period_that_start_cuts_is_not_complete(ask: Ask, order: MakeOrder) -> None:
    orders = [order("1", "anna", "2024-03-20", "1"), order("2", "anna", "2024-04-30", "1")]
    rows = _periods(ask("revenue_trend", {"start": "2024-03-10"}, orders=orders))
    assert [row["complete"] for row in rows.values()] == [False, True]


def test_later_as_of_does_not_make_a_period_complete(ask: Ask, order: MakeOrder) -> None:
    answer = ask("revenue_trend", {"as_of": "2024-05-01"}, orders=[order("1", "anna", "2024-03-20", "1")])
    assert [row["complete"] for row in answer.rows.to_pylist()] == [False, False]


REFUNDED = [
    ("1", "anna", "2024-01-10", "100"),
    ("2", "anna", "2024-02-10", "50"),
    ("3", "anna", "2024-03-10", "-20"),
    ("4", "bert", "2024-03-11", "-5"),
]


@pytest.mark.parametrize(
    ("policy", "net", "dropped"),
    [
        ("on_refund_date", [100, 50, -25], {}),
        ("on_order_date", [100, 30, -5], {}),
        ("exclude", [100, 50, 0], {"refunds": 2}),
    ],
)
def test_refund_policies(ask: Ask, order: MakeOrder, policy: str, net: list[int], dropped: dict[str, int]) -> None:
    orders = [order(*row) for row in REFUNDED]
    answer = ask("revenue_trend", {"refunds": policy}, orders=orders)
    assert [row["net"] for row in answer.rows.to_pylist()] == [D(amount) for amount in net]
    assert [row["orders"] for row in answer.rows.to_pylist()] == [1, 1, 0]
    assert [row["customers"] for row in answer.rows.to_pylist()] == [1, 1, 0]
    assert dict(answer.dropped) == dropped
    assert _holds(answer)


def test_a_refund_that_names_its_order_goes_to_it(ask: Ask, order: MakeOrder) -> None:
    orders = [
        order("1", "anna", "2024-01-10", "100", original_order_id=None),
        order("2", "anna", "2024-02-10", "50", original_order_id=None),
        order("3", "anna", "2024-03-10", "-20", original_order_id="1"),
    ]
    answer = ask("revenue_trend", {"refunds": "on_order_date"}, orders=orders)
    assert [row["net"] for row in answer.rows.to_pylist()][:2] == [D(80), D(50)]
    assert "refund-dates" not in {warning.code for warning in answer.warnings}


def test_an_order_is_named_by_a_number_and_found_though_a_filter_leaves_it_out(ask: Ask, order: MakeOrder) -> None:
    orders = [
        order("1001", "anna", "2024-01-10", "100", original_order_id=None),
        order("1002", "anna", "2024-02-10", "10", original_order_id=None),
        order("1003", "anna", "2024-03-10", "-20", original_order_id=1001),
        order("1004", "anna", "2024-04-30", "10", original_order_id=None),
    ]
    answer = ask("revenue_trend", {"refunds": "on_order_date"}, orders=orders)
    assert [row["net"] for row in answer.rows.to_pylist()] == [D(80), D(10), D(0), D(10)]
    cheap = {"column": "amount", "op": "lt", "value": 50}
    answer = ask("revenue_trend", {"refunds": "on_order_date", "filter": cheap}, orders=orders)
    assert [row["net"] for row in answer.rows.to_pylist()] == [D(-20), D(10), D(0), D(10)]
    assert answer.warnings == ()


def test_small_currencies_are_converted_to_the_penny(ask: Ask, order: MakeOrder) -> None:
    orders = [order(str(number), "anna", "2024-01-10", "100000000", currency="IDR") for number in range(20)]
    rates = [
        {"currency": "IDR", "on": dt.date(2024, 1, 1), "rate": D("0.0000613")},
        {"currency": "GBP", "on": dt.date(2024, 1, 1), "rate": D("1.27")},
        # No rate is nothing or less.
        {"currency": "GBP", "on": dt.date(2024, 1, 2), "rate": D(0)},
        {"currency": "IDR", "on": dt.date(2024, 1, 2), "rate": D(-1)},
    ]
    answer = ask("revenue_trend", {"base_currency": "USD"}, orders=orders, fx_rates=rates)
    true = D(2_000_000_000) * D("0.0000613") / D("1.27")
    assert abs(answer.rows.to_pylist()[0]["gross"] - true) < D("0.000001")


def test_currencies_are_converted_by_the_latest_rate_before(ask: Ask, order: MakeOrder) -> None:
    orders = [
        order("1", "anna", "2024-01-10", "100"),
        order("2", "anna", "2024-01-11", "100", currency="EUR"),
        order("3", "anna", "2024-01-12", "100", currency="EUR"),
        order("4", "anna", "2024-01-12", "100", currency="CHF"),
    ]
    rates = [
        {"currency": "EUR", "on": dt.date(2024, 1, 1), "rate": D("0.86")},
        {"currency": "EUR", "on": dt.date(2024, 1, 12), "rate": D("0.9")},
    ]
    answer = ask("revenue_trend", {"period": "day"}, orders=orders, fx_rates=rates)
    assert [row["net"] for row in answer.rows.to_pylist()] == [D(100), D(86), D(90)]
    assert answer.dropped == {"unconverted": 1}
    assert answer.columns[2].unit == "GBP"


def test_cross_rates(ask: Ask, order: MakeOrder) -> None:
    """Rates are against one base: one euro at 1.10 and one pound at 1.32 base units are 0.8333333333 pounds."""
    orders = [order("1", "anna", "2024-01-10", "100", currency="EUR"), order("2", "anna", "2024-01-10", "1")]
    rates = [
        {"currency": "EUR", "on": dt.date(2024, 1, 1), "rate": D("1.1")},
        {"currency": "GBP", "on": dt.date(2024, 1, 1), "rate": D("1.32")},
    ]
    answer = ask("revenue_trend", {"base_currency": "USD"}, orders=orders, fx_rates=rates)
    assert answer.rows.to_pylist()[0]["net"] == D("84.33333333")


def test_the_base_currency_needs_no_rate(ask: Ask, order: MakeOrder) -> None:
    """Asked for euros, an organisation of pounds has its pounds divided by the price of a euro."""
    orders = [order("1", "anna", "2024-01-10", "86"), order("2", "anna", "2024-01-10", "1", currency="EUR")]
    rates = [{"currency": "EUR", "on": dt.date(2024, 1, 1), "rate": D("0.86")}]
    answer = ask("revenue_trend", {"currency": "EUR"}, orders=orders, fx_rates=rates)
    assert (answer.summary["currency"], answer.dropped) == ("EUR", {})
    # A rate has ten places, so a dividing one is exact to that.
    assert answer.rows.to_pylist()[0]["net"] == pytest.approx(D(101), abs=D("0.0000001"))


def test_currencies_without_rates_are_never_added(ask: Ask, order: MakeOrder) -> None:
    orders = [order("1", "anna", "2024-01-10", "100"), order("2", "anna", "2024-01-11", "100", currency="EUR")]
    answer = ask("revenue_trend", {}, orders=orders)
    assert answer.summary["totals"]["net"] == "100.00"
    assert answer.dropped == {"unconverted": 1}
    assert [warning.code for warning in answer.warnings if warning.code == "unconverted"] == ["unconverted"]


def test_one_other_currency_is_reported_as_it_is(ask: Ask, order: MakeOrder) -> None:
    answer = ask("revenue_trend", {}, orders=[order("1", "anna", "2024-01-31", "100", currency="EUR")])
    assert (answer.summary["currency"], answer.summary["totals"]["net"]) == ("EUR", "100.00")
    assert "other-currency" in {warning.code for warning in answer.warnings}


def test_segments_have_every_period_and_add_up(ask: Ask, order: MakeOrder) -> None:
    orders = [
        order("1", "anna", "2024-01-10", "100", channel="web"),
        order("2", "anna", "2024-02-11", "10", channel="shop"),
        order("3", None, "2024-02-12", "1", channel=None),
    ]
    answer = ask("revenue_trend", {"segment_by": ["channel"]}, orders=orders)
    rows = [(row["period"].month, row["channel"], row["net"]) for row in answer.rows.to_pylist()]
    assert rows == [
        (1, "shop", D(0)),
        (1, "web", D(100)),
        (1, None, D(0)),
        (2, "shop", D(10)),
        (2, "web", D(0)),
        (2, None, D(1)),
    ]
    assert answer.summary["totals"]["customers"] == 1
    assert _holds(answer)


def test_too_many_periods_are_refused(ask: Ask, order: MakeOrder) -> None:
    orders = [order("1", "anna", "1900-01-01", "1"), order("2", "anna", "2024-01-01", "1")]
    with pytest.raises(errors.Refusal, match="longer period") as refusal:
        ask("revenue_trend", {"period": "day"}, orders=orders)
    assert refusal.value.code == "too-many-periods"
