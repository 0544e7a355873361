"""Edges of `mrr`, the published figures, and a plain recount of random subscriptions day by day."""

import csv
import datetime as dt
import random
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from analytics import errors, result

Ask = Callable[..., result.Result]
Rows = Sequence[Mapping[str, Any]]

D = Decimal
DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "subscriptions"
MOVEMENTS = ("new", "reactivation", "expansion", "contraction", "churn", "transfer", "fx")


def sub(customer: str | None, started: str, ended: str | None, mrr: str, **rest: Any) -> dict[str, Any]:
    return {
        "subscription_id": f"{customer}-{started}-{mrr}-{rest.get('plan')}-{rest.get('currency')}",
        "customer_id": customer,
        "started_on": dt.date.fromisoformat(started),
        "ended_on": None if ended is None else dt.date.fromisoformat(ended),
        "mrr": D(mrr),
        "currency": "GBP",
        **rest,
    }


def _holds(answer: result.Result) -> bool:
    return bool(answer.invariants) and all(invariant.holds for invariant in answer.invariants)


def _by_month(answer: result.Result) -> dict[int, dict[str, Any]]:
    return {row["period"].month: row for row in answer.rows.to_pylist()}


def _moved(row: Mapping[str, Any]) -> dict[str, Decimal]:
    return {name: row[name] for name in MOVEMENTS if row[name]}


def _codes(answer: result.Result) -> set[str]:
    return {warning.code for warning in answer.warnings}


@pytest.fixture(scope="module")
def published() -> Rows:
    with (DATA / "subscription_periods.csv").open(newline="") as file:
        return [
            sub(row["customer_id"], row["start_date"], row["end_date"] or None, row["monthly_amount"], currency="USD")
            for row in csv.DictReader(file)
        ]


@pytest.mark.golden
@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data folder is not beside the repository")
def test_published_year_equals_the_answers(ask: Ask, published: Rows) -> None:
    answer = ask("mrr", {"start": "2019-01-01", "as_of": "2020-01-01"}, currency="USD", subscriptions=published)
    rows = answer.rows.to_pylist()
    with (DATA / "answers" / "mrr_2019.csv").open(newline="") as file:
        wanted = list(csv.DictReader(file))
    names = {
        "customers": "active_customers",
        "end": "mrr",
        "new": "new_mrr",
        "reactivation": "reactivation_mrr",
        "expansion": "upgrade_mrr",
        "contraction": "downgrade_mrr",
        "churn": "churn_mrr",
        "new_customers": "n_new",
        "reactivated_customers": "n_react",
        "expanded_customers": "n_up",
        "contracted_customers": "n_down",
        "churned_customers": "n_churn",
    }
    found = [{name: D(row[name]) for name in names} for row in rows]
    # The answers have losses below zero.
    assert found == [{name: abs(D(want[other] or 0)) for name, other in names.items()} for want in wanted]
    assert [row["period"].isoformat() for row in rows] == [want["date_month"] for want in wanted]
    june, december = rows[5], rows[11]
    assert (june["start"], june["end"]) == (D(965), D(1135))
    assert december["nrr"] == pytest.approx(0.6277, abs=5e-5)
    assert answer.summary["last"]["period"] == "2019-12-01"
    assert _holds(answer)


@pytest.mark.parametrize("params", [{}, {"as_of": "2024-01-01"}, {"start": "2024-01-01", "end": "2024-02-01"}])
def test_no_subscriptions_are_an_answer(ask: Ask, params: dict[str, Any]) -> None:
    answer = ask("mrr", params, subscriptions=[])
    assert answer.rows.num_rows == 0
    assert answer.rows.column_names == [column.name for column in answer.columns]
    assert answer.summary["last"] is None
    assert _holds(answer)


def test_the_end_is_the_first_day_without(ask: Ask) -> None:
    """Until the first of March is until the last day of February; until the second is a day more, and March's loss."""
    subscriptions = [sub("anna", "2024-01-10", "2024-03-01", "10"), sub("bert", "2024-01-10", "2024-03-02", "10")]
    months = _by_month(ask("mrr", {"as_of": "2024-04-01"}, subscriptions=subscriptions))
    assert months[2]["customers"] == 2
    assert _moved(months[3]) == {"churn": D(20)}
    early = _by_month(ask("mrr", {"as_of": "2024-03-02"}, subscriptions=subscriptions))
    assert (early[3]["end"], early[3]["complete"], early[3]["nrr"]) == (D(10), False, None)


def test_replacing_a_subscription_is_no_churn(ask: Ask) -> None:
    subscriptions = [
        sub("anna", "2024-01-01", "2024-02-15", "10"),
        sub("anna", "2024-02-15", None, "25"),
        sub("bert", "2024-01-01", "2024-02-10", "30"),
        sub("bert", "2024-02-20", None, "20"),
    ]
    months = _by_month(ask("mrr", {"as_of": "2024-03-01"}, subscriptions=subscriptions))
    assert _moved(months[2]) == {"expansion": D(15), "contraction": D(10)}
    assert (months[2]["grr"], months[2]["nrr"]) == (0.75, 1.125)


def test_overlapping_subscriptions_are_one_customer(ask: Ask) -> None:
    subscriptions = [sub("anna", "2024-01-01", None, "10"), sub("anna", "2024-01-20", "2024-03-05", "5")]
    answer = ask("mrr", {"as_of": "2024-04-01"}, subscriptions=subscriptions)
    months = _by_month(answer)
    assert [months[month]["customers"] for month in (1, 2, 3)] == [1, 1, 1]
    assert _moved(months[1]) == {"new": D(15)}
    assert _moved(months[3]) == {"contraction": D(5)}
    assert _holds(answer)


def test_a_gap_over_a_last_day_is_churn_and_reactivation(ask: Ask) -> None:
    subscriptions = [
        sub("anna", "2024-01-01", "2024-02-10", "10"),
        sub("anna", "2024-04-10", None, "12"),
        sub("bert", "2024-01-01", None, "1"),
    ]
    answer = ask("mrr", {"as_of": "2024-05-01"}, subscriptions=subscriptions)
    months = _by_month(answer)
    assert _moved(months[2]) == {"churn": D(10)}
    assert _moved(months[3]) == {}
    assert _moved(months[4]) == {"reactivation": D(12)}
    # Who comes back was not in the start, so retention does not count them.
    assert months[4]["nrr"] == 1.0
    assert _holds(answer)


def test_between_two_last_days_nothing_moves_but_a_warning_says_so(ask: Ask) -> None:
    subscriptions = [sub("anna", "2024-01-01", None, "10"), sub("bert", "2024-02-03", "2024-02-20", "99")]
    answer = ask("mrr", {"as_of": "2024-03-01"}, subscriptions=subscriptions)
    assert _moved(_by_month(answer)[2]) == {}
    assert "between-two-last-days" in _codes(answer)
    by_day = ask("mrr", {"as_of": "2024-03-01", "period": "day"}, subscriptions=subscriptions)
    assert sum(row["new"] for row in by_day.rows.to_pylist()) == D(109)
    assert _holds(by_day)


def test_what_cannot_be_counted_is_left_out_by_reason(ask: Ask) -> None:
    subscriptions = [
        sub("anna", "2024-01-01", None, "10"),
        sub("bert", "2024-02-01", "2024-02-01", "10"),
        sub("cleo", "2024-02-01", "2024-01-01", "10"),
        sub(None, "2024-02-01", None, "10"),
        sub("dora", "2024-03-01", None, "10"),
        sub("emil", "2024-01-05", None, "10", plan="trial"),
    ]
    wanted = {"column": "plan", "op": "ne", "value": "trial"}
    answer = ask("mrr", {"as_of": "2024-03-01", "filter": wanted}, subscriptions=subscriptions)
    assert dict(answer.dropped) == {"ends_before_it_starts": 2, "no_customer": 1, "outside_dates": 1, "filtered": 1}
    assert [row["end"] for row in answer.rows.to_pylist()] == [D(10), D(10)]


def test_by_itself_the_data_reach_to_the_last_start(ask: Ask) -> None:
    """An end in the far future is a contract's, not a churn that is known."""
    subscriptions = [sub("anna", "2024-01-01", "2025-01-01", "10"), sub("bert", "2024-02-14", None, "5")]
    answer = ask("mrr", {}, subscriptions=subscriptions)
    assert answer.summary["as_of"] == "2024-02-15T00:00:00Z"
    assert [row["complete"] for row in answer.rows.to_pylist()] == [True, False]
    assert {"scheduled-ends", "partial-periods"} <= _codes(answer)
    later = ask("mrr", {"as_of": "2025-02-01"}, subscriptions=subscriptions).rows.to_pylist()
    assert (len(later), later[-1]["churn"]) == (13, D(10))


def test_the_day_of_as_of_is_that_of_the_zone(ask: Ask) -> None:
    subscriptions = [sub("anna", "2024-01-01", None, "10"), sub("bert", "2024-03-31", None, "5")]
    at = {"as_of": "2024-03-31T23:30:00Z"}
    assert ask("mrr", at, subscriptions=subscriptions).rows.to_pylist()[-1]["end"] == D(10)
    london = ask("mrr", at, timezone="Europe/London", subscriptions=subscriptions).rows.to_pylist()
    assert (london[-1]["end"], london[-1]["complete"]) == (D(15), True)


def test_start_hides_history_but_does_not_forget_it(ask: Ask) -> None:
    subscriptions = [
        sub("anna", "2023-01-01", "2023-03-01", "10"),
        sub("anna", "2024-02-01", None, "10"),
        sub("bert", "2023-05-01", None, "3"),
    ]
    answer = ask("mrr", {"start": "2024-02-01", "as_of": "2024-03-01"}, subscriptions=subscriptions)
    (row,) = answer.rows.to_pylist()
    assert (row["start"], row["reactivation"], row["end"]) == (D(3), D(10), D(13))


TWO = [
    sub("anna", "2024-01-01", None, "100"),
    sub("anna", "2024-01-01", "2024-03-15", "50", currency="EUR"),
    sub("bert", "2024-02-01", None, "10", currency="EUR"),
    sub("cleo", "2024-01-01", "2024-02-10", "20", currency="EUR"),
]
EUROS = [
    {"currency": "EUR", "on": dt.date(2024, 1, 1), "rate": D("0.8")},
    {"currency": "EUR", "on": dt.date(2024, 2, 15), "rate": D("0.9")},
]


def test_without_rates_each_currency_has_rows(ask: Ask) -> None:
    answer = ask("mrr", {"as_of": "2024-04-01"}, subscriptions=TWO)
    rows = [(row["period"].month, row["currency"], row["end"], row["customers"]) for row in answer.rows.to_pylist()]
    assert rows == [
        (1, "EUR", D(70), 2),
        (1, "GBP", D(100), 1),
        (2, "EUR", D(60), 2),
        (2, "GBP", D(100), 1),
        (3, "EUR", D(10), 1),
        (3, "GBP", D(100), 1),
    ]
    assert {column.unit for column in answer.columns if column.name == "end"} == {"currency"}
    assert [last["currency"] for last in answer.summary["currencies"]] == ["EUR", "GBP"]
    assert answer.summary["last"]["currency"] == "GBP"
    assert "several-currencies" in _codes(answer)
    assert _holds(answer)


def test_with_rates_exchange_is_a_movement_of_its_own(ask: Ask) -> None:
    answer = ask("mrr", {"as_of": "2024-04-01"}, subscriptions=TWO, fx_rates=EUROS)
    months = _by_month(answer)
    assert months[1]["end"] == D(100) + D("0.8") * 70
    # Bert is new at the rate of the end; cleo's 20 leave at that of the start; anna's 50 euros gain a tenth each.
    assert _moved(months[2]) == {"new": D(9), "churn": D(16), "fx": D(5)}
    assert months[2]["grr"] == pytest.approx(1 - 16 / 156)
    assert _moved(months[3]) == {"contraction": D(45)}
    assert {column.unit for column in answer.columns if column.name == "end"} == {"GBP"}
    assert _holds(answer)


def test_exchange_does_not_make_retention(ask: Ask) -> None:
    rates = [{**EUROS[0]}, {**EUROS[1], "rate": D(8)}]
    subscriptions = [sub("anna", "2024-01-01", "2024-02-20", "50", currency="EUR"), *TWO[2:3]]
    row = _by_month(ask("mrr", {"as_of": "2024-03-01"}, subscriptions=subscriptions, fx_rates=rates))[2]
    assert (row["grr"], row["churn"], row["fx"]) == (0.0, D(40), D(0))


def test_changes_of_one_customer_in_two_currencies_are_one_movement(ask: Ask) -> None:
    """Ten euros less and nine pounds more is an expansion by one pound at 0.8."""
    subscriptions = [
        sub("anna", "2024-01-01", "2024-02-10", "10", currency="EUR"),
        sub("anna", "2024-01-01", None, "5"),
        sub("anna", "2024-02-10", None, "9"),
    ]
    answer = ask("mrr", {"as_of": "2024-03-01"}, subscriptions=subscriptions, fx_rates=EUROS)
    row = _by_month(answer)[2]
    assert (_moved(row), row["expanded_customers"]) == ({"expansion": D(1)}, 1)
    assert _holds(answer)


def test_what_has_no_rate_yet_is_left_out_and_counted(ask: Ask) -> None:
    subscriptions = [
        *TWO,
        sub("dora", "2023-12-01", None, "7", currency="EUR"),
        sub("emil", "2024-01-01", None, "7", currency="CHF"),
    ]
    answer = ask("mrr", {"as_of": "2024-04-01"}, subscriptions=subscriptions, fx_rates=EUROS)
    assert answer.dropped["unconverted"] == 2
    assert "unconverted" in _codes(answer)
    assert _by_month(answer)[1]["start"] == D(0)
    assert _holds(answer)
    separate = ask("mrr", {"currencies": "separate"}, subscriptions=subscriptions, fx_rates=EUROS)
    assert {row["currency"] for row in separate.rows.to_pylist()} == {"CHF", "EUR", "GBP"}


def test_a_discount_lessens_what_a_customer_pays_and_makes_none(ask: Ask) -> None:
    subscriptions = [
        sub("anna", "2024-01-01", None, "-5"),
        sub("anna", "2024-02-01", None, "20"),
        sub("bert", "2024-01-01", None, "10"),
    ]
    answer = ask("mrr", {"as_of": "2024-03-01"}, subscriptions=subscriptions)
    months = _by_month(answer)
    assert (months[1]["end"], months[1]["customers"]) == (D(5), 1)
    assert (months[2]["new"], months[2]["reactivation"], months[2]["end"]) == (D(20), D(0), D(25))
    assert "negative-mrr" in _codes(answer)
    assert _holds(answer)


def test_by_plan_who_changes_it_is_transferred(ask: Ask) -> None:
    subscriptions = [
        sub("anna", "2024-01-01", "2024-02-10", "10", plan="basic"),
        sub("anna", "2024-02-10", None, "30", plan="pro"),
        sub("bert", "2024-01-01", None, "10", plan="basic"),
        sub("cleo", "2024-02-01", None, "30", plan="pro"),
        sub("dora", "2024-01-01", "2024-02-01", "5", plan=None),
    ]
    answer = ask("mrr", {"as_of": "2024-03-01", "segment_by": ["plan"]}, subscriptions=subscriptions)
    rows = {(row["period"].month, row["plan"]): row for row in answer.rows.to_pylist()}
    assert [key for key in rows if key[0] == 2] == [(2, "basic"), (2, "pro"), (2, None)]
    assert _moved(rows[2, "basic"]) == {"transfer": D(-10)}
    assert _moved(rows[2, "pro"]) == {"transfer": D(30), "new": D(30)}
    assert _moved(rows[2, None]) == {"churn": D(5)}
    assert (rows[2, "basic"]["customers"], rows[2, "pro"]["customers"]) == (1, 2)
    # Whoever changes plan is neither kept nor lost by it.
    assert rows[2, "basic"]["nrr"] == 1.0
    assert "customers" not in answer.summary["last"]
    assert _holds(answer)


def test_by_a_column_of_customers(ask: Ask) -> None:
    customers = [{"customer_id": "anna", "country": "GB"}, {"customer_id": "bert", "country": "FR"}]
    subscriptions = [
        sub("anna", "2024-01-01", None, "10"),
        sub("bert", "2024-01-01", None, "20"),
        sub("cleo", "2024-01-01", None, "30"),
    ]
    answer = ask("mrr", {"segment_by": ["country"]}, subscriptions=subscriptions, customers=customers)
    assert [(row["country"], row["end"]) for row in answer.rows.to_pylist()] == [
        ("FR", D(20)),
        ("GB", D(10)),
        (None, D(30)),
    ]
    assert _holds(answer)


def test_an_unknown_column_is_refused(ask: Ask) -> None:
    with pytest.raises(errors.Refusal) as refusal:
        ask("mrr", {"segment_by": ["colour"]}, subscriptions=TWO)
    assert refusal.value.code == "unknown-column"


def test_too_many_rows_are_refused(ask: Ask) -> None:
    subscriptions = [sub("anna", "1001-01-01", None, "1"), sub("anna", "2990-01-01", None, "1")]
    with pytest.raises(errors.Refusal) as refusal:
        ask("mrr", {}, subscriptions=subscriptions)
    assert refusal.value.code == "too-many-periods"


RANDOM = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 150),
        st.one_of(st.none(), st.integers(1, 120)),
        st.integers(0, 40),
        st.sampled_from(["GBP", "EUR"]),
        st.sampled_from(["basic", "pro", None]),
    ),
    max_size=14,
)
FIRST = dt.date(2024, 1, 1)


def _made(found: Sequence[tuple[Any, ...]]) -> list[dict[str, Any]]:
    return [
        {
            "subscription_id": f"s{number:02}",
            "customer_id": customer,
            "started_on": FIRST + dt.timedelta(days=begin),
            "ended_on": None if length is None else FIRST + dt.timedelta(days=begin + length),
            "mrr": D(amount),
            "currency": currency,
            "plan": plan,
        }
        for number, (customer, begin, length, amount, currency, plan) in enumerate(found)
    ]


def _recount(
    rows: Rows, last_days: Sequence[dt.date], rate: Mapping[str, Sequence[Decimal]]
) -> list[dict[str, Decimal]]:
    """Compare every customer's money on one last day with that on the one before, the plain way."""

    def held(customer: str, day: dt.date) -> dict[str, Decimal]:
        money = dict.fromkeys(rate, D(0))
        for row in rows:
            if row["customer_id"] == customer and row["started_on"] <= day < (row["ended_on"] or dt.date.max):
                money[row["currency"]] += row["mrr"]
        return money

    seen: set[str] = set()
    found = []
    for place, (before, day) in enumerate(zip([FIRST - dt.timedelta(days=1), *last_days], last_days, strict=False)):
        moved = dict.fromkeys((*MOVEMENTS, "end"), D(0))
        for customer in sorted({row["customer_id"] for row in rows}):
            then, now = held(customer, before), held(customer, day)
            worth = sum(now[code] * rate[code][place + 1] for code in rate)
            change = sum((now[code] - then[code]) * rate[code][place] for code in rate)
            moved["end"] += worth
            if any(now.values()) and not any(then.values()):
                moved["reactivation" if customer in seen else "new"] += worth
                seen.add(customer)
                continue
            moved["fx"] += sum(now[code] * (rate[code][place + 1] - rate[code][place]) for code in rate)
            if any(then.values()) and not any(now.values()):
                moved["churn"] -= change
            elif change:
                moved["expansion" if change > 0 else "contraction"] += abs(change)
        found.append(moved)
    return found


@hypothesis.settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
@hypothesis.given(found=RANDOM, seed=st.integers(0, 9))
def test_a_plain_recount_finds_the_same(ask: Ask, found: list[Any], seed: int) -> None:
    subscriptions = _made(found)
    months = [dt.date(2024, month, 1) for month in range(2, 8)]
    last_days = [day - dt.timedelta(days=1) for day in months]
    euro = [D(month) / 10 for month in range(1, 8)]
    rates = [
        {"currency": "EUR", "on": day - dt.timedelta(days=1), "rate": value}
        for day, value in zip([FIRST, *months], euro, strict=True)
    ]
    params = {"as_of": "2024-07-01", "currencies": "convert"}
    answer = ask("mrr", params, subscriptions=subscriptions, fx_rates=rates)
    wanted = _recount(subscriptions, last_days, {"GBP": [D(1)] * 7, "EUR": euro})
    rows = {row["period"]: row for row in answer.rows.to_pylist()}
    for day, want in zip([FIRST, *months[:-1]], wanted, strict=True):
        row = rows.get(day, dict.fromkeys(want, D(0)))
        assert {name: row[name] for name in want} == want, day
    assert _holds(answer)
    shuffled = random.Random(seed).sample(subscriptions, len(subscriptions))  # noqa: S311 - any order will do
    again = ask("mrr", params, subscriptions=shuffled, fx_rates=rates)
    assert again.rows.equals(answer.rows)
    assert again.summary == answer.summary


@hypothesis.settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
@hypothesis.given(found=RANDOM, rated=st.booleans())
def test_segments_add_up_to_the_whole(ask: Ask, found: list[Any], *, rated: bool) -> None:
    subscriptions, rates = _made(found), [{**EUROS[0], "on": FIRST}, EUROS[1]]
    params = {"period": "week", "as_of": "2024-08-01", "currencies": "convert" if rated else "separate"}
    whole = ask("mrr", params, timezone="America/Sao_Paulo", subscriptions=subscriptions, fx_rates=rates)
    parts = ask(
        "mrr",
        {**params, "segment_by": ["plan"]},
        timezone="America/Sao_Paulo",
        subscriptions=subscriptions,
        fx_rates=rates,
    )
    assert _holds(whole)
    assert _holds(parts)
    rows, segments = whole.rows.to_pylist(), parts.rows.to_pylist()
    for row in rows:
        own = [part for part in segments if (part["period"], part["currency"]) == (row["period"], row["currency"])]
        for name in ("start", "new", "reactivation", "churn", "end"):
            assert sum(part[name] for part in own) == row[name], name
        stayed = row["expansion"] - row["contraction"]
        assert sum(part["expansion"] - part["contraction"] + part["transfer"] for part in own) == stayed
