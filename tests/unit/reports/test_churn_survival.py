"""Survival: the published curve, figures of lifelines 0.30.3, a plain recount in fractions, and the edges of lifetimes."""

import csv
import datetime as dt
import gzip
import itertools
import math
import random
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import hypothesis
import pydantic
import pytest
from hypothesis import strategies as st

from analytics import errors, result
from analytics.catalogue import registry

Ask = Callable[..., result.Result]
Rows = Sequence[Mapping[str, Any]]

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "telco_churn"
MEASURED = {"duration": "tenure", "event": "churn"}
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data folder is not beside the repository")


def _holds(answer: result.Result) -> bool:
    return bool(answer.invariants) and all(invariant.holds for invariant in answer.invariants)


def _codes(answer: result.Result) -> set[str]:
    return {warning.code for warning in answer.warnings}


def _lived(*found: tuple[str, str, str], **rest: Sequence[str]) -> Rows:
    return [
        {"customer_id": customer, "tenure": tenure, "churn": churn, **{name: rest[name][place] for name in rest}}
        for place, (customer, tenure, churn) in enumerate(found)
    ]


def _sub(customer: str, started: str, ended: str | None, **rest: Any) -> dict[str, Any]:
    return {
        "subscription_id": f"{customer}-{started}",
        "customer_id": customer,
        "started_on": dt.date.fromisoformat(started),
        "ended_on": None if ended is None else dt.date.fromisoformat(ended),
        **rest,
    }


def _steps(answer: result.Result) -> list[tuple[Any, ...]]:
    return [(row["t"], row["at_risk"], row["events"], row["censored"]) for row in answer.rows.to_pylist()]


@pytest.fixture(scope="module")
def telco() -> Rows:
    with gzip.open(DATA / "Telco-Customer-Churn.csv.gz", "rt", newline="") as file:
        return [
            {
                "customer_id": row["customerID"],
                "tenure": row["tenure"],
                "churn": row["Churn"],
                "contract": row["Contract"],
                "gender": row["gender"],
            }
            for row in csv.DictReader(file)
        ]


@pytest.mark.golden
@needs_data
def test_the_published_curve(ask: Ask, telco: Rows) -> None:
    answer = ask("churn_survival", {**MEASURED, "interval": "log"}, customers=telco)
    names = {
        "t": "time",
        "at_risk": "n_risk",
        "events": "n_event",
        "censored": "n_censor",
        "survival": "survival",
        "std_err": "std_err_greenwood",
        "lower": "lower95_log",
        "upper": "upper95_log",
    }
    with (DATA / "answers" / "kaplan_meier.csv").open(newline="") as file:
        wanted = list(csv.DictReader(file))
    rows = answer.rows.to_pylist()
    assert len(rows) == len(wanted)
    for row, want in zip(rows, wanted, strict=True):
        assert {name: row[name] for name in names} == pytest.approx(
            {name: float(want[other]) for name, other in names.items()}, abs=1e-6
        )
    curve = {row["t"]: row["survival"] for row in rows}
    assert [round(curve[t], 4) for t in (12, 24, 72)] == [0.8432, 0.7887, 0.5928]
    (group,) = answer.summary["groups"]
    assert (group["n"], group["events"], group["median"]) == (7_043, 1_869, None)
    assert "zero-lifetimes" in _codes(answer)
    assert _holds(answer)


@pytest.mark.golden
@needs_data
def test_groups_as_lifelines_finds_them(ask: Ask, telco: Rows) -> None:
    answer = ask("churn_survival", {**MEASURED, "group_by": "contract"}, customers=telco)
    assert answer.summary["logrank"] == pytest.approx({"chi2": 2352.87253825934, "df": 2, "p": 0.0}, rel=1e-9)
    monthly = answer.summary["groups"][0]
    assert (monthly["group"], monthly["median"]) == ("Month-to-month", 35.0)
    assert (monthly["median_lower"], monthly["median_upper"]) == (32.0, 38.0)
    rows = {row["t"]: row for row in answer.rows.to_pylist() if row["group"] == "Month-to-month"}
    for t, lower, upper in ((1, 0.892138, 0.910888), (12, 0.687259, 0.718304), (72, 0.075945, 0.196396)):
        assert (rows[t]["lower"], rows[t]["upper"]) == pytest.approx((lower, upper), abs=5e-7)
    test = ask("churn_survival", {**MEASURED, "group_by": "gender"}, customers=telco).summary["logrank"]
    assert test == pytest.approx({"chi2": 0.5257069722256361, "df": 1, "p": 0.4684173507569731}, rel=1e-9)
    assert _holds(answer)


@pytest.mark.parametrize("params", [{}, MEASURED, {"started": "created_at", "ended": "tenure"}])
def test_nobody_is_an_answer(ask: Ask, params: dict[str, Any]) -> None:
    customers = [{"customer_id": "a", "tenure": "", "churn": "", "created_at": None}]
    answer = ask("churn_survival", params, subscriptions=[], customers=customers)
    assert answer.rows.num_rows == 0
    assert answer.summary["groups"] == []
    assert _holds(answer)


def test_one_customer_who_left(ask: Ask) -> None:
    answer = ask("churn_survival", MEASURED, customers=_lived(("anna", "5", "Yes")))
    (row,) = answer.rows.to_pylist()
    assert (row["survival"], row["std_err"], row["lower"], row["upper"]) == (0.0, None, None, None)
    assert answer.summary["groups"][0]["median"] == 5.0
    assert answer.summary["logrank"] is None
    assert _holds(answer)


def test_whoever_is_last_seen_at_a_time_survives_it(ask: Ask) -> None:
    rows = _lived(("a", "1", "No"), ("b", "1", "Yes"), ("c", "2.5", "No"), ("d", "2.5", "Yes"))
    answer = ask("churn_survival", MEASURED, customers=rows)
    assert _steps(answer) == [(1.0, 4, 1, 1), (2.5, 2, 1, 1)]
    assert [row["survival"] for row in answer.rows.to_pylist()] == [0.75, 0.375]


def test_unreadable_lifetimes_are_left_out(ask: Ask) -> None:
    rows = _lived(
        ("a", "-1", "Yes"), ("b", "long", "Yes"), ("c", "", "No"), ("d", "NaN", "No"), ("e", "3", ""), ("f", "0", "Yes")
    )
    answer = ask("churn_survival", MEASURED, customers=rows)
    assert dict(answer.dropped) == {"no_duration": 4, "no_event": 1}
    assert _steps(answer) == [(0.0, 1, 1, 0)]


@pytest.mark.parametrize(
    ("values", "named", "events"),
    [
        (["TRUE", "false", " yes "], [], 2),
        (["1", "0", "1"], [], 2),
        (["Churned", "Active", "active"], [], 1),
        (["gone", "here", "Here"], ["GONE"], 1),
        (["moved", "bankrupt", "here"], ["moved", "bankrupt"], 2),
    ],
)
def test_what_means_leaving(ask: Ask, values: list[str], named: list[str], events: int) -> None:
    rows = _lived(*((str(place), "1", value) for place, value in enumerate(values)))
    answer = ask("churn_survival", {**MEASURED, "event_values": named}, customers=rows)
    assert answer.summary["events"] == events


def test_a_value_that_could_mean_anything_is_asked_about(ask: Ask) -> None:
    with pytest.raises(errors.Refusal, match="event_values") as refusal:
        ask("churn_survival", MEASURED, customers=_lived(("a", "1", "Yes"), ("b", "1", "perhaps")))
    assert refusal.value.code == "event-values"


def test_customers_alone_have_no_lifetimes(ask: Ask) -> None:
    with pytest.raises(errors.Refusal) as refusal:
        ask("churn_survival", {"dataset": "customers"}, customers=_lived(("a", "1", "Yes")))
    assert refusal.value.code == "lifetime-columns"


def test_an_unknown_column_is_refused(ask: Ask) -> None:
    with pytest.raises(errors.Refusal) as refusal:
        ask("churn_survival", {**MEASURED, "duration": "years"}, customers=_lived(("a", "1", "Yes")))
    assert refusal.value.code == "unknown-column"


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        ({"duration": "tenure"}, "event"),
        ({"event": "churn"}, "event"),
        ({"started": "created_at"}, "ended"),
        ({**MEASURED, "started": "a", "ended": "b"}, "ended"),
        ({**MEASURED, "start": "2024-01-01"}, "duration"),
        ({"confidence": 1.0}, "confidence"),
    ],
)
def test_parameters_that_do_not_go_together(raw: dict[str, Any], pointer: str) -> None:
    with pytest.raises(pydantic.ValidationError) as error:
        registry.REPORT_TYPES["churn_survival"].parse_params(raw, timezone="UTC", currency="GBP")
    assert [each["loc"] for each in error.value.errors()] == [(pointer,)]


SUBSCRIPTIONS = [
    # Two prices and an overlap: one stretch of 91 days, whose end is known.
    _sub("anna", "2024-01-01", "2024-02-01", plan="basic"),
    _sub("anna", "2024-01-20", "2024-04-01", plan="pro"),
    # Came back after a month.
    _sub("bert", "2024-01-01", "2024-02-01", plan="basic"),
    _sub("bert", "2024-03-01", None, plan="pro"),
    # Still there.
    _sub("cleo", "2024-03-01", None, plan="pro"),
    # Ends after what is known.
    _sub("dora", "2024-02-01", "2025-01-01", plan=None),
]


def test_a_stretch_of_subscriptions_is_one_lifetime(ask: Ask) -> None:
    answer = ask("churn_survival", {"as_of": "2024-05-01"}, subscriptions=SUBSCRIPTIONS)
    assert _steps(answer) == [(31.0, 4, 1, 0), (61.0, 3, 0, 1), (90.0, 2, 0, 1), (91.0, 1, 1, 0)]
    assert "came-back" in _codes(answer)
    assert answer.summary["as_of"] == "2024-05-01T00:00:00Z"
    assert _holds(answer)


def test_grace_makes_late_renewals_one_lifetime(ask: Ask) -> None:
    answer = ask("churn_survival", {"as_of": "2024-05-01", "grace_days": 29}, subscriptions=SUBSCRIPTIONS)
    # Bert's month away is within the grace; whether anna is gone is known, because her 29 days are over.
    assert _steps(answer) == [(61.0, 4, 0, 1), (90.0, 3, 0, 1), (91.0, 2, 1, 0), (121.0, 1, 0, 1)]
    assert "came-back" not in _codes(answer)
    undecided = ask("churn_survival", {"as_of": "2024-04-30", "grace_days": 29}, subscriptions=SUBSCRIPTIONS)
    assert undecided.summary["events"] == 0


def test_an_end_on_the_day_of_as_of_is_not_known_to_be_one(ask: Ask) -> None:
    subscriptions = [_sub("anna", "2024-01-01", "2024-02-01")]
    for as_of, left in (("2024-02-01", 0), ("2024-02-02", 1)):
        answer = ask("churn_survival", {"as_of": as_of}, subscriptions=subscriptions)
        assert (answer.rows.to_pylist()[0]["t"], answer.summary["events"]) == (31.0, left)


def test_completed_months_of_the_calendar(ask: Ask) -> None:
    subscriptions = [_sub("anna", "2024-01-31", "2024-03-30"), _sub("bert", "2024-01-15", "2024-03-15")]
    answer = ask("churn_survival", {"as_of": "2024-05-01", "time_unit": "month"}, subscriptions=subscriptions)
    assert _steps(answer) == [(1.0, 2, 1, 0), (2.0, 1, 1, 0)]


def test_start_and_end_choose_by_the_first_day(ask: Ask) -> None:
    params = {"as_of": "2024-05-01", "start": "2024-02-01", "end": "2024-03-01"}
    answer = ask("churn_survival", params, subscriptions=SUBSCRIPTIONS)
    assert _steps(answer) == [(90.0, 1, 0, 1)]
    assert answer.dropped["customers_outside_dates"] == 3


def test_rows_between_two_dates_in_the_zone_of_the_report(ask: Ask) -> None:
    """Eleven at night in UTC is the next day in Berlin; the change of the clock makes no lifetime longer."""
    at = dt.datetime(2024, 3, 30, 23, 30, tzinfo=dt.UTC)
    customers = [
        {"customer_id": "anna", "created_at": at, "gone": "2024-04-02"},
        {"customer_id": "bert", "created_at": at, "gone": " "},
        {"customer_id": "cleo", "created_at": at, "gone": "soon"},
        {"customer_id": "dora", "created_at": at, "gone": "2024-03-01"},
    ]
    params = {"started": "created_at", "ended": "gone", "as_of": "2024-04-10"}
    utc = ask("churn_survival", params, customers=customers)
    assert _steps(utc) == [(3.0, 2, 1, 0), (11.0, 1, 0, 1)]
    assert dict(utc.dropped) == {"no_date": 1, "ends_before_it_starts": 1}
    berlin = ask("churn_survival", params, timezone="Europe/Berlin", customers=customers)
    assert _steps(berlin) == [(2.0, 2, 1, 0), (10.0, 1, 0, 1)]


def test_by_a_column_of_subscriptions_it_is_that_of_the_first(ask: Ask) -> None:
    answer = ask(
        "churn_survival", {"as_of": "2024-05-01", "group_by": "plan"}, subscriptions=list(reversed(SUBSCRIPTIONS))
    )
    assert [(group["group"], group["n"]) for group in answer.summary["groups"]] == [("basic", 2), ("pro", 1), (None, 1)]
    assert _holds(answer)


def test_the_at_risk_list_names_who_is_likeliest_to_leave(ask: Ask) -> None:
    rows = _lived(
        ("a", "1", "Yes"), ("b", "1", "No"), ("c", "2", "Yes"), ("d", "3", "Yes"), ("e", "2", "No"), ("f", "9", "No")
    )
    answer = ask("churn_survival", {**MEASURED, "at_risk_size": 2}, customers=rows)
    # Of the four who reach 2, one leaves there; of the two who reach 3, one.
    assert [(each["customer_id"], each["chance_to_leave"]) for each in answer.summary["at_risk_list"]] == [
        ("e", 0.5),
        ("b", pytest.approx(0.25)),
    ]
    (group,) = answer.summary["groups"]
    assert (group["present"], group["beyond_the_curve"]) == (3, 1)
    assert group["expected_losses"] == pytest.approx(0.75)


def test_too_many_groups_are_refused(ask: Ask) -> None:
    rows = _lived(*((str(i), "1", "No") for i in range(201)))
    with pytest.raises(errors.Refusal) as refusal:
        ask("churn_survival", {**MEASURED, "group_by": "customer_id"}, customers=rows)
    assert refusal.value.code == "too-many-groups"


def test_segments_are_strata_of_the_test(ask: Ask) -> None:
    """Within each segment the groups are alike; only because one segment lives longer do they differ without it."""
    found, segments, groups = [], [], []
    for segment, group, lives in (("x", "p", (1, 2, 3, 4)), ("x", "q", (1, 2, 3, 4)), ("y", "q", (11, 12, 13, 14))):
        for life, copy in itertools.product(lives, range(3)):
            found.append((f"{segment}{group}{life}{copy}", str(life), "Yes"))
            segments.append(segment)
            groups.append(group)
    rows = _lived(*found, kind=groups, tier=segments)
    plain = ask("churn_survival", {**MEASURED, "group_by": "kind"}, customers=rows)
    stratified = ask("churn_survival", {**MEASURED, "group_by": "kind", "segment_by": ["tier"]}, customers=rows)
    assert plain.summary["logrank"]["p"] < 0.05
    assert stratified.summary["logrank"]["chi2"] == pytest.approx(0.0, abs=1e-12)
    assert stratified.rows.column_names[-1] == "tier"
    assert _holds(stratified)


LIVES = st.lists(st.tuples(st.integers(0, 8), st.booleans(), st.sampled_from(["p", "q"])), min_size=1, max_size=25)


@hypothesis.settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
@hypothesis.given(lives=LIVES, seed=st.integers(0, 9))
def test_a_plain_recount_finds_the_same(ask: Ask, lives: list[tuple[int, bool, str]], seed: int) -> None:
    rows = _lived(
        *((f"c{place:02}", str(life), "yes" if left else "no") for place, (life, left, _) in enumerate(lives)),
        kind=[group for *_, group in lives],
    )
    params = {**MEASURED, "group_by": "kind"}
    answer = ask("churn_survival", params, customers=rows)
    shuffled = random.Random(seed).sample(rows, len(rows))  # noqa: S311 - any order will do
    again = ask("churn_survival", params, customers=shuffled)
    assert again.rows.equals(answer.rows)
    assert again.summary == answer.summary
    assert _holds(answer)
    for group in {group for *_, group in lives}:
        own = [(life, left) for life, left, other in lives if other == group]
        found = [row for row in answer.rows.to_pylist() if row["group"] == group]
        assert [row["survival"] for row in found] == pytest.approx(_survival(own), abs=1e-12)
    _assert_log_rank(answer.summary["logrank"], lives)


def _survival(lives: Sequence[tuple[int, bool]]) -> list[float]:
    chance, found = Fraction(1), []
    for time in sorted({life for life, _ in lives}):
        reach = sum(life >= time for life, _ in lives)
        chance *= 1 - Fraction(sum(life == time and left for life, left in lives), reach)
        found.append(float(chance))
    return found


def _assert_log_rank(test: Mapping[str, Any] | None, lives: Sequence[tuple[int, bool, str]]) -> None:
    """Two groups: the square of observed less expected over its hypergeometric variance, in fractions."""
    observed, expected, variance = 0, Fraction(0), Fraction(0)
    both = set()
    for time in sorted({life for life, left, _ in lives if left}):
        reach = [group for life, _, group in lives if life >= time]
        gone = [group for life, left, group in lives if life == time and left]
        n, p, d = len(reach), reach.count("p"), len(gone)
        both |= set(reach)
        observed += gone.count("p")
        expected += Fraction(d * p, n)
        if n > 1:
            variance += Fraction(d * p * (n - p) * (n - d), n * n * (n - 1))
    if len(both) < 2:
        assert test is None
        return
    assert test is not None
    chi2 = float((observed - expected) ** 2 / variance) if variance else 0.0
    assert test["chi2"] == pytest.approx(chi2, abs=1e-9)
    assert test["p"] == pytest.approx(math.erfc(math.sqrt(chi2 / 2)), abs=1e-9)
