"""Real files through staging, planning and the lake, against figures found by others."""

import contextlib
import csv
import datetime as dt
import gzip
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from analytics import errors
from analytics.datasets import importing, options, remarks, schemas
from models import lake

DATA = Path(__file__).parents[2].parent / "shared" / "data"
ZONE = "Europe/London"
TODAY = dt.date(2024, 1, 1)
pytestmark = [
    pytest.mark.golden,
    pytest.mark.skipif(not DATA.is_dir(), reason="the shared data folder is not there"),
]

Landed = tuple[lake.LakeTable, importing.Change]
Land = Callable[..., Landed]


@pytest.fixture
def land(tmp_path: Path) -> Land:
    """Import a file; jobs of the same organisation import into the same tables."""

    def run(
        name: str,
        job: str,
        *,
        organisation: str = "acme",
        others: Mapping[str, lake.LakeTable] | None = None,
        **said: Any,
    ) -> Landed:
        asked = options.ImportOptions(**said).with_defaults(timezone=ZONE, currency="GBP")
        staged = importing.stage(DATA / name, options=asked, folder=tmp_path / job / "staged", progress=lambda *_: None)
        table = lake.open_table(str(tmp_path / "lake"), organisation_id=organisation, dataset=asked.dataset)
        base = table.snapshot()
        change = importing.plan_change(
            staged,
            current=importing.CurrentTable(base.files, base.schema) if base else None,
            folder=tmp_path / job / "plan",
            memory="1GB",
            threads=2,
            known=remarks.Known(TODAY, {dataset: files(other) for dataset, other in (others or {}).items()}),
        )
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


def files(table: lake.LakeTable) -> tuple[str, ...]:
    snapshot = table.snapshot()
    assert snapshot is not None
    return snapshot.files


def fetch_all(table: lake.LakeTable, select: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(duckdb.connect()) as connection:
        connection.execute(f"SET TimeZone = '{ZONE}'")
        return connection.execute(select.replace("{table}", f"read_parquet({list(files(table))})")).fetchall()


def fetch(table: lake.LakeTable, select: str) -> tuple[Any, ...]:
    (row,) = fetch_all(table, f"SELECT {select} FROM {{table}}")
    return row


def kinds(change: importing.Change) -> dict[str, str]:
    return {name: column.kind.value for name, column in change.types.items()}


def warned(change: importing.Change) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for warning in change.warnings:
        found.setdefault(warning.code, []).append(warning.detail)
    return found


def answers(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_online_retail(land: Land) -> None:
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
    assert warned(change)["repeated-rows"][0].startswith("5,268 rows are the same")
    assert len(warned(change)["similar-values"]) == remarks.MOST_OF_A_KIND + 1
    assert kinds(change)["country"] == "text"
    _, again = land("online_retail/online_retail.csv.gz", "second", **said)
    assert again.counts == importing.Counts(541_909, 0, 0, 541_909 - counts.rejected, counts.rejected)
    assert (again.added, again.removed) == ((), ())


def test_cdnow(land: Land) -> None:
    said = {"dataset": "orders", "mapping": {"customer_id": "sample_id", "amount": "usd"}}
    table, change = land("cdnow/cdnow_sample.csv.gz", "first", **said)
    assert change.counts == importing.Counts(6919, 6919, 0, 0, 0)
    assert fetch(table, "sum(amount), count(DISTINCT customer_id), count(*) FILTER (WHERE kind = 'refund')") == (
        Decimal("244091.94"),
        2357,
        0,
    )
    assert (kinds(change)["cds"], kinds(change)["master_id"]) == ("int", "text")
    assert fetch(table, "min(ordered_at)::DATE, max(ordered_at)::DATE") == (dt.date(1997, 1, 1), dt.date(1998, 6, 30))
    _, again = land("cdnow/cdnow_sample.csv.gz", "second", **said)
    assert again.counts == importing.Counts(6919, 0, 0, 6919, 0)


def test_a_pipeline(land: Land) -> None:
    accounts, landed = land("crm_pipeline/accounts.csv", "accounts", dataset="customers")
    assert landed.counts == importing.Counts(85, 85, 0, 0, 0)
    assert {name: kinds(landed)[name] for name in ("year_established", "revenue", "employees", "subsidiary_of")} == {
        "year_established": "int",
        "revenue": "decimal",
        "employees": "int",
        "subsidiary_of": "text",
    }
    table, change = land("crm_pipeline/sales_pipeline.csv.gz", "deals", dataset="deals", others={"customers": accounts})
    assert change.counts == importing.Counts(8800, 8800, 0, 0, 0)
    won = "FILTER (WHERE status = 'won')"
    cycle = "(closed_at::DATE - created_at::DATE)"
    assert fetch(
        table,
        f"count(*) {won}, count(*) FILTER (WHERE status = 'lost'), sum(amount) {won}, round(avg({cycle}) {won}, 3), "
        f"median({cycle}) {won}, count(*) FILTER (WHERE customer_id IS NULL), count(*) FILTER (WHERE created_at IS NULL)",
    ) == (4238, 2473, Decimal(10_005_534), 51.782, 57, 1425, 500)
    assert fetch_all(
        table, "SELECT product, count(*) FROM {table} WHERE product LIKE 'GTX%P%' GROUP BY 1 ORDER BY 1"
    ) == [
        ("GTX Plus Basic", 1383),
        ("GTX Plus Pro", 968),
        ("GTXPro", 1480),
    ]
    (mismatch,) = warned(change)["run-together"]
    assert "'GTXPro' (1,480 rows)" in mismatch
    assert set(warned(change)) == {"run-together"}, "every account that a deal names is among the customers"


def test_a_pipeline_by_agent(land: Land) -> None:
    table, _ = land("crm_pipeline/sales_pipeline.csv.gz", "deals", dataset="deals")
    counted = ", ".join(f"count(*) FILTER (WHERE status = '{status}')" for status in ("won", "lost", "open"))
    query = f"SELECT owner, {counted}, sum(amount) FILTER (WHERE status = 'won') FROM {{table}} GROUP BY 1 ORDER BY 1"
    expected = [
        (row["sales_agent"], int(row["won"]), int(row["lost"]), int(row["open"]), Decimal(row["won_revenue"]))
        for row in answers("crm_pipeline/answers/by_agent.csv")
    ]
    # Five of the 35 sales people have no deal, and so are in neither.
    assert [row for row in fetch_all(table, query) if sum(row[1:4])] == sorted(expected)


def test_a_mangled_export_is_the_same_table(land: Land) -> None:
    clean, change = land("leads/leads.csv.gz", "first", dataset="leads")
    assert change.counts == importing.Counts(9240, 9240, 0, 0, 0)
    assert fetch(clean, "count(*) FILTER (WHERE converted = 1)") == (3561,)
    mangled, other = land("leads/leads_mangled_export.csv.gz", "other", dataset="leads", organisation="other")
    assert other.counts == change.counts
    assert (other.schema, kinds(other)) == (change.schema, kinds(change))
    for one, two in ((clean, mangled), (mangled, clean)):
        beside = f"read_parquet({list(files(two))})"
        assert fetch_all(one, f"SELECT * FROM {{table}} EXCEPT ALL SELECT * FROM {beside}") == []
    for name, organisation in (("leads/leads_mangled_export.csv.gz", "acme"), ("leads/leads.csv.gz", "other")):
        _, again = land(name, f"again {organisation}", dataset="leads", organisation=organisation)
        assert again.counts == importing.Counts(9240, 0, 0, 9240, 0)
        assert (again.added, again.removed) == ((), ())


def test_subscriptions_give_the_known_revenue(land: Land) -> None:
    table, change = land("subscriptions/subscription_periods.csv", "first", dataset="subscriptions")
    assert change.counts == importing.Counts(121, 121, 0, 0, 0)
    assert change.warnings == ()
    months = answers("subscriptions/answers/mrr_2019.csv")
    assert len(months) == 12
    for month in months:
        runs = f"started_on <= '{month['date_month']}' AND (ended_on IS NULL OR ended_on > '{month['date_month']}')"
        assert fetch(table, f"count(DISTINCT customer_id) FILTER (WHERE {runs}), sum(mrr) FILTER (WHERE {runs})") == (
            int(month["active_customers"]),
            Decimal(month["mrr"]),
        )


TELCO = "telco_churn/Telco-Customer-Churn.csv.gz"


def test_churn_is_kept_beside_customers(land: Land) -> None:
    table, change = land(TELCO, "first", dataset="customers")
    assert change.counts == importing.Counts(7043, 7043, 0, 0, 0)
    typed = ("tenure", "senior_citizen", "monthly_charges", "total_charges", "churn", "payment_method")
    assert [kinds(change)[name] for name in typed] == ["int", "int", "decimal", "decimal", "text", "text"]
    assert fetch(
        table,
        "count(*) FILTER (WHERE churn = 'Yes'), count(*) FILTER (WHERE total_charges IS NULL), "
        "count(*) FILTER (WHERE total_charges IS NULL AND tenure <> 0), sum(monthly_charges), max(tenure)",
    ) == (1869, 11, 0, Decimal("456116.6"), 72)


@pytest.mark.parametrize(
    "mapping",
    [
        {},
        {"subscription_id": "customerID", "customer_id": None},
        # A key cannot be waived: without it nobody knows which row a later file means.
        {"subscription_id": "customerID", "customer_id": None, "started_on": None},
    ],
)
def test_churn_without_a_day_of_start_is_no_subscription(land: Land, mapping: dict[str, str | None]) -> None:
    with pytest.raises(errors.Refusal) as refused:
        land(TELCO, "first", dataset="subscriptions", mapping=mapping)
    assert refused.value.code == "missing-columns"
    assert "started_on" in refused.value.data["missing"]
    assert "tenure" in refused.value.data["headers"]
    assert "`mapping`" in refused.value.detail


def test_churn_with_a_day_of_start_is_one(land: Land, tmp_path: Path) -> None:
    """The day is the administrator's to add; what the file has then suffices."""
    with gzip.open(DATA / TELCO, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    path = tmp_path / "with_start.csv"
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["Subscription", *rows[0], "Start"])
        writer.writerows([f"S{row['customerID']}", *row.values(), "2019-01-01"] for row in rows)
    table, change = land(str(path), "first", dataset="subscriptions")
    assert change.counts == importing.Counts(7043, 7043, 0, 0, 0)
    assert dict(change.mapping) == {
        "subscription_id": "Subscription",
        "started_on": "Start",
        "customer_id": "customerID",
        "plan": "Contract",
        "mrr": "MonthlyCharges",
    }
    assert fetch(table, "count(DISTINCT plan), sum(mrr), count(churn)") == (3, Decimal("456116.6"), 7043)


@pytest.mark.parametrize(
    ("name", "mapping", "rows", "typed"),
    [
        # Eight digits with a leading year are a number as far as anybody can know; a leading zero is never lost.
        ("febrl1.csv", {}, 1000, {"date_of_birth": "int", "soc_sec_id": "int", "postcode": "text", "surname": "text"}),
        ("febrl3.csv.gz", {}, 5000, {"date_of_birth": "int", "soc_sec_id": "text", "postcode": "text"}),
        ("RLdata500.csv", {"customer_id": "rec_id"}, 500, {"by": "int", "bm": "int", "bd": "int", "fname_c1": "text"}),
        ("fake_1000.csv", {}, 1000, {"dob": "date", "first_name": "text"}),
    ],
)
def test_people_with_twins(land: Land, name: str, mapping: dict[str, str], rows: int, typed: dict[str, str]) -> None:
    table, change = land(f"duplicates/{name}", "first", dataset="customers", mapping=mapping)
    assert change.counts == importing.Counts(rows, rows, 0, 0, 0)
    assert fetch(table, "count(DISTINCT customer_id)") == (rows,)
    assert {column: kinds(change)[column] for column in typed} == typed


def test_baskets(land: Land) -> None:
    said = {"dataset": "order_lines", "mapping": {"ordered_at": None, "amount": None}}
    table, change = land("baskets/groceries_long.csv.gz", "first", **said)
    assert change.counts == importing.Counts(43_367, 43_367, 0, 0, 0)
    assert fetch(table, "count(DISTINCT order_id), count(DISTINCT product), count(ordered_at)") == (9835, 169, 0)
    with pytest.raises(errors.Refusal) as refused:
        land("baskets/groceries_long.csv.gz", "second", dataset="order_lines")
    assert refused.value.data["missing"] == ["ordered_at", "amount or quantity and unit_price"]


@pytest.mark.parametrize(
    "name", ["attribution/path_data.csv.gz", "crm_pipeline/products.csv", "crm_pipeline/sales_teams.csv"]
)
@pytest.mark.parametrize("dataset", list(schemas.DATASETS))
def test_files_of_no_dataset_are_refused_with_what_they_lack(land: Land, name: str, dataset: str) -> None:
    """Counts per path, price lists and lists of staff have no rows of any dataset."""
    with pytest.raises(errors.Refusal) as refused:
        land(name, "first", dataset=dataset)
    assert refused.value.code == "missing-columns"
    assert refused.value.data["missing"]
