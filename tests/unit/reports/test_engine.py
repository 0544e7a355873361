"""How snapshots are opened: old files without new columns, no files at all, no network, limits, stopping."""

import threading
import time
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics import engine
from analytics.catalogue import registry
from analytics.reports import registry as computing


def _open(tmp_path: Path, *snapshots: engine.Snapshot, threads: int = 2) -> Any:
    return engine.open_tables(snapshots, memory_limit="256MB", threads=threads, spill_folder=tmp_path / "spill")


def test_files_that_lack_columns_give_nulls(tmp_path: Path) -> None:
    pq.write_table(pa.table({"order_id": ["1"]}), tmp_path / "old.parquet")
    pq.write_table(pa.table({"order_id": ["2"], "colour": ["red"]}), tmp_path / "new.parquet")
    files = (str(tmp_path / "old.parquet"), str(tmp_path / "new.parquet"))
    with _open(tmp_path, engine.Snapshot("orders", 1, files, 2)) as tables:
        rows = tables["orders"].order_by("order_id").to_pyarrow().to_pylist()
        assert [(row["order_id"], row["colour"], row["amount"]) for row in rows] == [
            ("1", None, None),
            ("2", "red", None),
        ]
        assert tables["orders"].amount.type().is_decimal()


def test_no_files_are_an_empty_table_with_the_canonical_columns(tmp_path: Path) -> None:
    with _open(tmp_path, engine.Snapshot("order_lines", 0, (), 0)) as tables:
        assert list(tables) == ["order_lines"]
        assert tables["order_lines"].count().to_pyarrow().as_py() == 0
        assert tables["order_lines"].ordered_at.type().timezone == "UTC"


def test_nothing_is_fetched_and_the_session_is_utc(tmp_path: Path) -> None:
    with _open(tmp_path, engine.Snapshot("orders", 0, (), 0), threads=1) as tables:
        connection = tables["orders"].get_backend().con
        settings = dict(connection.sql("select name, value from duckdb_settings()").fetchall())
    assert settings["TimeZone"] == "UTC"
    assert settings["autoinstall_known_extensions"] == "false"
    assert settings["autoload_known_extensions"] == "false"
    assert settings["threads"] == "1"


def test_closing_frees_the_connection(tmp_path: Path) -> None:
    with _open(tmp_path, engine.Snapshot("orders", 0, (), 0)) as tables:
        connection = tables["orders"].get_backend().con
    with pytest.raises(duckdb.ConnectionException):
        connection.execute("select 1")


def test_a_running_question_can_be_stopped_from_another_thread(tmp_path: Path) -> None:
    with _open(tmp_path, engine.Snapshot("orders", 0, (), 0)) as tables:
        timer = threading.Timer(0.3, tables.interrupt)
        timer.start()
        begun = time.monotonic()
        connection = tables["orders"].get_backend().con
        with pytest.raises(duckdb.InterruptException):
            connection.execute(
                "select count(*) from range(1000000000) a, range(1000) b where (a.range * b.range) % 7 = 3"
            )
        timer.join()
        assert time.monotonic() - begun < 20


def test_warm_up_runs(tmp_path: Path) -> None:
    engine.warm_up(memory_limit="64MB", threads=1, spill_folder=tmp_path / "spill")


def test_every_declared_report_is_computed() -> None:
    assert computing.COMPUTE.keys() == registry.REPORT_TYPES.keys()
