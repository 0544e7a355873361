"""Small data sets as Parquet files, with exactly the columns a lake table has, and a way to ask reports about them."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics import engine, result
from analytics.catalogue import registry
from analytics.reports import registry as computing

Rows = Sequence[Mapping[str, Any]]
Ask = Callable[..., result.Result]

TYPES = {
    "ordered_at": pa.timestamp("us", "UTC"),
    "created_at": pa.timestamp("us", "UTC"),
    "closed_at": pa.timestamp("us", "UTC"),
    "converted_at": pa.timestamp("us", "UTC"),
    "amount": pa.decimal128(18, 4),
    "quantity": pa.decimal128(18, 4),
    "unit_price": pa.decimal128(18, 4),
    "rate": pa.decimal128(18, 10),
    "on": pa.date32(),
    "line_no": pa.int64(),
    "started_on": pa.date32(),
    "ended_on": pa.date32(),
    "mrr": pa.decimal128(18, 4),
}


def _write(folder: Path, dataset: str, rows: Rows, *, files: int) -> engine.Snapshot:
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not rows:
        return engine.Snapshot(dataset, 0, (), 0)
    kinds = {**TYPES, **({"amount": pa.decimal128(38, 8)} if dataset == "order_lines" else {})}
    # A further column has the type of its values.
    whole = {name for name in names if all(isinstance(row.get(name), int) for row in rows if row.get(name) is not None)}
    schema = pa.schema([(name, kinds.get(name, pa.int64() if name in whole else pa.string())) for name in names])
    paths = []
    for part in range(min(files, len(rows))):
        path = folder / f"{dataset}-{part}.parquet"
        pq.write_table(pa.Table.from_pylist([dict(row) for row in rows[part::files]], schema=schema), path)
        paths.append(str(path))
    return engine.Snapshot(dataset, 0, tuple(paths), len(rows))


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Return `ask(type, params, orders=[...], timezone=..., currency=...)`; any dataset may be given by name.

    Each is written into one file, or dealt out to as many as `files` says.
    """
    asked = iter(range(1_000_000))

    def _ask(
        kind: str,
        params: Mapping[str, Any],
        *,
        timezone: str = "UTC",
        currency: str = "GBP",
        files: int = 1,
        **datasets: Rows,
    ) -> result.Result:
        folder = tmp_path / str(next(asked))
        folder.mkdir()
        snapshots = [_write(folder, name, rows, files=files) for name, rows in datasets.items()]
        parsed = registry.REPORT_TYPES[kind].parse_params(params, timezone=timezone, currency=currency)
        with engine.open_tables(snapshots, memory_limit="512MB", threads=2, spill_folder=folder / "spill") as tables:
            return computing.COMPUTE[kind](tables, parsed)

    return _ask


@pytest.fixture
def order() -> Callable[..., dict[str, Any]]:
    """Return a maker of order rows: `order("o1", "anna", "2024-01-31T10:00", "12.50", kind="refund")`."""

    def _order(order_id: str, customer: str | None, at: str, amount: str, **rest: Any) -> dict[str, Any]:
        moment = dt.datetime.fromisoformat(at)
        return {
            "order_id": order_id,
            "customer_id": customer,
            "ordered_at": moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC),
            "amount": Decimal(amount),
            "currency": "GBP",
            "kind": "refund" if Decimal(amount) < 0 else "sale",
            **rest,
        }

    return _order
