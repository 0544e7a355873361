"""Edges of `clv`: what is a transaction, where days begin and end, refunds, too few customers, what parameters mean."""

import datetime as dt
import hashlib
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pydantic
import pytest

from analytics import errors, result
from analytics.catalogue import registry
from tests.unit.reports import crowds

Ask = Callable[..., result.Result]
MakeOrder = Callable[..., dict[str, Any]]
START, DAY, _order = crowds.START, crowds.DAY, crowds.order


@pytest.fixture(scope="module")
def crowd() -> list[dict[str, Any]]:
    return crowds.crowd()


def _by_customer(answer: result.Result) -> dict[str, dict[str, Any]]:
    return {row["customer_id"]: row for row in answer.rows.to_pylist()}


def _codes(answer: result.Result) -> set[str]:
    return {warning.code for warning in answer.warnings}


def _holds(answer: result.Result) -> bool:
    return len(answer.invariants) == 5 and all(invariant.holds for invariant in answer.invariants)


@pytest.mark.parametrize("dataset", ["orders", "order_lines"])
def test_no_rows_are_too_few(ask: Ask, dataset: str) -> None:
    with pytest.raises(errors.Refusal, match="Of 0 customers 0 bought on a second day") as refused:
        ask("clv", {}, **{dataset: []})
    assert refused.value.code == "too-few-repeat-customers"


@pytest.mark.parametrize("back", [49, 50])
def test_fifty_must_have_come_back(ask: Ask, back: int) -> None:
    orders = [_order(n, f"c{n}", n % 40, "5") for n in range(80)]
    orders += [_order(100 + n, f"c{n}", 41 + n % 30, "6") for n in range(back)]
    # Two orders on one day are one transaction, so this customer has not come back.
    orders.append(_order(300, "c79", 79 % 40 + 0.1, "5"))
    if back < 50:
        with pytest.raises(errors.Refusal, match="Of 80 customers 49") as refused:
            ask("clv", {}, orders=orders)
        assert refused.value.data == {"customers": 80, "repeat_customers": 49, "needed": 50}
    else:
        answer = ask("clv", {}, orders=orders)
        assert answer.summary["repeat_customers"] == 50
        assert _holds(answer)


def test_what_a_transaction_is(ask: Ask, crowd: list[dict[str, Any]]) -> None:
    extra = [
        _order(1001, "zoe", 10, "7"),
        _order(1002, "zoe", 10.2, "8"),
        _order(1003, "zoe", 20, "0"),
        _order(1004, "zoe", 30, "12"),
        _order(1005, "zoe", 30.1, "6"),
        _order(1006, "zoe", 40, "-3"),
        _order(1007, "yan", 12, "4"),
        _order(1008, "yan", 12.3, "-4"),
        _order(1009, "xia", 15, "-9"),
    ]
    rows = _by_customer(ask("clv", {"time_unit": "day"}, orders=[*crowd, *extra]))
    zoe = rows["zoe"]
    assert (zoe["x"], zoe["t_x"], zoe["T"]) == (2, 20, 169)
    # 0 + 18 - 3 over the two days after the first.
    assert zoe["mean_spend"] == 7.5
    assert (rows["yan"]["x"], rows["yan"]["mean_spend"]) == (0, None)
    assert "xia" not in rows
    kept = _by_customer(ask("clv", {"time_unit": "day", "refunds": "exclude"}, orders=[*crowd, *extra]))
    assert kept["zoe"]["mean_spend"] == 9


def test_a_refund_on_its_orders_date_leaves_with_the_first_transaction(ask: Ask, crowd: list[dict[str, Any]]) -> None:
    extra = [
        {**_order(1001, "zoe", 10, "100"), "original_order_id": None},
        {**_order(1002, "zoe", 20, "30"), "original_order_id": None},
        {**_order(1003, "zoe", 25, "-40"), "original_order_id": "o01001"},
    ]
    orders = [{**row, "original_order_id": row.get("original_order_id")} for row in [*crowd, *extra]]
    later = _by_customer(ask("clv", {}, orders=orders))["zoe"]
    moved = _by_customer(ask("clv", {"refunds": "on_order_date"}, orders=orders))["zoe"]
    assert later["mean_spend"] == -10
    assert moved["mean_spend"] == 30
    assert later["x"] == moved["x"] == 1


def test_who_came_back_for_nothing_is_expected_to_spend_little(ask: Ask, crowd: list[dict[str, Any]]) -> None:
    answer = ask("clv", {}, orders=[*crowd, _order(1001, "zoe", 10, "50"), _order(1002, "zoe", 20, "0")])
    rows = _by_customer(answer)
    assert rows["zoe"]["mean_spend"] == 0
    once = next(row for row in rows.values() if row["x"] == 0)
    assert 0 < rows["zoe"]["expected_spend"] < once["expected_spend"]
    assert "spend-not-positive" in _codes(answer)
    assert answer.summary["spend_customers"] == answer.summary["repeat_customers"] - 1


def test_days_are_those_of_the_zone(ask: Ask, crowd: list[dict[str, Any]]) -> None:
    """Half past eleven at night in London is the next day in Berlin; clocks that change make no day shorter."""
    late = [
        {**_order(1001, "zoe", 0), "ordered_at": dt.datetime(2024, 3, 29, 22, 30, tzinfo=dt.UTC)},
        {**_order(1002, "zoe", 0), "ordered_at": dt.datetime(2024, 3, 29, 23, 30, tzinfo=dt.UTC)},
        {**_order(1003, "zoe", 0), "ordered_at": dt.datetime(2024, 4, 1, 22, 30, tzinfo=dt.UTC)},
    ]
    in_london = _by_customer(ask("clv", {"time_unit": "day"}, timezone="Europe/London", orders=[*crowd, *late]))["zoe"]
    in_berlin = _by_customer(ask("clv", {"time_unit": "day"}, timezone="Europe/Berlin", orders=[*crowd, *late]))["zoe"]
    assert (in_london["x"], in_london["t_x"]) == (1, 3)
    assert (in_berlin["x"], in_berlin["t_x"]) == (2, 4)


def test_calibration_and_holdout_are_half_open(ask: Ask, crowd: list[dict[str, Any]]) -> None:
    extra = [
        _order(1001, "zoe", 10),
        _order(1002, "zoe", 99),
        _order(1003, "zoe", 100),
        _order(1004, "zoe", 119),
        _order(1005, "zoe", 120),
        _order(1006, "new", 105),
    ]
    params = {
        "time_unit": "day",
        "calibration_end": (START + 100 * DAY).date().isoformat(),
        "holdout_end": (START + 120 * DAY).date().isoformat(),
    }
    before = ask("clv", params, orders=crowd).summary["holdout"]
    answer = ask("clv", params, orders=[*crowd, *extra])
    zoe = _by_customer(answer)["zoe"]
    assert (zoe["x"], zoe["t_x"], zoe["T"]) == (1, 89, 89)
    assert "new" not in _by_customer(answer)
    assert answer.summary["holdout"]["actual"] == before["actual"] + 2
    assert answer.summary["holdout"]["customers"] == before["customers"] + 1
    # Whoever has been here all along and buys after the holdout, and who was not here before it.
    late = [row for row in crowd if row["customer_id"] and row["ordered_at"].date() >= (START + 120 * DAY).date()]
    assert answer.dropped == {"after_holdout_end": len(late) + 1, "of_later_customers": 1}
    assert _holds(answer)


def test_without_calibration_end_all_days_are_learnt_from(ask: Ask, crowd: list[dict[str, Any]]) -> None:
    summary = ask("clv", {}, orders=crowd).summary
    assert summary["calibration_end"] == (START + 180 * DAY).date().isoformat()
    assert summary["holdout"] is None
    earlier = ask("clv", {"as_of": "2024-04-01T06:00:00Z"}, orders=crowd).summary
    # A day that has only begun is not observed.
    assert earlier["calibration_end"] == "2024-04-01"


def test_ends_beyond_the_data_are_said(ask: Ask, crowd: list[dict[str, Any]]) -> None:
    answer = ask("clv", {"calibration_end": "2024-04-01", "holdout_end": "2030-01-01"}, orders=crowd)
    assert answer.summary["holdout"]["end"] == (START + 180 * DAY).date().isoformat()
    assert "beyond-data" in _codes(answer)
    none_left = ask("clv", {"calibration_end": "2029-01-01", "holdout_end": "2030-01-01"}, orders=crowd)
    assert none_left.summary["holdout"] is None
    assert {"beyond-data", "no-holdout"} <= _codes(none_left)


def test_the_value_is_margin_times_spend_times_discounted_orders(ask: Ask, crowd: list[dict[str, Any]]) -> None:
    plain = _by_customer(ask("clv", {}, orders=crowd))
    for row in plain.values():
        assert row["clv"] == pytest.approx(row["expected_orders"] * row["expected_spend"], rel=1e-9)
    params = {"discount_rate": 0.01, "margin": 0.25}
    worth = ask("clv", params, orders=crowd)
    for name, row in _by_customer(worth).items():
        assert row["expected_orders"] == plain[name]["expected_orders"]
        low, high = (plain[name]["clv"] * 0.25 / 1.01**weeks for weeks in (52, 1))
        assert low < row["clv"] < high
    at_once = _by_customer(ask("clv", {**params, "discount_step": 52}, orders=crowd))
    for name, row in at_once.items():
        assert row["clv"] == pytest.approx(plain[name]["clv"] * 0.25 / 1.01**52, rel=1e-9)
    assert worth.summary["clv"] == pytest.approx(sum(row["clv"] for row in worth.rows.to_pylist()))


def test_without_a_model_of_spend_there_is_no_value(ask: Ask, crowd: list[dict[str, Any]]) -> None:
    answer = ask("clv", {"spend": "none"}, orders=crowd)
    assert answer.summary["spend_params"] is None
    assert {row["clv"] for row in answer.rows.to_pylist()} == {None}
    assert all(row["expected_orders"] > 0 for row in answer.rows.to_pylist())
    assert not {code for code in _codes(answer) if code.startswith("spend")}


def test_free_repeats_only_leave_no_spend_to_fit(ask: Ask, crowd: list[dict[str, Any]]) -> None:
    free = [{**row, "amount": Decimal(0)} for row in crowd]
    answer = ask("clv", {}, orders=free)
    assert "spend-not-fitted" in _codes(answer)
    assert {row["clv"] for row in answer.rows.to_pylist()} == {None}
    assert _holds(answer)


def test_spend_that_follows_frequency_is_warned_of(ask: Ask, crowd: list[dict[str, Any]]) -> None:
    visits: dict[str | None, int] = {}
    for row in crowd:
        visits[row["customer_id"]] = visits.get(row["customer_id"], 0) + 1
    dear = [{**row, "amount": row["amount"] * visits[row["customer_id"]] ** 2} for row in crowd]
    answer = ask("clv", {}, orders=dear)
    assert answer.summary["correlation"] > 0.3
    assert "spend-follows-frequency" in _codes(answer)
    assert "spend-follows-frequency" not in _codes(ask("clv", {}, orders=crowd))


def test_segments_split_the_summary_not_the_model(ask: Ask, crowd: list[dict[str, Any]]) -> None:
    plain, split = ask("clv", {}, orders=crowd), ask("clv", {"segment_by": ["channel"]}, orders=crowd)
    assert split.summary["params"] == plain.summary["params"]
    groups = split.summary["groups"]
    assert [group["channel"] for group in groups] == ["shop", "web"]
    assert sum(group["customers"] for group in groups) == plain.summary["customers"]
    assert sum(group["clv"] for group in groups) == pytest.approx(plain.summary["clv"])
    first = {row["customer_id"]: row["channel"] for row in reversed(crowd) if row["customer_id"]}
    assert {row["customer_id"]: row["channel"] for row in split.rows.to_pylist()} == first


@pytest.mark.parametrize("model", ["bg_nbd", "mbg_nbd", "pareto_nbd"])
def test_the_order_of_rows_and_lines_for_orders_change_nothing(
    ask: Ask, crowd: list[dict[str, Any]], model: str
) -> None:
    params = {"model": model, "calibration_end": "2024-05-01", "holdout_end": "2024-06-01"}
    plain = ask("clv", params, orders=crowd)
    mixed = sorted(crowd, key=lambda row: hashlib.sha256(row["order_id"].encode()).digest())
    assert _same(plain, ask("clv", params, orders=mixed))
    lines = [
        {**row, "line_no": line, "amount": amount}
        for row in mixed
        for line, amount in enumerate([row["amount"] - Decimal("0.01"), Decimal("0.01")])
    ]
    by_lines = ask("clv", params, order_lines=lines)
    assert plain.rows.equals(by_lines.rows)
    assert plain.summary == by_lines.summary
    assert _holds(plain)


def _same(one: result.Result, other: result.Result) -> bool:
    return one.rows.equals(other.rows) and one.summary == other.summary and one.charts == other.charts


def test_other_currencies_never_add_up(ask: Ask, crowd: list[dict[str, Any]]) -> None:
    foreign = [_order(2000 + n, f"c{n:03}", 100 + n, "1000", currency="USD") for n in range(20)]
    answer = ask("clv", {}, orders=[*crowd, *foreign])
    assert answer.summary["params"] == ask("clv", {}, orders=crowd).summary["params"]
    assert answer.dropped["unconverted"] == 20
    assert "unconverted" in _codes(answer)


def test_charts_show_what_the_summary_says(ask: Ask, crowd: list[dict[str, Any]]) -> None:
    answer = ask("clv", {"calibration_end": "2024-05-01", "holdout_end": "2024-06-01"}, orders=crowd)
    over_time, by_x, by_tenth, alive = (_values(chart) for chart in answer.charts)
    last = max(row["day"] for row in over_time)
    assert last == "2024-05-31"
    returns = answer.summary["repeat_transactions"] + answer.summary["holdout"]["actual"]
    assert {row["series"]: row["transactions"] for row in over_time if row["day"] == last}["actual"] == returns
    # The model was fitted to the days before, and must have what happened then nearly right.
    then = {row["series"]: row["transactions"] for row in over_time if row["day"] <= "2024-04-30"}
    assert then["expected"] == pytest.approx(then["actual"], rel=0.1)
    assert {row["x"] for row in by_x} <= {"0", "1", "2", "3", "4", "5", "6", "7+"}
    told = {(row["decile"], row["series"]): row["transactions per customer"] for row in by_tenth}
    for group in answer.summary["holdout"]["deciles"]:
        for series in ("actual", "expected"):
            assert told[str(group["decile"]), series] == pytest.approx(group[f"{series}_mean"], abs=1e-4)
    assert sum(row["customers"] for row in alive) == answer.summary["customers"]


def _values(chart: result.Chart) -> Sequence[dict[str, Any]]:
    values: Sequence[dict[str, Any]] = chart.spec["data"]["values"]
    return values


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"holdout_end": "2024-05-01"}, "needs `calibration_end`"),
        ({"calibration_end": "2024-05-01", "holdout_end": "2024-05-01"}, "later than calibration_end"),
        ({"start": "2024-05-01", "calibration_end": "2024-04-01"}, "later than start"),
        ({"horizon": 0}, "greater than 0"),
        ({"horizon": 101, "time_unit": "year"}, "hundred years"),
        ({"discount_step": 0.001}, "at most 10000 discount steps"),
        ({"discount_rate": -0.1}, "greater than or equal to 0"),
        ({"margin": 0}, "greater than 0"),
        ({"margin": 1.5}, "less than or equal to 1"),
        ({"model": "bgnbd"}, "bg_nbd"),
        ({"time_unit": "weeks"}, "week"),
    ],
)
def test_parameters_are_refused_in_words(params: dict[str, Any], message: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=message):
        registry.REPORT_TYPES["clv"].parse_params(params, timezone="UTC", currency="GBP")
