"""The custom report: every measure against plain Python, and what cuts, turns and compares the rows."""

import datetime as dt
import statistics
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics import errors, result
from analytics.catalogue import registry
from tests.unit.reports.conftest import Ask

D = Decimal
COUNT = {"op": "count"}
SUM = {"op": "sum", "column": "amount"}


def order(number: int, customer: str | None, day: str, amount: str, **more: Any) -> dict[str, Any]:
    at = dt.datetime.fromisoformat(f"{day}T12:00:00+00:00")
    return {
        "order_id": f"o{number}", "customer_id": customer, "ordered_at": at, "amount": D(amount), "currency": "GBP",
        "kind": "sale", "channel": "web", **more,
    }  # fmt: skip


ORDERS = [
    order(1, "a", "2024-01-10", "10"),
    order(2, "a", "2024-01-20", "20", channel="shop"),
    order(3, "b", "2024-02-05", "30"),
    order(4, "b", "2024-02-06", "5", kind="refund"),
    order(5, None, "2024-03-31", "7.50", channel=None),
]
CUSTOMERS = [{"customer_id": "a", "country": "UK"}, {"customer_id": "b", "country": "FR"}]


def rows(answer: result.Result) -> list[tuple[Any, ...]]:
    names = [column.name for column in answer.columns]
    return [tuple(row[name] for name in names) for row in answer.rows.to_pylist()]


def names(answer: result.Result) -> list[str]:
    return [column.name for column in answer.columns]


def test_every_measure(ask: Ask) -> None:
    web = {"column": "channel", "op": "eq", "value": "web"}
    measures = [
        COUNT,
        {"op": "count", "column": "customer_id", "name": "known"},
        {"op": "count_distinct", "column": "customer_id", "name": "people"},
        SUM,
        {"op": "avg", "column": "amount"},
        {"op": "min", "column": "ordered_at", "name": "first"},
        {"op": "max", "column": "amount", "name": "largest"},
        {"op": "median", "column": "amount", "name": "middle"},
        {"op": "percentile", "p": 25, "column": "amount"},
        {"op": "sum", "column": "amount", "where": web, "name": "web"},
        {
            "op": "ratio",
            "numerator": {"op": "sum", "column": "amount", "where": web},
            "denominator": SUM,
            "name": "share",
        },
    ]
    answer = ask("aggregate", {"dataset": "orders", "measures": measures}, orders=ORDERS)
    assert names(answer)[8] == "p25_amount"
    (row,) = rows(answer)
    # The refund counts against the sum, as it does in every report.
    assert row[:5] == (5, 4, 2, D("62.5"), D("12.5"))
    assert row[5] == dt.datetime(2024, 1, 10, 12, tzinfo=dt.UTC)
    assert row[6:8] == (D(30), 10.0)
    assert row[8] == 7.5
    assert row[9:] == (D(35), 35 / 62.5)
    assert [column.unit for column in answer.columns][3] == "GBP"


def test_dimensions_with_grain_empty_values_and_columns_of_the_customer(ask: Ask) -> None:
    params = {
        "dataset": "orders",
        "measures": [COUNT, SUM],
        "dimensions": [{"column": "ordered_at", "grain": "month", "name": "month"}, {"column": "country"}],
    }
    answer = ask("aggregate", params, orders=ORDERS, customers=CUSTOMERS)
    assert names(answer) == ["month", "country", "complete", "count", "sum_amount"]
    assert rows(answer) == [
        (dt.date(2024, 1, 1), "UK", True, 2, D(30)),
        (dt.date(2024, 2, 1), "FR", True, 2, D(25)),
        (dt.date(2024, 3, 1), None, True, 1, D("7.5")),
    ]
    assert all(check.holds for check in answer.invariants)
    assert len(answer.invariants) == 2


def test_a_day_is_that_of_the_zone(ask: Ask) -> None:
    late = [order(1, "a", "2024-01-31", "1", ordered_at=dt.datetime(2024, 1, 31, 23, 30, tzinfo=dt.UTC))]
    params = {"dataset": "orders", "measures": [COUNT], "dimensions": [{"column": "ordered_at", "grain": "month"}]}
    for zone, month in (("UTC", 1), ("Europe/Paris", 2)):
        answer = ask("aggregate", params, timezone=zone, orders=late)
        assert rows(answer)[0][0] == dt.date(2024, month, 1)


def test_bounds_filter_and_refunds_are_counted_as_left_out(ask: Ask) -> None:
    params = {
        "dataset": "orders",
        "measures": [COUNT],
        "start": "2024-01-15",
        "end": "2024-03-01",
        "refunds": "exclude",
        "filter": {"column": "channel", "op": "eq", "value": "web"},
    }
    answer = ask("aggregate", params, orders=ORDERS)
    assert rows(answer) == [(1,)]
    assert answer.dropped == {"outside_dates": 2, "filtered": 1, "refunds": 1}
    assert answer.rows_read == {"orders": 5}


def test_orders_are_the_sums_of_lines_where_there_are_only_lines(ask: Ask) -> None:
    lines = [{**ORDERS[0], "line_no": 1}, {**ORDERS[0], "line_no": 2}, {**ORDERS[1], "line_no": 1}]
    answer = ask("aggregate", {"dataset": "orders", "measures": [COUNT, SUM]}, order_lines=lines)
    assert rows(answer) == [(2, D(40))]


def test_money_is_brought_into_one_currency_unless_currency_is_asked_for(ask: Ask) -> None:
    mixed = [
        *ORDERS[:2],
        order(9, "c", "2024-01-12", "100", currency="USD"),
        order(10, "c", "2024-01-12", "1", currency="CHF"),
    ]
    rates = [{"currency": "USD", "on": dt.date(2024, 1, 1), "rate": D("0.8")}]
    answer = ask("aggregate", {"dataset": "orders", "measures": [SUM]}, orders=mixed, fx_rates=rates)
    assert rows(answer) == [(D(110),)]
    assert answer.dropped == {"unconverted": 1}
    by_currency = {"dataset": "orders", "measures": [SUM], "dimensions": [{"column": "currency"}]}
    answer = ask("aggregate", by_currency, orders=mixed, fx_rates=rates)
    assert rows(answer) == [("CHF", D(1)), ("GBP", D(30)), ("USD", D(100))]
    assert [column.unit for column in answer.columns] == [None, None]


def test_the_largest_and_the_rest_from_the_rows_themselves(ask: Ask) -> None:
    many = [order(i, f"c{i % 5}", "2024-01-01", str(10 * (i % 5) + 1)) for i in range(50)]
    measures = [SUM, {"op": "count_distinct", "column": "customer_id", "name": "people"}]
    params = {
        "dataset": "orders", "measures": measures, "dimensions": [{"column": "customer_id"}],
        "sort": [{"by": "sum_amount", "descending": True}],
    }  # fmt: skip
    cut = {**params, "top": {"dimension": "customer_id", "n": 2}}
    assert rows(ask("aggregate", cut, orders=many)) == [
        ("c4", D(410), 1),
        ("(other)", D(330), 3),
        ("c3", D(310), 1),
    ]
    alone = {**params, "top": {"dimension": "customer_id", "n": 2, "others": False}}
    answer = ask("aggregate", alone, orders=many)
    assert rows(answer) == [("c4", D(410), 1), ("c3", D(310), 1)]
    assert answer.summary["totals"] == {"sum_amount": "720.00", "people": 2}


def test_having_keeps_rows_and_totals_stay(ask: Ask) -> None:
    params = {
        "dataset": "orders", "measures": [SUM], "dimensions": [{"column": "channel"}],
        "having": {"column": "sum_amount", "op": "gt", "value": "20"},
    }  # fmt: skip
    answer = ask("aggregate", params, orders=ORDERS)
    assert rows(answer) == [("web", D(35))]
    assert answer.summary["totals"] == {"sum_amount": "62.50"}


def test_values_become_columns(ask: Ask) -> None:
    params = {
        "dataset": "orders",
        "measures": [SUM, {"op": "avg", "column": "amount", "name": "mean"}],
        "dimensions": [{"column": "customer_id"}, {"column": "channel"}],
        "pivot": "channel",
    }
    answer = ask("aggregate", params, orders=ORDERS)
    assert names(answer) == [
        "customer_id", "(none) sum_amount", "(none) mean", "shop sum_amount", "shop mean", "web sum_amount", "web mean",
    ]  # fmt: skip
    assert rows(answer) == [
        ("a", D(0), None, D(20), D(20), D(10), D(10)),
        ("b", D(0), None, D(0), None, D(25), D("12.5")),
        (None, D("7.5"), D("7.5"), D(0), None, D(0), None),
    ]


def test_a_pivot_without_other_dimensions_is_one_row(ask: Ask) -> None:
    params = {"dataset": "orders", "measures": [COUNT], "dimensions": [{"column": "channel"}], "pivot": "channel"}
    answer = ask("aggregate", params, orders=ORDERS)
    assert (names(answer), rows(answer)) == (["(none)", "shop", "web"], [(1, 1, 3)])


def test_each_month_beside_the_one_before(ask: Ask) -> None:
    params = {
        "dataset": "orders", "measures": [SUM], "dimensions": [{"column": "ordered_at", "grain": "month"}],
        "compare": "previous_period", "start": "2024-02-01",
    }  # fmt: skip
    answer = ask("aggregate", params, orders=ORDERS)
    assert names(answer) == ["ordered_at", "complete", "sum_amount", "sum_amount_previous", "sum_amount_change"]
    # January was read only to be compared with; March is known to its last day.
    assert rows(answer) == [
        (dt.date(2024, 2, 1), True, D(25), D(30), -5 / 30),
        (dt.date(2024, 3, 1), True, D("7.5"), D(25), -0.7),
    ]
    assert answer.summary["totals"] == {"sum_amount": "32.50"}


def test_a_period_that_is_not_over_is_not_compared(ask: Ask) -> None:
    params = {
        "dataset": "orders", "measures": [COUNT], "dimensions": [{"column": "ordered_at", "grain": "month"}],
        "compare": "previous_period",
    }  # fmt: skip
    answer = ask("aggregate", params, orders=ORDERS[:4])
    assert rows(answer) == [
        (dt.date(2024, 1, 1), True, 2, None, None),
        (dt.date(2024, 2, 1), False, 2, 2, None),
    ]


def test_a_span_beside_the_days_before_and_beside_a_year_before(ask: Ask) -> None:
    orders = [*ORDERS, order(8, "a", "2023-02-10", "100")]
    params = {"dataset": "orders", "measures": [SUM], "start": "2024-02-01", "end": "2024-03-01"}
    answer = ask("aggregate", {**params, "compare": "previous_period"}, orders=orders)
    # 29 days: from the 3rd of January on.
    assert rows(answer) == [(D(25), D(30), -5 / 30)]
    answer = ask("aggregate", {**params, "compare": "previous_year"}, orders=orders)
    assert rows(answer) == [(D(25), D(100), -0.75)]


def test_a_span_that_the_data_do_not_reach_the_end_of_is_not_compared(ask: Ask) -> None:
    daily = [order(day, "a", f"2024-{1 + day // 31:02}-{1 + day % 31:02}", "10") for day in range(41)]
    params = {"dataset": "orders", "measures": [SUM], "start": "2024-02-01", "compare": "previous_period"}
    answer = ask("aggregate", {**params, "end": "2024-03-01"}, orders=daily)
    assert rows(answer) == [(D(100), D(290), None)]
    assert [warning.code for warning in answer.warnings] == ["incomplete-period"]
    answer = ask("aggregate", {**params, "end": "2024-02-11"}, orders=daily)
    assert (rows(answer), answer.warnings) == ([(D(100), D(100), 0.0)], ())


@pytest.mark.parametrize("timed", [False, True])
def test_what_is_not_there_any_more_is_compared_with_nothing(ask: Ask, *, timed: bool) -> None:
    orders = [
        order(1, "a", "2024-01-31", "200"),
        order(2, "a", "2024-01-31", "700", channel="shop"),
        order(3, "a", "2024-02-29", "10"),
        order(4, "a", "2024-02-29", "10", channel="new"),
    ]
    mean = {"op": "avg", "column": "amount", "name": "mean"}
    params = {
        "dataset": "orders", "measures": [SUM, mean], "start": "2024-02-01", "end": "2024-03-01",
        "dimensions": [*([{"column": "ordered_at", "grain": "month"}] if timed else []), {"column": "channel"}],
        "compare": "previous_period",
    }  # fmt: skip
    answer = ask("aggregate", params, orders=orders)
    found = [(row[1], *row[3:]) if timed else row for row in rows(answer)]
    assert found == [
        ("new", D(10), D(10), D(0), None, None, None),
        ("shop", D(0), None, D(700), -1.0, D(700), None),
        ("web", D(10), D(10), D(200), -0.95, D(200), -0.95),
    ]
    if timed:
        assert {(row[0], row[2]) for row in rows(answer)} == {(dt.date(2024, 2, 1), True)}
    assert all(check.holds for check in answer.invariants)


def test_what_having_leaves_out_is_no_zero_in_a_pivot(ask: Ask) -> None:
    params = {
        "dataset": "orders", "measures": [SUM, COUNT], "pivot": "channel",
        "dimensions": [{"column": "ordered_at", "grain": "month"}, {"column": "channel"}],
        "having": {"column": "count", "op": "ge", "value": 2},
    }  # fmt: skip
    orders = [
        order(1, "a", "2024-01-05", "100"), order(2, "a", "2024-01-06", "100"),
        order(3, "a", "2024-01-07", "700", channel="shop"),
        order(4, "a", "2024-02-05", "1", channel="shop"), order(5, "a", "2024-02-06", "2", channel="shop"),
    ]  # fmt: skip
    answer = ask("aggregate", params, orders=orders)
    assert names(answer) == ["ordered_at", "complete", "shop sum_amount", "shop count", "web sum_amount", "web count"]
    assert rows(answer) == [
        (dt.date(2024, 1, 1), True, None, None, D(200), 2),
        # February's web does not occur at all, and so is zero.
        (dt.date(2024, 2, 1), False, D(3), 2, D(0), 0),
    ]


def test_a_filter_sees_amounts_as_they_were_imported(ask: Ask) -> None:
    orders = [order(1, "a", "2024-01-05", "60"), order(2, "a", "2024-01-06", "70", kind="refund")]
    large = {"column": "amount", "op": "gt", "value": 55}
    answer = ask("aggregate", {"dataset": "orders", "measures": [SUM], "filter": large}, orders=orders)
    trend = ask("revenue_trend", {"filter": large}, orders=orders)
    assert rows(answer) == [(D(-10),)]
    assert trend.summary["totals"]["net"] == "-10.00"


def test_nothing_is_an_answer(ask: Ask) -> None:
    measures = [COUNT, SUM, {"op": "avg", "column": "amount", "name": "mean"}]
    params: dict[str, Any] = {"dataset": "orders", "measures": measures}
    assert rows(ask("aggregate", params, orders=[])) == [(0, D(0), None)]
    grouped = {**params, "dimensions": [{"column": "ordered_at", "grain": "day"}], "compare": "previous_period"}
    assert rows(ask("aggregate", grouped, orders=[])) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"measures": [{"op": "sum", "column": "channel"}]}, "measure-type"),
        ({"measures": [{"op": "sum", "column": "nowhere"}]}, "unknown-column"),
        ({"dimensions": [{"column": "channel", "grain": "day"}]}, "measure-type"),
        ({"having": {"column": "count", "op": "gt", "value": "many"}}, "filter-type"),
        ({"time_column": "channel", "start": "2024-01-01"}, "measure-type"),
    ],
)
def test_what_cannot_be_computed_says_why(ask: Ask, change: Mapping[str, Any], code: str) -> None:
    with pytest.raises(errors.Refusal) as refused:
        ask("aggregate", {"dataset": "orders", "measures": [COUNT], **change}, orders=ORDERS)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dataset": "orderz"}, "no dataset"),
        ({"measures": []}, "at least 1"),
        ({"measures": [{"op": "sum"}]}, "needs a column"),
        ({"measures": [{"op": "percentile", "column": "amount"}]}, "needs p"),
        ({"measures": [{"op": "ratio", "numerator": SUM}]}, "needs numerator and denominator"),
        ({"measures": [COUNT, COUNT]}, "one name"),
        ({"measures": [{"op": "count", "name": "complete"}]}, "complete"),
        ({"sort": [{"by": "nothing"}]}, "no measure or dimension"),
        ({"pivot": "channel"}, "no dimension"),
        ({"top": {"dimension": "channel"}}, "no dimension"),
        ({"having": {"column": "amount", "op": "gt", "value": 1}}, "no measure"),
        ({"compare": "previous_year"}, "needs a dimension with a grain"),
        ({"refunds": "on_order_date"}, "their own date"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(change: Mapping[str, Any], words: str) -> None:
    raw = {"dataset": "orders", "measures": [COUNT], **change}
    with pytest.raises(pydantic.ValidationError, match=words):
        registry.REPORT_TYPES["aggregate"].parse_params(raw, timezone="UTC", currency="GBP")


def test_what_is_read_follows_from_the_dataset() -> None:
    kind = registry.REPORT_TYPES["aggregate"]
    for dataset, required in (
        ("orders", ("orders", "order_lines")),
        ("deals", ("deals",)),
        ("customers", ("customers",)),
    ):
        params = kind.parse_params({"dataset": dataset, "measures": [COUNT]}, timezone="UTC", currency="GBP")
        assert kind.needs(params).required == (required,)


AMOUNTS = st.decimals(min_value=-1000, max_value=1000, places=4)
GENERATED = st.lists(
    st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from(["web", "shop", None]), st.one_of(st.none(), AMOUNTS)),
    max_size=30,
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(GENERATED)
def test_it_is_what_plain_python_counts(ask: Ask, found: list[tuple[str | None, str | None, Decimal | None]]) -> None:
    orders = [
        {**order(i, customer, "2024-01-01", "0"), "channel": channel, "amount": amount}
        for i, (customer, channel, amount) in enumerate(found)
    ]
    measures = [
        COUNT, SUM, {"op": "avg", "column": "amount", "name": "mean"}, {"op": "median", "column": "amount", "name": "middle"},
        {"op": "count_distinct", "column": "channel", "name": "channels"},
    ]  # fmt: skip
    params = {"dataset": "orders", "measures": measures, "dimensions": [{"column": "customer_id"}]}
    answer = ask("aggregate", params, orders=orders)
    groups: dict[str | None, list[dict[str, Any]]] = defaultdict(list)
    for each in orders:
        groups[each["customer_id"]].append(each)
    expected = []
    for customer in sorted(groups, key=lambda name: (name is None, name)):
        amounts = [each["amount"] for each in groups[customer] if each["amount"] is not None]
        mean = (sum(amounts) / len(amounts)).quantize(D("0.00000001")) if amounts else None
        middle = pytest.approx(float(statistics.median(amounts)), abs=1e-9) if amounts else None
        channels = {each["channel"] for each in groups[customer]} - {None}
        expected.append((customer, len(groups[customer]), sum(amounts, D(0)), mean, middle, len(channels)))
    assert rows(answer) == expected
    assert all(check.holds for check in answer.invariants)
