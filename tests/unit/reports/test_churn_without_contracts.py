"""`churn_survival` of orders alone: a recount from published chances, who is named at risk, and what is refused."""

import csv
import datetime as dt
import gzip
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pydantic
import pytest

from analytics import errors, result
from analytics.catalogue import registry
from tests.unit.reports import crowds

Ask = Callable[..., result.Result]
Rows = Sequence[Mapping[str, Any]]

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "cdnow"
SILENT = {"mode": "non_contractual"}
MODELS = ["bg_nbd", "mbg_nbd", "pareto_nbd"]


@pytest.fixture(scope="module")
def crowd() -> Rows:
    return crowds.crowd()


def _holds(answer: result.Result) -> bool:
    return len(answer.invariants) >= 8 and all(invariant.holds for invariant in answer.invariants)


def _codes(answer: result.Result) -> set[str]:
    return {warning.code for warning in answer.warnings}


def _people(answer: result.Result) -> list[str]:
    return [line["customer_id"] for line in answer.summary["at_risk_list"]]


def _answers(name: str) -> list[Mapping[str, str]]:
    with gzip.open(DATA / "answers" / name, "rt", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def cdnow() -> Rows:
    with gzip.open(DATA / "cdnow_sample.csv.gz", "rt", newline="") as file:
        return [
            {
                "order_id": f"{place}",
                "customer_id": row["sample_id"],
                "ordered_at": dt.datetime.fromisoformat(_iso(row["date"])).replace(tzinfo=dt.UTC),
                "amount": Decimal(row["usd"]),
                "currency": "USD",
                "kind": "sale",
            }
            for place, row in enumerate(csv.DictReader(file))
        ]


def _iso(day: str) -> str:
    return day if "-" in day else f"{day[:4]}-{day[4:6]}-{day[6:]}"


@pytest.mark.golden
@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data folder is not beside the repository")
def test_a_recount_from_published_chances(ask: Ask, cdnow: Rows) -> None:
    """Every customer's p_alive as other programs found it, counted by hand: gone at the last purchase or still there."""
    answer = ask("churn_survival", {**SILENT, "as_of": "1997-10-01"}, currency="USD", orders=cdnow)
    chances = [float(row["bgnbd_p_alive"]) for row in _answers("predictions_week39.csv.gz")]
    people = _answers("customer_statistics_week39.csv.gz")
    events, censored = [0.0] * 39, [0.0] * 39
    for row, alive in zip(people, chances, strict=True):
        # Times in whole days over seven; the recorded ones are rounded.
        events[round(float(row["t_x"]) * 7) // 7] += 1 - alive
        censored[round(float(row["T"]) * 7) // 7] += alive
    at_risk, survival = 2357.0, 1.0
    for row, gone, stayed in zip(answer.rows.to_pylist(), events, censored, strict=True):
        survival *= 1 - gone / at_risk
        assert (row["at_risk"], row["events"], row["censored"]) == pytest.approx((at_risk, gone, stayed), abs=2e-4)
        assert row["survival"] == pytest.approx(survival, abs=1e-6)
        at_risk -= gone + stayed
    (group,) = answer.summary["groups"]
    assert group["present"] == pytest.approx(sum(chances), abs=1e-3)
    assert group["likely_lost"] == sum(alive < 0.5 for alive in chances)
    assert answer.summary["log_likelihood"] == pytest.approx(-9582.4292, abs=1e-3)
    assert "once-never-leaves" in _codes(answer)
    assert _holds(answer)


@pytest.mark.golden
@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data folder is not beside the repository")
def test_the_curve_of_pareto_is_that_of_its_published_parameters(ask: Ask, cdnow: Rows) -> None:
    """A lifetime under Pareto/NBD outlasts t with the chance (beta / (beta + t)) ^ s, whatever is bought."""
    answer = ask(
        "churn_survival", {**SILENT, "model": "pareto_nbd", "as_of": "1997-10-01"}, currency="USD", orders=cdnow
    )
    for row in answer.rows.to_pylist():
        wanted = (11.669 / (11.669 + row["t"] + 1)) ** 0.6062
        assert row["lower"] < wanted < row["upper"]
        assert row["survival"] == pytest.approx(wanted, abs=0.015)
    assert not answer.warnings
    assert _holds(answer)


@pytest.mark.parametrize("model", MODELS)
def test_chances_are_those_of_clv(ask: Ask, crowd: Rows, model: str) -> None:
    answer = ask("churn_survival", {**SILENT, "model": model, "at_risk_size": 1000, "lost_below": 0}, orders=crowd)
    known = {
        row["customer_id"]: row for row in ask("clv", {"model": model, "spend": "none"}, orders=crowd).rows.to_pylist()
    }
    people = answer.summary["at_risk_list"]
    assert {line["customer_id"] for line in people} == set(known)
    for line in people:
        told = known[line["customer_id"]]
        assert all(line[name] == told[name] for name in ("x", "t_x", "T", "p_alive"))
        assert line["silence"] == pytest.approx(told["T"] - told["t_x"])
        assert line["p_alive_at_horizon"] < line["p_alive"]
    assert answer.summary["present"] == pytest.approx(sum(row["p_alive"] for row in known.values()))
    (group,) = answer.summary["groups"]
    assert group["present_at_horizon"] == pytest.approx(sum(line["p_alive_at_horizon"] for line in people))
    assert group["expected_losses"] == pytest.approx(group["present"] - group["present_at_horizon"])
    silences = [line["chance_of_silence"] for line in people]
    assert silences == sorted(silences)
    assert _holds(answer)


def test_those_who_cost_most_come_first(ask: Ask, crowd: Rows) -> None:
    params = {**SILENT, "model": "mbg_nbd", "at_risk_by": "value", "at_risk_size": 1000, "horizon": 8}
    answer = ask("churn_survival", params, orders=crowd)
    clv = ask("clv", {"model": "mbg_nbd", "horizon": 8}, orders=crowd)
    known = {row["customer_id"]: row for row in clv.rows.to_pylist()}
    stakes = [line["at_stake"] for line in answer.summary["at_risk_list"]]
    assert stakes == sorted(stakes, reverse=True)
    for line in answer.summary["at_risk_list"]:
        told = known[line["customer_id"]]
        lost = told["expected_orders"] * told["expected_spend"] / told["p_alive"] * (1 - told["p_alive"])
        assert line["at_stake"] == pytest.approx(lost)
        assert told["p_alive"] >= 0.5
    assert len(stakes) == sum(row["p_alive"] >= 0.5 for row in known.values())


def test_groups_and_segments_part_the_customers(ask: Ask, crowd: Rows) -> None:
    everybody = [{"customer_id": f"c{number:03}", "tier": "gold" if number % 3 else None} for number in range(150)]
    plain = ask("churn_survival", SILENT, orders=crowd, customers=everybody)
    params = {**SILENT, "group_by": "tier", "segment_by": ["channel"]}
    answer = ask("churn_survival", params, orders=crowd, customers=everybody)
    groups = answer.summary["groups"]
    assert [(group["channel"], group["group"]) for group in groups] == [
        ("shop", "gold"),
        ("shop", None),
        ("web", "gold"),
        ("web", None),
    ]
    for name in ("n", "events", "present", "present_at_horizon", "likely_lost"):
        assert sum(group[name] for group in groups) == pytest.approx(plain.summary["groups"][0][name])
    assert answer.rows.column_names[-1] == "channel"
    assert answer.summary["params"] == plain.summary["params"]
    assert _holds(answer)


@pytest.mark.parametrize("model", MODELS)
def test_dropout_that_does_not_show_draws_no_curve(ask: Ask, model: str) -> None:
    answer = ask("churn_survival", {**SILENT, "model": model, "at_risk_size": 3}, orders=crowds.crowd(leave=False))
    assert answer.summary["identified"] is False
    assert "not-identified" in _codes(answer)
    assert answer.rows.num_rows == 0
    (group,) = answer.summary["groups"]
    assert (group["n"], group["present"], group["median"], group["expected_losses"]) == (150, None, None, None)
    # Silence can surprise without anybody's ever leaving.
    assert len(answer.summary["at_risk_list"]) == 3
    assert all(line["p_alive"] is None and 0 < line["chance_of_silence"] < 1 for line in answer.summary["at_risk_list"])
    assert len(answer.charts) == 1
    assert all(invariant.holds for invariant in answer.invariants)


@pytest.mark.parametrize("dataset", ["orders", "order_lines"])
def test_too_few_who_came_back_are_refused(ask: Ask, crowd: Rows, dataset: str) -> None:
    few = [] if dataset == "order_lines" else crowd[:100]
    with pytest.raises(errors.Refusal) as refused:
        ask("churn_survival", SILENT, **{dataset: few})
    assert refused.value.code == "too-few-repeat-customers"


def test_too_many_groups_are_refused(ask: Ask) -> None:
    with pytest.raises(errors.Refusal) as refused:
        ask("churn_survival", {**SILENT, "group_by": "customer_id"}, orders=crowds.crowd(250))
    assert refused.value.code == "too-many-groups"


def test_what_is_not_known_yet_is_not_read(ask: Ask, crowd: Rows) -> None:
    early = ask("churn_survival", {**SILENT, "as_of": "2024-05-01"}, orders=crowd)
    until = [row for row in crowd if row["ordered_at"] < dt.datetime(2024, 5, 1, tzinfo=dt.UTC)]
    known = ask("churn_survival", {**SILENT, "as_of": "2024-05-01"}, orders=until)
    assert early.rows.equals(known.rows)
    assert {**early.summary} == {**known.summary}
    assert early.rows.num_rows < ask("churn_survival", SILENT, orders=crowd).rows.num_rows


@pytest.mark.parametrize("model", MODELS)
def test_units_are_another_way_to_count(ask: Ask, crowd: Rows, model: str) -> None:
    by_week, by_day = (
        ask("churn_survival", {**SILENT, "model": model, "time_unit": unit, "horizon": ahead}, orders=crowd)
        for unit, ahead in (("week", 2), ("day", 14))
    )
    weeks: dict[float, float] = {}
    for row in by_day.rows.to_pylist():
        weeks[row["t"] // 7] = weeks.get(row["t"] // 7, 0.0) + row["events"]
    assert {row["t"]: row["events"] for row in by_week.rows.to_pylist() if row["events"]} == {
        week: pytest.approx(events) for week, events in weeks.items() if events
    }
    for name in ("present", "present_at_horizon", "likely_lost"):
        assert by_week.summary["groups"][0][name] == pytest.approx(by_day.summary["groups"][0][name], rel=1e-9)
    assert _people(by_week) == _people(by_day)
    assert by_day.summary["params"]["alpha"] == pytest.approx(7 * by_week.summary["params"]["alpha"])
    assert by_week.summary["time_unit"] == "weeks"


def test_intervals_widen_with_confidence_and_hold_the_curve(ask: Ask, crowd: Rows) -> None:
    narrow, wide = (ask("churn_survival", {**SILENT, "confidence": each}, orders=crowd) for each in (0.5, 0.99))
    for one, other in zip(narrow.rows.to_pylist(), wide.rows.to_pylist(), strict=True):
        assert 0 <= other["lower"] <= one["lower"] <= one["survival"] <= one["upper"] <= other["upper"] <= 1
        assert math.isfinite(one["std_err"])
    assert [chart.title for chart in narrow.charts] == [
        "Customers who stay, with 50% intervals",
        "Repeat transactions since the first, expected and actual",
        "Customers by the chance of still being one",
    ]


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        ({**SILENT, "dataset": "subscriptions"}, "dataset"),
        ({"mode": "contractual", "dataset": "orders"}, "dataset"),
        ({**SILENT, "duration": "tenure", "event": "churn"}, "duration"),
        ({**SILENT, "started": "a", "ended": "b"}, "started"),
        ({**SILENT, "grace_days": 3}, "grace_days"),
        ({"model": "mbg_nbd"}, "model"),
        ({"at_risk_by": "value"}, "at_risk_by"),
        ({"mode": "contractual", "lost_below": 0.4}, "lost_below"),
        ({**SILENT, "horizon": 6_000}, "horizon"),
    ],
)
def test_parameters_of_the_other_mode_are_refused(raw: dict[str, Any], pointer: str) -> None:
    with pytest.raises(pydantic.ValidationError) as error:
        registry.REPORT_TYPES["churn_survival"].parse_params(raw, timezone="UTC", currency="GBP")
    assert pointer in [each["loc"][0] for each in error.value.errors()]


@pytest.mark.parametrize(
    ("raw", "needed"),
    [
        ({}, (("subscriptions",),)),
        ({"duration": "tenure", "event": "churn"}, (("customers",),)),
        (SILENT, (("orders", "order_lines"),)),
        ({"dataset": "orders"}, (("orders", "order_lines"),)),
    ],
)
def test_the_mode_decides_what_is_read(raw: dict[str, Any], needed: tuple[tuple[str, ...], ...]) -> None:
    kind = registry.REPORT_TYPES["churn_survival"]
    params = kind.parse_params(raw, timezone="UTC", currency="GBP")
    assert kind.needs(params).required == needed
    # What is kept of a question means the same when it is read again.
    again = kind.params.model_validate(params.model_dump(mode="json"))
    assert again == params
