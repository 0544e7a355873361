"""The example of `docs/writing-a-report.md` is built from the page itself, and answers."""

import datetime as dt
import importlib.machinery
import importlib.util
import re
import sys
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics import catalogue, engine
from analytics.render import chunks, manifest, stream

PAGE = Path(__file__).parents[2] / "docs" / "writing-a-report.md"
BLOCK = re.compile(r"`(analytics/\w+/\w+\.py)`:\n\n```python\n(.*?)```", re.DOTALL)


def _modules(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """Build the modules that the page shows, under the names that they would have."""
    made = {}
    for path, code in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        name = path.removesuffix(".py").replace("/", ".")
        file = folder / name
        file.write_text(code, encoding="utf-8")
        loader = importlib.machinery.SourceFileLoader(name, str(file))
        spec = importlib.util.spec_from_loader(name, loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        if name.startswith("analytics.catalogue."):
            monkeypatch.setattr(catalogue, "weekdays", module, raising=False)
        loader.exec_module(module)
        made[name] = module
    return made


def _order(number: int, day: str, amount: str, kind: str = "sale") -> dict[str, Any]:
    at = dt.datetime.fromisoformat(f"{day}T23:30:00+00:00")
    return {
        "order_id": f"o{number}", "customer_id": "c", "ordered_at": at, "amount": Decimal(amount),
        "currency": "GBP", "kind": kind,
    }  # fmt: skip


def test_the_example_answers_and_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = _modules(tmp_path, monkeypatch)
    assert set(built) == {"analytics.catalogue.weekdays", "analytics.reports.weekdays"}
    kind = built["analytics.catalogue.weekdays"].TYPE
    # Sunday, twice Monday, and a refund; in Paris it is the next day already.
    rows = [_order(1, "2024-01-07", "5"), _order(2, "2024-01-08", "7"), _order(3, "2024-01-15", "8")]
    rows.append(_order(4, "2024-01-09", "2", "refund"))
    schema = pa.schema(
        [("order_id", pa.string()), ("customer_id", pa.string()), ("ordered_at", pa.timestamp("us", "UTC")),
         ("amount", pa.decimal128(18, 4)), ("currency", pa.string()), ("kind", pa.string())]
    )  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "orders.parquet")
    snapshot = engine.Snapshot("orders", 0, (str(tmp_path / "orders.parquet"),), len(rows))
    for zone, expected in (
        ("UTC", [(1, 2, Decimal(15), 2 / 3), (7, 1, Decimal(5), 1 / 3)]),
        ("Europe/Paris", [(1, 1, Decimal(5), 1 / 3), (2, 2, Decimal(15), 2 / 3)]),
    ):
        params = kind.parse_params({"min_orders": 1}, timezone=zone, currency="GBP")
        with engine.open_tables([snapshot], memory_limit="256MB", threads=1, spill_folder=tmp_path / "spill") as tables:
            answer = built["analytics.reports.weekdays"].compute(tables, params)
        assert [tuple(row.values()) for row in answer.rows.to_pylist()] == expected
        assert all(check.holds for check in answer.invariants)
    header = manifest.header(answer, kind, params=params.model_dump(mode="json"))
    printed = stream.render_chunk("csv", header, next(chunks.encode(answer.rows)).data, True)
    assert printed.decode().splitlines()[0].startswith("1,1,5.00,")


def test_its_declaration_refuses_what_makes_no_sense(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = _modules(tmp_path, monkeypatch)["analytics.catalogue.weekdays"].TYPE
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        kind.parse_params({"min_orders": -1}, timezone="UTC", currency="GBP")
    assert [column.name for column in kind.columns if column.key] == ["weekday"]
