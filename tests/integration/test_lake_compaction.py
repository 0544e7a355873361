"""Gathering small files, on a local folder and a real database: the same rows, once, beside imports."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from analytics.datasets import compacting, merging
from models import dataset, settings
from models.job_states import JobKind
from tests.integration.lake_hands import WIDE, Hands, outcome
from workers.lake_jobs import committing
from workers.lake_jobs import compacting as compacting_job


@pytest.fixture(autouse=True)
def gather_from(database: settings.Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Gather as soon as there are three small files."""
    monkeypatch.setenv("COMPACT_FILES", "3")
    settings.load.cache_clear()
    yield
    monkeypatch.undo()
    settings.load.cache_clear()


def test_many_small_files_become_one_with_the_same_rows(orders: Hands) -> None:
    for number in ("3", "1", "2"):
        orders.write(number, number + "x")
    orders.write("0", schema=WIDE)
    before, files = orders.rows(), orders.files()
    job = orders.accept(JobKind.COMPACTION)
    compacting_job.run(orders.claim(job))
    assert outcome(job)["dataset_version"] == 4
    assert orders.rows() == before
    newest = orders.table.snapshot()
    assert newest is not None
    assert newest.layout.files == 1
    assert newest.schema == WIDE
    stored = pq.read_table(newest.files[0])
    assert stored.column("order_id").to_pylist() == ["0", "1", "1x", "2", "2x", "3", "3x"]
    # Who reads an older version reads the files it had.
    assert files <= orders.files()
    assert orders.rows(2) == [("1", "channel 1"), ("1x", "channel 1x")] + [
        (name, f"channel {name}") for name in ("2", "2x", "3", "3x")
    ]
    noted = orders.versions()[4]
    assert (noted.row_count, noted.file_count, noted.small_file_count) == (7, 1, 1)
    assert noted.columns == {"order_id": "text", "channel": "text", "shop": "text"}
    entry = Path(orders.table.uri, "_delta_log", f"{4:020}.json").read_text()
    assert '"dataChange":false' in entry
    assert '"dataChange":true' not in entry


def test_a_table_with_few_files_is_left_alone(orders: Hands) -> None:
    orders.write("1")
    orders.write("2")
    job = orders.accept(JobKind.COMPACTION)
    compacting_job.run(orders.claim(job))
    assert outcome(job)["dataset_version"] is None
    assert list(orders.versions()) == [1, 0]


def test_rows_that_are_lost_on_the_way_are_not_committed(orders: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in ("1", "2", "3"):
        orders.write(number)
    before = orders.table.snapshot()
    assert before is not None
    # Not the file that was written, but one that was there before.
    monkeypatch.setattr(compacting, "_written", lambda _folder: (Path(before.files[0]),))
    with pytest.raises(compacting.RowsChanged, match=r"rows=3.*rows=1"):
        compacting_job.run(orders.claim(orders.accept(JobKind.COMPACTION)))
    assert orders.table.snapshot() == before


def test_an_import_that_comes_first_costs_only_the_commit(orders: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in ("1", "2", "3"):
        orders.write(number)
    real, calls = compacting.compact, []

    def slowly(*arguments: object, **named: object) -> tuple[Path, ...]:
        calls.append(orders.write("4"))
        return real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(compacting, "compact", slowly)
    job = orders.accept(JobKind.COMPACTION)
    compacting_job.run(orders.claim(job))
    assert calls == [3], "the rows were gathered once"
    assert outcome(job)["dataset_version"] == 4
    assert [row[0] for row in orders.rows()] == ["1", "2", "3", "4"]
    newest = orders.table.snapshot()
    assert newest is not None
    assert newest.layout.files == 2


def test_it_gives_up_where_others_keep_changing_what_it_gathers(orders: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in ("1", "2", "3"):
        orders.write(number)
    real = compacting.compact

    def too_late(files: list[str], **named: object) -> tuple[Path, ...]:
        orders.write("again", removed=(files[0],))
        return real(files, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(compacting, "compact", too_late)
    job = orders.accept(JobKind.COMPACTION)
    compacting_job.run(orders.claim(job))
    assert outcome(job)["dataset_version"] is None
    assert len(orders.versions()) == 3 + compacting_job.MOST_PLANS
    assert {row[0] for row in orders.rows()} == {"again"}


def test_what_was_committed_is_only_finished(orders: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in ("1", "2", "3"):
        orders.write(number)
    job = orders.accept(JobKind.COMPACTION)
    running = orders.claim(job)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(committing, "note", die)
        with pytest.raises(KeyboardInterrupt):
            compacting_job.run(running)
    assert orders.table.newest_version() == 3
    assert list(orders.versions()) == [2, 1, 0]
    orders.write("4")
    compacting_job.run(running)
    assert outcome(job)["dataset_version"] == 3
    assert outcome(job)["gathered"]["files"] == 3
    assert orders.versions()[3].columns == {"order_id": "text", "channel": "text"}
    assert orders.table.newest_version() == 4


def test_large_files_are_let_be_and_each_file_holds_a_range_of_keys(
    orders: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "FILE_BYTES", 300_000)
    monkeypatch.setattr(merging, "PARQUET", merging.PARQUET.replace("122880", "4096"))
    monkeypatch.setattr(dataset, "SMALL_FILE_BYTES", 400_000)
    orders.write(*(f"{number:08}" for number in range(100_000, 200_000)))
    for part in range(3):
        orders.write(*(f"{number:08}" for number in range(part, 60_000, 3)))
    large = next(file for file in orders.contents() if not file.is_small)
    job = orders.accept(JobKind.COMPACTION)
    compacting_job.run(orders.claim(job))
    assert outcome(job)["gathered"]["files"] == 3
    after = orders.contents()
    assert large in after
    columns = [pq.read_table(file.address)["order_id"].to_pylist() for file in after]
    ranges = sorted((min(ids), max(ids)) for ids in columns)
    assert len(ranges) > 2
    assert all(left[1] < right[0] for left, right in itertools.pairwise(ranges))
    assert all(ids == sorted(ids) for ids in columns)


def test_what_gains_nothing_is_not_committed(orders: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "FILE_BYTES", 1)
    monkeypatch.setattr(merging, "PARQUET", merging.PARQUET.replace("122880", "2048"))
    for part in range(3):
        orders.write(*(f"{part}-{number}" for number in range(2048)))
    job = orders.accept(JobKind.COMPACTION)
    compacting_job.run(orders.claim(job))
    assert outcome(job)["dataset_version"] is None


def test_small_means_the_same_to_imports_and_to_the_lake() -> None:
    assert merging.SMALL_FILE_BYTES == dataset.SMALL_FILE_BYTES < merging.FILE_BYTES
