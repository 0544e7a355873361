"""`clv` on real shops: parameters that were published, and every customer's predictions as other programs found them."""

import csv
import gzip
from collections.abc import Mapping
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
# Thirty-nine weeks to learn from and thirty-nine to test on, as in the papers.
CALIBRATION: dict[str, Any] = {"calibration_end": "1997-10-01", "holdout_end": "1998-07-01", "currency": "USD"}
PURCHASES = {
    "and": [
        {"column": "customer_id", "op": "is_null", "value": False},
        {"column": "quantity", "op": "gt", "value": 0},
        {"column": "unit_price", "op": "gt", "value": 0},
    ]
}
CDNOW = """
    select sample_id || '-' || row_number() over (partition by sample_id order by date) as order_id,
        sample_id as customer_id, date::timestamptz as ordered_at, usd::decimal(18, 4) as amount, 'USD' as currency,
        'sale' as kind
    from read_csv('{folder}/cdnow/cdnow_sample.csv.gz', all_varchar = true)"""
RETAIL = """
    select InvoiceNo as order_id, row_number() over (partition by InvoiceNo) as line_no, CustomerID as customer_id,
        InvoiceDate::timestamptz as ordered_at, Quantity::decimal(18, 4) as quantity,
        UnitPrice::decimal(18, 4) as unit_price,
        (Quantity::decimal(18, 4) * UnitPrice::decimal(18, 4))::decimal(38, 8) as amount, 'GBP' as currency,
        case when InvoiceNo like 'C%' or amount < 0 then 'refund' else 'sale' end as kind
    from read_csv('{folder}/online_retail/online_retail.csv.gz', all_varchar = true)"""


class Shop:
    """One published file as the lake would hold it."""

    def __init__(self, folder: Path, *, sql: str, dataset: str, zone: str) -> None:
        self._folder, self._dataset, self._zone = folder, dataset, zone
        with duckdb.connect() as connection:
            connection.execute(f"set timezone = '{zone}'")
            connection.execute(f"copy ({sql.format(folder=DATA)}) to '{folder / 'rows.parquet'}'")

    def ask(self, *, threads: int = 2, **params: Any) -> result.Result:
        parsed = registry.REPORT_TYPES["clv"].parse_params(params, timezone=self._zone, currency="GBP")
        snapshot = engine.Snapshot(self._dataset, 0, (str(self._folder / "rows.parquet"),), 0)
        with engine.open_tables(
            [snapshot], memory_limit="1GB", threads=threads, spill_folder=self._folder / "spill"
        ) as tables:
            answer = computing.COMPUTE["clv"](tables, parsed)
        assert answer.invariants
        assert all(invariant.holds for invariant in answer.invariants), answer.invariants
        return answer


@pytest.fixture(scope="module")
def cdnow(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("cdnow"), sql=CDNOW, dataset="orders", zone="UTC")


@pytest.fixture(scope="module")
def retail(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("retail"), sql=RETAIL, dataset="order_lines", zone="Europe/London")


def _answers(name: str) -> list[Mapping[str, str]]:
    with gzip.open(DATA / "cdnow" / "answers" / name, "rt", newline="") as file:
        return list(csv.DictReader(file))


PUBLISHED = {
    "bg_nbd": ({"r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259}, -9582.4292),
    "mbg_nbd": ({"r": 0.5248, "alpha": 6.1831, "a": 0.8914, "b": 1.6140}, -9582.1357),
    "pareto_nbd": ({"r": 0.5533, "alpha": 10.578, "s": 0.6062, "beta": 11.669}, -9594.976),
}


@pytest.mark.parametrize("model", list(PUBLISHED))
def test_parameters_are_the_published_ones(cdnow: Shop, model: str) -> None:
    parameters, log_likelihood = PUBLISHED[model]
    summary = cdnow.ask(model=model, horizon=39, **CALIBRATION).summary
    assert summary["params"] == {name: pytest.approx(value, rel=5e-3) for name, value in parameters.items()}
    assert summary["log_likelihood"] == pytest.approx(log_likelihood, abs=1e-3)
    assert summary["converged"]
    assert summary["identified"]
    assert all(0 < error < summary["params"][name] for name, error in summary["standard_errors"].items())
    assert (summary["customers"], summary["repeat_customers"], summary["repeat_transactions"]) == (2357, 946, 2457)
    assert summary["holdout"]["actual"] == 1882


def test_the_whole_report_on_cdnow(cdnow: Shop) -> None:
    answer = cdnow.ask(horizon=39, **CALIBRATION)
    summary = answer.summary
    assert summary["spend_params"] == {
        "p": pytest.approx(6.2496, rel=5e-3),
        "q": pytest.approx(3.7442, rel=5e-3),
        "gamma": pytest.approx(15.4435, rel=5e-3),
    }
    assert summary["spend_log_likelihood"] == pytest.approx(-4055.9177, abs=1e-3)
    assert summary["expected_spend_of_population"] == pytest.approx(35.1704, abs=1e-3)
    assert summary["holdout"]["expected"] == pytest.approx(1653.41, abs=0.05)
    groups = summary["holdout"]["by_frequency"]
    assert sum(group["customers"] for group in groups) == 2357
    assert sum(group["actual"] for group in groups) == 1882
    assert sum(group["expected"] for group in groups) == pytest.approx(summary["holdout"]["expected"])
    assert groups[0]["customers"] == 1411
    assert sum(group["actual"] for group in summary["holdout"]["deciles"]) == 1882
    assert [chart.title.split(",")[0] for chart in answer.charts] == [
        "Repeat transactions since the first",
        "Transactions from 1997-10-01 to before 1998-07-01",
        "Transactions from 1997-10-01 to before 1998-07-01",
        "Customers by the chance of still being one",
    ]
    assert not answer.warnings


def test_every_customer_is_as_other_programs_found(cdnow: Shop) -> None:
    rows = cdnow.ask(horizon=39, **CALIBRATION).rows.to_pylist()
    statistics, predictions = _answers("customer_statistics_week39.csv.gz"), _answers("predictions_week39.csv.gz")
    for row, seen, told in zip(rows, statistics, predictions, strict=True):
        assert row["customer_id"] == seen["customer_id"] == told["customer_id"]
        assert row["x"] == int(seen["x"])
        assert row["t_x"] == pytest.approx(float(seen["t_x"]), abs=1e-8)
        assert row["T"] == pytest.approx(float(seen["T"]), abs=1e-8)
        assert (row["mean_spend"] or 0.0) == pytest.approx(float(seen["zbar"]), abs=1e-7)
        # The answers were fitted by another optimiser, which stops a little earlier.
        assert row["p_alive"] == pytest.approx(float(told["bgnbd_p_alive"]), abs=1e-6)
        assert row["expected_orders"] == pytest.approx(float(told["bgnbd_exp_tx"]), rel=2e-6, abs=2e-8)
        assert row["expected_spend"] == pytest.approx(float(told["gg_exp_spend"]), rel=1e-6)


def test_a_year_discounted_by_the_month_on_weekly_parameters(cdnow: Shop) -> None:
    """The unit that a widely copied tutorial gets wrong: it prints 140.096 for weeks taken as days."""
    rows = cdnow.ask(
        horizon=12 * 4.345, discount_step=4.345, discount_rate=1.01 ** (1 / 4.345) - 1, **CALIBRATION
    ).rows.to_pylist()
    for row, told in zip(rows, _answers("predictions_week39.csv.gz"), strict=True):
        assert row["clv"] == pytest.approx(float(told["clv_12m_1pct"]), rel=2e-6, abs=2e-7)
    assert rows[0]["clv"] == pytest.approx(36.27397745, rel=1e-6)


def test_the_number_of_threads_changes_no_byte(cdnow: Shop) -> None:
    one, four = (cdnow.ask(threads=threads, horizon=39, **CALIBRATION) for threads in (1, 4))
    assert one.rows.equals(four.rows)
    assert (one.summary, one.charts) == (four.summary, four.charts)


def test_a_new_customers_year(cdnow: Shop) -> None:
    summary = cdnow.ask(horizon=52, **CALIBRATION).summary
    assert summary["new_customer"]["expected_orders"] == pytest.approx(1.4440, abs=2e-4)


@pytest.mark.parametrize("unit", ["day", "month", "year"])
def test_the_unit_of_time_is_a_matter_of_names(cdnow: Shop, unit: str) -> None:
    weekly = cdnow.ask(horizon=39, **CALIBRATION)
    days = {"day": 1.0, "month": 365.25 / 12, "year": 365.25}[unit]
    other = cdnow.ask(horizon=39 * 7 / days, time_unit=unit, discount_step=1 / days, **CALIBRATION)
    mine, theirs = other.summary["params"], weekly.summary["params"]
    assert {**mine, "alpha": mine["alpha"] * days / 7} == {
        name: pytest.approx(value, rel=1e-12) for name, value in theirs.items()
    }
    for mine_row, their_row in zip(other.rows.to_pylist(), weekly.rows.to_pylist(), strict=True):
        for name in ("p_alive", "expected_orders", "expected_spend", "clv"):
            assert mine_row[name] == pytest.approx(their_row[name], rel=1e-9)


def test_dropout_that_online_retail_does_not_show_is_not_printed(retail: Shop) -> None:
    answer = retail.ask(filter=PURCHASES, refunds="exclude")
    summary = answer.summary
    assert summary["customers"] == 4338
    assert summary["log_likelihood"] == pytest.approx(-37645.54, abs=0.01)
    assert summary["log_likelihood_without_dropout"] == pytest.approx(-37645.66, abs=0.01)
    assert summary["identified"] is False
    assert "do not tell whether customers ever leave" in summary["identification"]
    assert [warning.code for warning in answer.warnings] == ["not-identified"]
    assert summary["params"]["a"] is None
    assert summary["params"]["b"] is None
    assert summary["params"]["r"] == pytest.approx(0.8276, rel=1e-3)
    rows = answer.rows.to_pylist()
    assert {row["p_alive"] for row in rows} == {None}
    r, alpha = summary["params"]["r"], summary["params"]["alpha"]
    for row in rows[:200]:
        assert row["expected_orders"] == pytest.approx((r + row["x"]) / (alpha + row["T"]) * 52, rel=1e-9)
        assert row["clv"] == pytest.approx(row["expected_orders"] * row["expected_spend"], rel=1e-9)


@pytest.mark.parametrize("model", ["mbg_nbd", "pareto_nbd"])
def test_nor_does_it_under_the_other_models(retail: Shop, model: str) -> None:
    summary = retail.ask(filter=PURCHASES, refunds="exclude", model=model, spend="none").summary
    assert summary["identified"] is False
    assert summary["log_likelihood"] == pytest.approx(-37645.65, abs=0.02)
