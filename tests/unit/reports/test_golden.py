"""Real shops with figures found by other people and other tools: equal to the cell."""

import csv
import datetime as dt
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from analytics import engine, result
from analytics.catalogue import registry
from analytics.reports import registry as computing

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
pytestmark = [
    pytest.mark.golden,
    pytest.mark.skipif(not DATA.is_dir(), reason="the shared data folder is not beside the repository"),
]
KNOWN = {"column": "customer_id", "op": "is_null", "value": False}
CLEAN = {
    "and": [
        KNOWN,
        {"column": "quantity", "op": "gt", "value": 0},
        {"column": "unit_price", "op": "gt", "value": 0},
    ]
}

RETAIL = """
copy (
    select InvoiceNo as order_id, row_number() over (partition by InvoiceNo) as line_no, CustomerID as customer_id,
        InvoiceDate::timestamptz as ordered_at, StockCode as product_id, Quantity::decimal(18, 4) as quantity,
        UnitPrice::decimal(18, 4) as unit_price,
        (Quantity::decimal(18, 4) * UnitPrice::decimal(18, 4))::decimal(38, 8) as amount, 'GBP' as currency,
        case when InvoiceNo like 'C%' or amount < 0 then 'refund' else 'sale' end as kind
    from read_csv('{source}', all_varchar = true)
) to '{target}'"""
CDNOW = """
copy (
    select sample_id || '-' || row_number() over (partition by sample_id order by date) as order_id,
        sample_id as customer_id, date::timestamptz as ordered_at, usd::decimal(18, 4) as amount,
        'USD' as currency, 'sale' as kind
    from read_csv('{source}', all_varchar = true)
) to '{target}'"""

RETAIL_AS_IT_IS = """
copy (
    select InvoiceNo as order_id, row_number() over (partition by InvoiceNo) as line_no, CustomerID as customer_id,
        InvoiceDate::timestamptz as ordered_at, StockCode as product_id, trim(Description) as product,
        Quantity::decimal(18, 4) as quantity, UnitPrice::decimal(18, 4) as unit_price, Country as country, 'sale' as kind
    from read_csv('{source}', all_varchar = true)
) to '{target}'"""
PIPELINE = """
copy (
    select opportunity_id as deal_id, sales_agent as owner, product, account as customer_id,
        engage_date::timestamptz as created_at, close_date::timestamptz as closed_at, close_value::decimal(18, 4) as amount,
        case lower(deal_stage) when 'won' then 'won' when 'lost' then 'lost' else 'open' end as status, deal_stage as stage,
        'USD' as currency
    from read_csv('{source}', all_varchar = true)
) to '{target}'"""


class Shop:
    """One data set as the lake would hold it."""

    def __init__(self, snapshot: engine.Snapshot, zone: str, folder: Path) -> None:
        self._snapshot = snapshot
        self._zone = zone
        self._folder = folder

    def ask(self, kind: str, **params: Any) -> result.Result:
        parsed = registry.REPORT_TYPES[kind].parse_params(params, timezone=self._zone, currency="GBP")
        with engine.open_tables(
            [self._snapshot], memory_limit="1GB", threads=2, spill_folder=self._folder / "spill"
        ) as tables:
            return computing.COMPUTE[kind](tables, parsed)


def _shop(folder: Path, *, sql: str, source: str, dataset: str, zone: str) -> Shop:
    target = folder / f"{dataset}.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"set timezone = '{zone}'")
        connection.execute(sql.format(source=DATA / source, target=target))
    return Shop(engine.Snapshot(dataset, 0, (str(target),), 0), zone, folder)


@pytest.fixture(scope="module")
def retail(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return _shop(
        tmp_path_factory.mktemp("retail"),
        sql=RETAIL,
        source="online_retail/online_retail.csv.gz",
        dataset="order_lines",
        zone="Europe/London",
    )


@pytest.fixture(scope="module")
def cdnow(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return _shop(
        tmp_path_factory.mktemp("cdnow"), sql=CDNOW, source="cdnow/cdnow_sample.csv.gz", dataset="orders", zone="UTC"
    )


def _answers(name: str) -> Iterator[Mapping[str, str]]:
    with (DATA / name).open(newline="") as file:
        yield from csv.DictReader(file)


def _assert_months(answer: result.Result, expected: str) -> None:
    rows = answer.rows.to_pylist()
    wanted = list(_answers(expected))
    assert [row["period"].strftime("%Y-%m") for row in rows] == [want["month"] for want in wanted]
    for row, want in zip(rows, wanted, strict=True):
        assert row["net"] == Decimal(want["revenue"]), want
        assert row["orders"] == int(want["orders"]), want
        assert row["customers"] == int(want["customers"]), want
        assert row["new_customers"] == int(want["new_customers"]), want
        assert float(row["aov"]) == pytest.approx(float(want["aov"]), abs=1e-6)


def _assert_cohorts(answer: result.Result, expected: str) -> None:
    observed = {
        (row["cohort"].strftime("%Y-%m"), row["period_index"]): row
        for row in answer.rows.to_pylist()
        if row["active"] is not None
    }
    wanted = {(want["cohort"], int(want["month_offset"])): want for want in _answers(expected)}
    assert observed.keys() == wanted.keys()
    for key, want in wanted.items():
        row = observed[key]
        assert row["cohort_size"] == int(want["cohort_size"]), want
        assert row["active"] == int(want["active_customers"]), want
        assert row["revenue"] == Decimal(want["revenue"]), want
        assert row["rate"] == pytest.approx(float(want["retention"]), abs=1e-6)


def _assert_invariants(answer: result.Result) -> None:
    assert answer.invariants
    assert all(invariant.holds for invariant in answer.invariants), answer.invariants


def test_retail_months_equal_the_answers(retail: Shop) -> None:
    answer = retail.ask("revenue_trend", filter=CLEAN, refunds="exclude")
    _assert_months(answer, "online_retail/answers/monthly_revenue.csv")
    assert answer.summary["totals"]["net"] == "8911407.904"
    assert answer.summary["totals"]["orders"] == 18_532
    assert answer.summary["totals"]["customers"] == 4_338
    assert answer.dropped == {"filtered": 541_909 - 397_884}
    complete = {row["period"]: row["complete"] for row in answer.rows.to_pylist()}
    assert complete.pop(dt.date(2011, 12, 1)) is False
    assert all(complete.values())
    _assert_invariants(answer)


def test_retail_cohorts_equal_the_answers(retail: Shop) -> None:
    answer = retail.ask("cohort_retention", filter=CLEAN, refunds="exclude")
    _assert_cohorts(answer, "online_retail/answers/cohort_retention.csv")
    assert answer.rows.num_rows == 13 * 13
    assert answer.summary["customers"] == 4_338
    _assert_invariants(answer)


def test_a_cancellation_is_no_purchase(retail: Shop) -> None:
    """With cancellations in the data the first cohort is still 885 people, not the 948 of those who count them."""
    answer = retail.ask("cohort_retention", filter=KNOWN, refunds="on_refund_date")
    first = [row["active"] for row in answer.rows.to_pylist()[:13]]
    assert first == [885, 324, 286, 340, 321, 352, 321, 309, 313, 350, 331, 445, 235]
    _assert_invariants(answer)


@pytest.mark.parametrize("refunds", ["on_refund_date", "on_order_date"])
def test_retail_net_of_cancellations(retail: Shop, refunds: str) -> None:
    answer = retail.ask("revenue_trend", filter=KNOWN, refunds=refunds)
    assert answer.summary["totals"]["net"] == "8300065.814"
    assert answer.summary["totals"]["gross"] == "8911407.904"
    _assert_invariants(answer)


def test_retail_customers(retail: Shop) -> None:
    answer = retail.ask("rfm", filter=CLEAN, refunds="exclude")
    rows = answer.rows.to_pylist()
    assert len(rows) == 4_338
    assert sum(row["frequency"] for row in rows) == 18_532
    assert sum(row["monetary"] for row in rows) == Decimal("8911407.904")
    assert [row["customer_id"] for row in rows] == sorted(row["customer_id"] for row in rows)
    _assert_invariants(answer)


def test_retail_whole_file_adds_up(retail: Shop) -> None:
    answer = retail.ask("rfm")
    summary = answer.summary
    parts = (summary["revenue"], summary["unattributed"]["revenue"], summary["refunds_without_purchase"])
    assert sum(Decimal(part) for part in parts) == Decimal("9747747.934")
    _assert_invariants(answer)


def test_cdnow_months_equal_the_answers(cdnow: Shop) -> None:
    answer = cdnow.ask("revenue_trend", currency="USD")
    _assert_months(answer, "cdnow/answers/monthly_revenue.csv")
    assert answer.summary["totals"]["net"] == "244091.94"
    assert all(row["complete"] for row in answer.rows.to_pylist())
    _assert_invariants(answer)


def test_cdnow_cohorts_equal_the_answers(cdnow: Shop) -> None:
    answer = cdnow.ask("cohort_retention", currency="USD")
    _assert_cohorts(answer, "cdnow/answers/cohort_retention.csv")
    _assert_invariants(answer)


def test_cdnow_customers(cdnow: Shop) -> None:
    answer = cdnow.ask("rfm", currency="USD")
    rows = answer.rows.to_pylist()
    assert len(rows) == 2_357
    assert sum(row["monetary"] for row in rows) == Decimal("244091.94")
    assert answer.summary["as_of"] == "1998-07-01T00:00:00Z"
    assert min(row["recency_days"] for row in rows) == 1
    _assert_invariants(answer)


def test_aggregate_finds_what_is_known_of_the_retail_file(retail: Shop) -> None:
    distinct = [
        {"op": "count_distinct", "column": column, "name": name}
        for column, name in (("customer_id", "customers"), ("order_id", "invoices"), ("product_id", "codes"))
    ]
    measures = [{"op": "count"}, *distinct, {"op": "sum", "column": "amount", "name": "revenue"}]
    clean = retail.ask("aggregate", dataset="order_lines", measures=measures, filter=CLEAN)
    assert clean.rows.to_pylist() == [
        {"count": 397_884, "customers": 4_338, "invoices": 18_532, "codes": 3_665, "revenue": Decimal("8911407.904")}
    ]
    known = retail.ask("aggregate", dataset="order_lines", measures=measures, filter=KNOWN)
    assert known.summary["totals"]["revenue"] == "8300065.814"
    by_month = retail.ask(
        "aggregate",
        dataset="order_lines",
        measures=measures,
        filter=CLEAN,
        dimensions=[{"column": "ordered_at", "grain": "month", "name": "month"}],
    )
    wanted = list(_answers("online_retail/answers/monthly_revenue.csv"))
    assert [
        (f"{row['month']:%Y-%m}", row["invoices"], row["customers"], row["revenue"])
        for row in by_month.rows.to_pylist()
    ] == [(want["month"], int(want["orders"]), int(want["customers"]), Decimal(want["revenue"])) for want in wanted]
    _assert_invariants(by_month)


def test_aggregate_finds_what_each_agent_has_won(tmp_path: Path) -> None:
    pipeline = _shop(tmp_path, sql=PIPELINE, source="crm_pipeline/sales_pipeline.csv.gz", dataset="deals", zone="UTC")

    def count(*statuses: str) -> dict[str, Any]:
        return {"op": "count", "where": {"column": "status", "op": "in", "value": list(statuses)}}

    answer = pipeline.ask(
        "aggregate",
        currency="USD",
        dataset="deals",
        dimensions=[{"column": "owner"}],
        measures=[
            {**count("won"), "name": "won"},
            {**count("lost"), "name": "lost"},
            {**count("open"), "name": "open"},
            {"op": "ratio", "name": "win_rate", "numerator": count("won"), "denominator": count("won", "lost")},
            {
                "op": "sum",
                "column": "amount",
                "where": {"column": "status", "op": "eq", "value": "won"},
                "name": "revenue",
            },
        ],
    )
    totals = answer.summary["totals"]
    assert (totals["won"], totals["lost"], totals["open"], totals["revenue"]) == (4_238, 2_473, 2_089, "10005534.00")
    assert totals["win_rate"] == pytest.approx(0.6315005, abs=1e-7)
    found = {row["owner"]: row for row in answer.rows.to_pylist()}
    for want in _answers("crm_pipeline/answers/by_agent.csv"):
        row = found.get(want["sales_agent"])
        if row is None:
            # Nobody has given this agent a deal.
            assert (want["won"], want["lost"], want["open"]) == ("0", "0", "0")
            continue
        assert [row[name] for name in ("won", "lost", "open")] == [int(want[name]) for name in ("won", "lost", "open")]
        assert row["revenue"] == Decimal(want["won_revenue"])
        assert row["win_rate"] == pytest.approx(float(want["win_rate"]), abs=1e-6)


def test_data_quality_finds_what_is_known_of_the_retail_file(tmp_path: Path) -> None:
    source = "online_retail/online_retail.csv.gz"
    retail = _shop(tmp_path, sql=RETAIL_AS_IT_IS, source=source, dataset="order_lines", zone="Europe/London")
    answer = retail.ask("data_quality")
    found = {(row["column"], row["check"]): row["count"] for row in answer.rows.to_pylist()}
    known = json.loads((DATA / "online_retail/answers/data_quality.json").read_text())
    assert answer.summary["rows"] == known["rows"]
    assert found["customer_id", "empty"] == known["null_customer_id"]
    assert found["customer_id", "distinct"] == known["distinct_customers"]
    assert found["order_id", "distinct"] == known["distinct_invoices"]
    assert found["product_id", "distinct"] == known["distinct_stock_codes"]
    # Codes that differ only in case; one more pair differs in punctuation alone.
    assert found["product_id", "blurred"] >= known["distinct_stock_codes"] - known["distinct_stock_codes_casefold"]
    assert found["country", "distinct"] == known["distinct_countries"]
    assert found["quantity", "negative"] == known["quantity_negative"]
    assert found["unit_price", "zero"] == known["unit_price_zero"]
    assert found["unit_price", "negative"] == known["unit_price_negative"]
    assert found[None, "repeated_row"] == known["fully_duplicate_rows_beyond_first"]
