"""What holds of `clv` and of churn without contracts for any shop: rows, files, units and days of summer time change nothing."""

import random
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from analytics import errors, result
from tests.unit.reports import crowds

Ask = Callable[..., result.Result]
ZONE = "America/New_York"

SETTINGS = hypothesis.settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
MODELS = st.sampled_from(["bg_nbd", "mbg_nbd", "pareto_nbd"])


@st.composite
def shops(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Half a year of orders over the day on which clocks change, with refunds, gifts, nobody's orders and other money."""
    chance = random.Random(draw(st.integers(0, 10_000)))  # noqa: S311 - customers, not secrets
    orders = crowds.crowd(draw(st.integers(110, 200)), seed=chance.randrange(10_000), leave=draw(st.booleans()))
    kinds = draw(st.lists(st.sampled_from(["refund", "gift", "nobody", "dollars", "night"]), max_size=60))
    for number, kind in enumerate(kinds, start=len(orders)):
        # Between one and three at night in New York a day of March has no such hour.
        day = 69.25 + chance.random() / 12 if kind == "night" else chance.uniform(0, crowds.REACH - 1)
        customer = None if kind == "nobody" else f"c{chance.randrange(150):03}"
        amount = {"refund": "-7.77", "gift": "0"}.get(kind, f"{chance.uniform(1, 90):.2f}")
        orders.append(crowds.order(number, customer, day, amount, currency="USD" if kind == "dollars" else "GBP"))
    return orders


@SETTINGS
@hypothesis.given(orders=shops(), model=MODELS, seed=st.integers(0, 9), files=st.integers(2, 5))
def test_rows_and_files_in_any_order_change_no_byte(
    ask: Ask, orders: list[dict[str, Any]], model: str, seed: int, files: int
) -> None:
    mixed = random.Random(seed).sample(orders, len(orders))  # noqa: S311 - any order will do
    questions: Mapping[str, dict[str, Any]] = {
        "clv": {"calibration_end": "2024-05-01", "holdout_end": "2024-06-01", "segment_by": ["channel"]},
        "churn_survival": {"mode": "non_contractual", "group_by": "channel"},
    }
    for kind, params in questions.items():
        one = ask(kind, {"model": model, **params}, timezone=ZONE, orders=orders)
        other = ask(kind, {"model": model, **params}, timezone=ZONE, orders=mixed, files=files)
        assert one.rows.equals(other.rows)
        assert (one.summary, one.charts, one.dropped) == (other.summary, other.charts, other.dropped)
        assert all(invariant.holds for invariant in one.invariants), one.invariants


@SETTINGS
@hypothesis.given(
    orders=shops(), model=MODELS, unit=st.sampled_from([("day", 1.0), ("month", 30.4375), ("year", 365.25)])
)
def test_the_unit_of_time_scales_times_and_nothing_else(
    ask: Ask, orders: list[dict[str, Any]], model: str, unit: tuple[str, float]
) -> None:
    name, days = unit
    weekly = ask("clv", {"model": model, "horizon": 26}, timezone=ZONE, orders=orders)
    params = {"model": model, "horizon": 26 * 7 / days, "time_unit": name, "discount_step": 7 / days}
    other = ask("clv", params, timezone=ZONE, orders=orders)
    for parameter, value in weekly.summary["params"].items():
        scale = 7 / days if parameter in {"alpha", "beta"} else 1.0
        told = other.summary["params"][parameter]
        assert told == (None if value is None else pytest.approx(value * scale, rel=1e-9))
    assert other.summary["identified"] == weekly.summary["identified"]
    for mine, theirs in zip(other.rows.to_pylist(), weekly.rows.to_pylist(), strict=True):
        assert mine["T"] == pytest.approx(theirs["T"] * 7 / days)
        for column in ("p_alive", "expected_orders", "expected_spend", "clv"):
            value = theirs[column]
            assert mine[column] == (None if value is None else pytest.approx(value, rel=1e-9))


@pytest.mark.parametrize("orders", [[], [crowds.order(1, "anna", 3)], [crowds.order(1, None, 3)]])
@pytest.mark.parametrize(("kind", "params"), [("clv", {}), ("churn_survival", {"mode": "non_contractual"})])
def test_nobody_and_one_customer_are_too_few(
    ask: Ask, kind: str, params: dict[str, Any], orders: list[dict[str, Any]]
) -> None:
    with pytest.raises(errors.Refusal) as refused:
        ask(kind, params, orders=orders)
    assert refused.value.code == "too-few-repeat-customers"
    assert refused.value.data["repeat_customers"] == 0


@pytest.mark.parametrize("kind", ["clv", "churn_survival"])
def test_all_money_in_one_currency_is_what_rates_make_of_several(ask: Ask, kind: str) -> None:
    """A pound that is always worth two dollars: half of the orders paid in dollars change no number."""
    pounds = crowds.crowd()
    mixed = [
        {**row, "amount": row["amount"] * 2, "currency": "USD"} if place % 2 else row
        for place, row in enumerate(pounds)
    ]
    rates = [
        {"on": (crowds.START + day * crowds.DAY).date(), "currency": "USD", "rate": Decimal("0.5")}
        for day in range(crowds.REACH)
    ]
    params: dict[str, Any] = {} if kind == "clv" else {"mode": "non_contractual", "at_risk_by": "value"}
    one = ask(kind, params, orders=pounds)
    other = ask(kind, params, orders=mixed, fx_rates=rates)
    assert one.rows.equals(other.rows)
    assert one.summary == other.summary
    assert not other.dropped
