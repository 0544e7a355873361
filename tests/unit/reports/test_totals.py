"""Totals that come with the counts, and those asked of orders where lines alone do not tell; one answer either way."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from analytics import result
from analytics.reports import counting

Ask = Callable[..., result.Result]
Order = Callable[..., dict[str, Any]]


@pytest.fixture
def profiled(monkeypatch: pytest.MonkeyPatch) -> list[counting.Profile]:
    """Return every profile that is counted."""
    found: list[counting.Profile] = []
    count = counting.profile

    def remember(*parts: Any, **options: Any) -> counting.Profile:
        found.append(count(*parts, **options))
        return found[-1]

    monkeypatch.setattr(counting, "profile", remember)
    return found


def _totals(answer: result.Result) -> dict[str, str]:
    assert answer.invariants
    assert all(invariant.holds for invariant in answer.invariants), answer.invariants
    names = ("gross", "refunds", "net", "unattributed")
    return {name: answer.summary["totals"][name] for name in names}


def _line(order: Order, number: int, **rest: Any) -> dict[str, Any]:
    return {**order(**rest), "line_no": number}


@pytest.mark.parametrize("sign", ["-", ""])
def test_refunds_of_one_sign_are_told_by_their_lines(
    ask: Ask, order: Order, profiled: list[counting.Profile], sign: str
) -> None:
    lines = [
        _line(order, 1, order_id="o1", customer="anna", at="2024-01-31T10:00", amount="12.50"),
        _line(order, 2, order_id="o1", customer="anna", at="2024-01-31T10:00", amount="7.50"),
        _line(order, 1, order_id="r1", customer="anna", at="2024-02-01T10:00", amount=f"{sign}5", kind="refund"),
    ]
    totals = _totals(ask("revenue_trend", {}, order_lines=lines))
    assert totals == {"gross": "20.00", "refunds": "5.00", "net": "15.00", "unattributed": "0.00"}
    assert profiled[0].totals == counting.Totals(Decimal(20), Decimal(5), Decimal(0))


def test_a_refund_with_lines_of_both_signs_is_what_remains_of_it(
    ask: Ask, order: Order, profiled: list[counting.Profile]
) -> None:
    """Ten given back less four kept is a refund of six, though its lines are fourteen apart from signs."""
    lines = [
        _line(order, 1, order_id="o1", customer="anna", at="2024-01-31T10:00", amount="20"),
        _line(order, 1, order_id="r1", customer="anna", at="2024-02-01T10:00", amount="-10", kind="refund"),
        _line(order, 2, order_id="r1", customer="anna", at="2024-02-01T10:00", amount="4", kind="refund"),
    ]
    assert _totals(ask("revenue_trend", {}, order_lines=lines))["refunds"] == "6.00"
    assert profiled[0].totals is None


def test_signs_may_be_mixed_across_what_says_no_currency(
    ask: Ask, order: Order, profiled: list[counting.Profile]
) -> None:
    """Rows are counted apart by currency; an order has rows of both."""
    lines = [
        _line(order, 1, order_id="o1", customer="anna", at="2024-01-31T10:00", amount="20"),
        _line(order, 1, order_id="r1", customer="anna", at="2024-02-01T10:00", amount="-10", kind="refund"),
        _line(order, 2, order_id="r1", customer="anna", at="2024-02-01T10:00", amount="4", kind="refund")
        | {"currency": None},
    ]
    assert _totals(ask("revenue_trend", {}, order_lines=lines))["refunds"] == "6.00"
    assert profiled[0].totals is None


def test_an_order_is_somebodys_if_one_of_its_lines_is(ask: Ask, order: Order, profiled: list[counting.Profile]) -> None:
    lines = [
        _line(order, 1, order_id="o1", customer="anna", at="2024-01-31T10:00", amount="20"),
        _line(order, 2, order_id="o1", customer=None, at="2024-01-31T10:00", amount="3"),
        _line(order, 1, order_id="o2", customer=None, at="2024-01-31T11:00", amount="7"),
    ]
    assert _totals(ask("revenue_trend", {}, order_lines=lines))["unattributed"] == "7.00"
    assert not profiled[0].attributed


def test_orders_as_imported_tell_their_totals_whosever_they_are(
    ask: Ask, order: Order, profiled: list[counting.Profile]
) -> None:
    orders = [
        order("o1", "anna", "2024-01-31T10:00", "20"),
        order("o2", None, "2024-01-31T11:00", "7"),
        order("r1", "anna", "2024-02-01T10:00", "-5", kind="refund"),
    ]
    totals = _totals(ask("revenue_trend", {}, orders=orders))
    assert totals == {"gross": "27.00", "refunds": "5.00", "net": "22.00", "unattributed": "7.00"}
    assert profiled[0].totals == counting.Totals(Decimal(27), Decimal(5), Decimal(7))
    assert profiled[0].attributed


def test_refunds_as_imported_take_their_amount_away_whichever_sign_they_have(
    ask: Ask, order: Order, profiled: list[counting.Profile]
) -> None:
    orders = [
        order("o1", "anna", "2024-01-31T10:00", "20"),
        order("r1", "anna", "2024-02-01T10:00", "-5", kind="refund"),
        order("r2", "anna", "2024-02-02T10:00", "3", kind="refund"),
    ]
    assert _totals(ask("revenue_trend", {}, orders=orders))["refunds"] == "8.00"
    assert profiled[0].totals is None


def test_rows_without_date_or_amount_are_still_left_out_and_counted(ask: Ask, order: Order) -> None:
    orders = [
        order("o1", "anna", "2024-01-31T10:00", "20"),
        order("o2", "bert", "2024-01-31T11:00", "7") | {"ordered_at": None},
        order("o3", "bert", "2024-01-31T11:00", "7") | {"amount": None},
    ]
    answer = ask("revenue_trend", {}, orders=orders)
    assert answer.dropped == {"no_date_or_amount": 2}
    assert _totals(answer)["gross"] == "20.00"
