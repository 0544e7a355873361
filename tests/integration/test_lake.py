"""The lake on a local folder: versions, races, repeats and crashes."""

import decimal
import threading
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import exceptions

from models import lake

SCHEMA = pa.schema([("order_id", pa.string()), ("amount", pa.decimal128(18, 4))])


@pytest.fixture
def table(tmp_path: Path) -> lake.LakeTable:
    return lake.open_table(str(tmp_path / "lake"), organisation_id="acme", dataset="orders")


def parquet(folder: Path, name: str, ids: list[str], **extra: Any) -> Path:
    columns: dict[str, Any] = {
        "order_id": pa.array(ids),
        "amount": pa.array([decimal.Decimal(number) for number in range(len(ids))], pa.decimal128(18, 4)),
        **extra,
    }
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def change(base: lake.LakeSnapshot | None, *added: Path, **other: Any) -> lake.LakeChange:
    defaults: dict[str, Any] = {"removed": (), "schema": SCHEMA, "facts": {"inserted": len(added)}}
    return lake.LakeChange(base=base, added=added, **(defaults | other))


def ids(snapshot: lake.LakeSnapshot | None) -> list[str]:
    assert snapshot is not None
    query = f"SELECT order_id FROM read_parquet({list(snapshot.files)}, union_by_name = true) ORDER BY 1"
    with duckdb.connect() as connection:
        return [row[0] for row in connection.execute(query).fetchall()]


def test_a_table_that_is_not_there_has_no_snapshot_and_no_commits(table: lake.LakeTable) -> None:
    assert table.snapshot() is None
    assert table.committed("job-1") is None
    assert not Path(table.uri).exists(), "looking must not create anything"


def test_first_commit_makes_version_zero(table: lake.LakeTable, tmp_path: Path) -> None:
    done = table.commit("job-1", change(None, parquet(tmp_path / "new", "a", ["1", "2"])))
    assert (done.version, done.row_count, done.facts) == (0, 2, {"inserted": 1})
    snapshot = table.snapshot()
    assert snapshot is not None
    assert (snapshot.version, snapshot.row_count, snapshot.schema) == (0, 2, SCHEMA)
    assert ids(snapshot) == ["1", "2"]


def test_an_older_version_stays_readable(table: lake.LakeTable, tmp_path: Path) -> None:
    table.commit("job-1", change(None, parquet(tmp_path / "new", "a", ["1"])))
    first = table.snapshot()
    assert first is not None
    table.commit("job-2", change(first, parquet(tmp_path / "new", "b", ["2"]), removed=first.files))
    assert ids(table.snapshot()) == ["2"]
    assert ids(table.snapshot(0)) == ["1"]
    assert table.snapshot(7) is None


def test_repeating_a_committed_job_changes_nothing(table: lake.LakeTable, tmp_path: Path) -> None:
    first = table.commit("job-1", change(None, parquet(tmp_path / "new", "a", ["1"])))
    table.commit("job-2", change(table.snapshot(), parquet(tmp_path / "new", "b", ["2"]), facts={"inserted": 7}))
    again = table.commit(
        "job-1", change(table.snapshot(), parquet(tmp_path / "new", "c", ["1"]), facts={"inserted": 9})
    )
    assert again == first
    assert table.committed("job-1") == first
    assert ids(table.snapshot()) == ["1", "2"]
    assert len(list(Path(table.uri).glob("*.parquet"))) == 2


def test_a_commit_without_rows_is_remembered(table: lake.LakeTable, tmp_path: Path) -> None:
    table.commit("job-1", change(None, parquet(tmp_path / "new", "a", ["1"])))
    table.commit("job-2", change(table.snapshot(), facts={"unchanged": 1}))
    done = table.committed("job-2")
    assert done is not None
    assert (done.version, done.row_count, done.facts) == (1, 1, {"unchanged": 1})


def test_files_placed_by_a_crashed_import_are_not_part_of_the_table(
    table: lake.LakeTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Stands for SIGKILL: nothing in the program may catch it."""

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(lake.LakeTable, "_write_log", die)
        with pytest.raises(Killed):
            table.commit("job-1", change(None, parquet(tmp_path / "new", "a", ["1"])))
    assert list(Path(table.uri).glob("*.parquet")), "the file was placed before the crash"
    assert table.snapshot() is None
    table.commit("job-1", change(None, parquet(tmp_path / "new", "b", ["1"])))
    assert ids(table.snapshot()) == ["1"]


def test_an_answer_that_was_lost_is_looked_up(
    table: lake.LakeTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = lake.LakeTable._write_log

    def write_and_fail(self: lake.LakeTable, *arguments: Any, **named: Any) -> None:
        real(self, *arguments, **named)
        raise exceptions.CommitFailedError("connection reset")

    with monkeypatch.context() as patch:
        patch.setattr(lake.LakeTable, "_write_log", write_and_fail)
        done = table.commit("job-1", change(None, parquet(tmp_path / "new", "a", ["1"])))
    assert done.version == 0
    assert ids(table.snapshot()) == ["1"]


def test_a_change_computed_on_an_older_version_is_a_conflict(table: lake.LakeTable, tmp_path: Path) -> None:
    table.commit("job-1", change(None, parquet(tmp_path / "new", "a", ["1"])))
    base = table.snapshot()
    table.commit("job-2", change(base, parquet(tmp_path / "new", "b", ["2"])))
    with pytest.raises(lake.LakeConflict):
        table.commit("job-3", change(base, parquet(tmp_path / "new", "c", ["3"])))
    assert ids(table.snapshot()) == ["1", "2"]
    table.commit("job-3", change(table.snapshot(), parquet(tmp_path / "new", "d", ["3"])))
    assert ids(table.snapshot()) == ["1", "2", "3"]


@pytest.mark.parametrize("exists", [False, True])
def test_imports_that_race_all_land(table: lake.LakeTable, tmp_path: Path, *, exists: bool) -> None:
    if exists:
        table.commit("job-0", change(None, parquet(tmp_path / "new", "first", ["first"])))
    start = threading.Barrier(4)
    conflicts: list[str] = []
    failures: list[BaseException] = []

    def run(number: int) -> None:
        base = table.snapshot()
        start.wait()
        while True:
            try:
                table.commit(f"job-{number + 1}", change(base, parquet(tmp_path / f"n{number}", "a", [str(number)])))
            except lake.LakeConflict as conflict:
                conflicts.append(str(conflict))
                base = table.snapshot()
            except exceptions.DeltaError as error:
                failures.append(error)
                return
            else:
                return

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(conflicts) >= 3, "all began from the same version, so only one may land at once"
    assert ids(table.snapshot()) == sorted(["0", "1", "2", "3", *(["first"] if exists else [])])


def test_a_new_column_joins_in_the_same_commit(table: lake.LakeTable, tmp_path: Path) -> None:
    table.commit("job-1", change(None, parquet(tmp_path / "new", "a", ["1"])))
    table.commit("job-2", change(table.snapshot(), parquet(tmp_path / "new", "b", ["2"])))
    before = table.snapshot()
    assert before is not None
    wider = SCHEMA.append(pa.field("shop", pa.string()))
    path = parquet(tmp_path / "new", "c", ["3"], shop=pa.array(["Bath"]))
    done = table.commit("job-3", change(before, path, schema=wider, removed=before.files[:1]))
    after = table.snapshot()
    assert after is not None
    assert done.version == before.version + 1
    assert after.schema == wider
    assert after.row_count == 2
    assert "3" in ids(after)
    assert len(set(ids(after)) & {"1", "2"}) == 1
    assert ids(table.snapshot(before.version)) == ["1", "2"]


def test_a_table_of_many_versions_is_written_down_now_and_then(
    table: lake.LakeTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not table.checkpoint_if_late()
    monkeypatch.setitem(lake.CONFIGURATION, "delta.checkpointInterval", "3")
    path = parquet(tmp_path / "new", "a", ["1"])
    for number in range(8):
        table.commit(f"job-{number}", change(table.snapshot(), path))
    log = Path(table.uri) / "_delta_log"
    written = sorted(entry.name for entry in log.glob("*.checkpoint.parquet"))
    assert [int(name[:20]) for name in written] == [2, 5]
    assert table.committed("job-1") is not None, "what a checkpoint has swallowed is known all the same"
    for entry in log.glob("*checkpoint*"):
        entry.unlink()
    monkeypatch.setattr(lake, "LATE_CHECKPOINT", 7)
    assert table.checkpoint_if_late()
    assert not table.checkpoint_if_late()
    assert (log / f"{7:020}.checkpoint.parquet").exists()
    # The entries before it are not read any more to open the newest version.
    (log / f"{3:020}.json").rename(log / "away")
    assert len(ids(table.snapshot())) == 8
