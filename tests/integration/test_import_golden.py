"""Real files through staging, planning and the lake, against figures found by others."""

import contextlib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from analytics.datasets import importing, options
from models import lake

DATA = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = [
    pytest.mark.golden,
    pytest.mark.skipif(not DATA.is_dir(), reason="the shared data folder is not there"),
]


@pytest.fixture
def land(tmp_path: Path) -> Callable[..., tuple[lake.LakeTable, importing.Change]]:
    def run(name: str, job: str, **said: Any) -> tuple[lake.LakeTable, importing.Change]:
        asked = options.ImportOptions(**said).with_defaults(timezone="Europe/London", currency="GBP")
        staged = importing.stage(DATA / name, options=asked, folder=tmp_path / job / "staged", progress=lambda *_: None)
        table = lake.open_table(str(tmp_path / "lake"), organisation_id="acme", dataset=asked.dataset)
        base = table.snapshot()
        current = importing.CurrentTable(base.files, base.schema) if base else None
        change = importing.plan_change(staged, current=current, folder=tmp_path / job / "plan", memory="1GB", threads=2)
        table.commit(
            job,
            lake.LakeChange(
                base=base,
                added=change.added,
                removed=change.removed,
                schema=change.schema,
                facts=change.counts.as_dict(),
            ),
        )
        return table, change

    return run


def fetch(table: lake.LakeTable, select: str) -> tuple[Any, ...]:
    snapshot = table.snapshot()
    assert snapshot is not None
    with contextlib.closing(duckdb.connect()) as connection:
        row = connection.execute(f"SELECT {select} FROM read_parquet({list(snapshot.files)})").fetchone()
    assert row is not None
    return row


def test_online_retail(land: Callable[..., tuple[lake.LakeTable, importing.Change]]) -> None:
    said = {"dataset": "order_lines", "refund_pattern": "^C"}
    table, change = land("online_retail/online_retail.csv.gz", "first", **said)
    counts = change.counts
    assert counts.read == 541_909 == counts.inserted + counts.updated + counts.unchanged + counts.rejected
    assert fetch(table, "count(*), sum(quantity * unit_price), sum(amount)") == (
        541_909 - counts.rejected,
        Decimal("9747747.934"),
        Decimal("9747747.934"),
    )
    assert fetch(table, "count(*) FILTER (WHERE customer_id IS NULL)") == (135_080,)
    known = "FILTER (WHERE customer_id IS NOT NULL AND quantity > 0 AND unit_price > 0)"
    assert fetch(
        table,
        f"count(*) {known}, count(DISTINCT order_id) {known}, count(DISTINCT customer_id) {known}, sum(amount) {known}",
    ) == (397_884, 18_532, 4_338, Decimal("8911407.904"))
    _, again = land("online_retail/online_retail.csv.gz", "second", **said)
    assert again.counts == importing.Counts(541_909, 0, 0, 541_909 - counts.rejected, counts.rejected)
    assert (again.added, again.removed) == ((), ())


def test_cdnow(land: Callable[..., tuple[lake.LakeTable, importing.Change]]) -> None:
    said = {"dataset": "orders", "mapping": {"customer_id": "sample_id", "amount": "usd"}}
    table, change = land("cdnow/cdnow_sample.csv.gz", "first", **said)
    assert change.counts == importing.Counts(6919, 6919, 0, 0, 0)
    assert fetch(table, "sum(amount), count(DISTINCT customer_id), count(*) FILTER (WHERE kind = 'refund')") == (
        Decimal("244091.94"),
        2357,
        0,
    )
    _, again = land("cdnow/cdnow_sample.csv.gz", "second", **said)
    assert again.counts == importing.Counts(6919, 0, 0, 6919, 0)


def test_a_pipeline(land: Callable[..., tuple[lake.LakeTable, importing.Change]]) -> None:
    table, change = land("crm_pipeline/sales_pipeline.csv.gz", "first", dataset="deals")
    assert change.counts.inserted == 8800
    won = "FILTER (WHERE status = 'won')"
    assert fetch(table, f"count(*) {won}, count(*) FILTER (WHERE status = 'lost'), sum(amount) {won}") == (
        4238,
        2473,
        Decimal(10_005_534),
    )


def test_a_mangled_export_is_the_same_table(land: Callable[..., tuple[lake.LakeTable, importing.Change]]) -> None:
    table, change = land("leads/leads.csv.gz", "first", dataset="leads")
    assert change.counts.inserted == 9240
    assert fetch(table, "count(*) FILTER (WHERE converted = 1)") == (3561,)
    _, again = land("leads/leads_mangled_export.csv.gz", "second", dataset="leads")
    assert again.counts == importing.Counts(9240, 0, 0, 9240, 0)


@pytest.mark.parametrize(
    ("name", "said", "rows"),
    [
        ("subscriptions/subscription_periods.csv", {"dataset": "subscriptions"}, 121),
        ("telco_churn/Telco-Customer-Churn.csv.gz", {"dataset": "customers"}, 7043),
        ("crm_pipeline/accounts.csv", {"dataset": "customers"}, 85),
        ("duplicates/febrl1.csv", {"dataset": "customers"}, 1000),
        ("duplicates/RLdata500.csv", {"dataset": "customers", "mapping": {"customer_id": "rec_id"}}, 500),
        (
            "baskets/groceries_long.csv.gz",
            {"dataset": "order_lines", "mapping": {"ordered_at": None, "amount": None}},
            43_367,
        ),
    ],
)
def test_other_files_land_whole(
    land: Callable[..., tuple[lake.LakeTable, importing.Change]], name: str, said: dict[str, Any], rows: int
) -> None:
    table, change = land(name, "first", **said)
    assert change.counts == importing.Counts(rows, rows, 0, 0, 0)
    assert fetch(table, "count(*)") == (rows,)
