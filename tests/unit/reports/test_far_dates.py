"""Tables of older releases may have dates that no calendar can reckon with: no report fails of them."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from analytics import engine
from analytics.catalogue import registry
from analytics.reports import registry as computing
from tests.unit.reports.conftest import Ask

DAYS = [dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=9 * number) for number in range(24)]
# Half an hour into the year 10000, which Python has not, and the first moment that it has.
FAR = (253_402_302_600_000_000, -62_135_596_800_000_000, 253_402_214_400_000_000)
COUNT: dict[str, Any] = {"measures": [{"name": "rows", "op": "count"}]}


def _orders(folder: Path) -> engine.Snapshot:
    near = pa.array(DAYS, pa.timestamp("us", "UTC"))
    moments = pa.concat_arrays([near, pa.array(FAR, pa.int64()).cast(near.type)])
    rows = len(moments)
    table = pa.table(
        {
            "order_id": [f"o{number}" for number in range(rows)],
            "customer_id": [f"c{number % 3}" for number in range(rows)],
            "ordered_at": moments,
            "shipped": pc.cast(moments, pa.date32(), safe=False),
            "amount": pa.array([Decimal(5)] * rows, pa.decimal128(18, 4)),
            "currency": ["GBP"] * rows,
            "kind": ["sale"] * rows,
        }
    )
    pq.write_table(table, folder / "orders.parquet")
    return engine.Snapshot("orders", 0, (str(folder / "orders.parquet"),), rows)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("revenue_trend", {}),
        ("rfm", {}),
        ("cohort_retention", {}),
        ("data_quality", {}),
        ("aggregate", COUNT | {"dataset": "orders", "dimensions": [{"column": "ordered_at", "grain": "year"}]}),
        ("aggregate", COUNT | {"dataset": "orders", "dimensions": [{"column": "shipped", "grain": "week"}]}),
    ],
)
def test_no_report_fails_of_a_date_beyond_the_calendar(
    tmp_path: Path, kind: str, asked: dict[str, Any], zone: str
) -> None:
    parsed = registry.REPORT_TYPES[kind].parse_params(asked, timezone=zone, currency="GBP")
    with engine.open_tables(
        [_orders(tmp_path)], memory_limit="512MB", threads=2, spill_folder=tmp_path / "spill"
    ) as tables:
        found = computing.COMPUTE[kind](tables, parsed)
    if kind == "revenue_trend":
        assert found.dropped == {"no_date_or_amount": len(FAR)}


def test_dates_at_the_bounds_are_dates(ask: Ask, order: Any) -> None:
    orders = [order("o1", "a", "1000-01-01", "1"), order("o2", "a", "2999-12-31T23:59:59", "2")]
    by_year = COUNT | {"dataset": "orders", "dimensions": [{"column": "ordered_at", "grain": "year"}]}
    found = ask("aggregate", by_year, orders=orders)
    assert [day.year for day in found.rows[0].to_pylist()] == [1000, 2999]
