"""Keeping the lake: what is gathered, what is restored, what is given up and removed; on a local folder and a real database."""

import datetime
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy

from analytics.datasets import compacting
from models import dataset, lake, lake_retention, session, settings, transitions
from models.dataset import DatasetVersion
from models.job import Job
from models.job_states import JobKind, JobStatus
from models.transitions import NewJob
from tests.integration import web_api
from tests.integration.web_api import Caller
from workers import lake_upkeep
from workers.lake_jobs import compacting as compacting_job
from workers.lake_jobs import restoring, sweeping
from workers.running_job import RunningJob

SCHEMA = pa.schema([("order_id", pa.string()), ("channel", pa.string())])
WIDE = SCHEMA.append(pa.field("shop", pa.string()))
NOW = datetime.timedelta(0)


class Lake:
    """An organisation's `orders`, changed as jobs would change them."""

    def __init__(self, caller: Caller, folder: Path) -> None:
        self.caller = caller
        self.folder = folder
        location = settings.load().lake_location
        self.table = lake.open_table(location, organisation_id=str(caller.organisation_id), dataset="orders")

    def accept(self, kind: JobKind, **said: object) -> Job:
        new = NewJob(organisation_id=self.caller.organisation_id, kind=kind, type="orders", params={}, queue="imports")
        with session.transaction() as db:
            return transitions.accept(db, replace(new, **said))  # type: ignore[arg-type]

    def claim(self, job: Job) -> RunningJob:
        return RunningJob(web_api.start(str(job.id)))

    def write(self, *ids: str, removed: tuple[str, ...] = (), schema: pa.Schema = SCHEMA) -> int:
        """Add a file of orders, as an import; the answer is the version."""
        path = self.folder / f"{uuid.uuid4()}.parquet"
        columns = {field.name: pa.array([f"{field.name} {one}" for one in ids]) for field in schema}
        pq.write_table(pa.table({**columns, "order_id": pa.array(list(ids))}, schema), path)
        job = self.accept(JobKind.IMPORT)
        with self.claim(job).finish() as final:
            done = self.table.commit(
                str(job.id), lake.LakeChange(self.table.snapshot(), (path,), removed, schema, facts={})
            )
            self.note(final.session, job, done)
        return done.version

    def note(self, db: sqlalchemy.orm.Session, job: Job, done: lake.Committed) -> None:
        version = DatasetVersion(
            organisation_id=self.caller.organisation_id,
            dataset="orders",
            version=done.version,
            row_count=done.row_count,
            columns={"order_id": "text"},
            job_id=job.id,
            file_count=done.layout.files,
            byte_count=done.layout.bytes,
            small_file_count=done.layout.small_files,
        )
        dataset.record(db, version)

    def age(self, version: int, days: float) -> None:
        """Let a version have been committed this long ago."""
        at = sqlalchemy.func.now() - datetime.timedelta(days=days)
        self.change(DatasetVersion.version == version, committed_at=at)

    def give_up(self, *versions: int) -> None:
        at = sqlalchemy.func.now() - datetime.timedelta(hours=1)
        self.change(DatasetVersion.version.in_(versions), gone_at=at)

    def change(self, which: sqlalchemy.ColumnElement[bool], **values: object) -> None:
        mine = DatasetVersion.organisation_id == self.caller.organisation_id
        with session.transaction() as db:
            db.execute(sqlalchemy.update(DatasetVersion).where(mine, which).values(**values))

    def versions(self) -> dict[int, DatasetVersion]:
        with session.transaction() as db:
            return {
                made.version.version: made.version
                for made in dataset.page(db, self.caller.organisation_id, "orders", limit=100)
            }

    def rows(self, version: int | None = None) -> list[tuple[str, ...]]:
        found = self.table.snapshot(version)
        assert found is not None
        query = f"SELECT {', '.join(found.schema.names)} FROM read_parquet({list(found.files)}, union_by_name = true)"
        with duckdb.connect() as connection:
            return sorted(connection.execute(query).fetchall(), key=str)

    def sweep(self, **said: object) -> sweeping.Swept:
        arguments = {"grace": NOW, "young": NOW, **said}
        return sweeping.sweep(self.table, self.caller.organisation_id, **arguments)  # type: ignore[arg-type]

    def files(self) -> set[str]:
        return {path.name for path in Path(self.table.uri).glob("*.parquet")}


@pytest.fixture
def orders(caller: Caller, tmp_path: Path) -> Lake:
    return Lake(caller, tmp_path)


@pytest.fixture
def gather_from(database: settings.Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Gather as soon as there are three small files."""
    monkeypatch.setenv("COMPACT_FILES", "3")
    settings.load.cache_clear()
    yield
    monkeypatch.undo()
    settings.load.cache_clear()


def outcome(job: Job) -> dict[str, object]:
    found = web_api.row(str(job.id))
    assert found.status == JobStatus.SUCCEEDED, found.error
    assert found.outcome is not None
    return found.outcome


def test_many_small_files_become_one_with_the_same_rows(orders: Lake, gather_from: None) -> None:
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


def test_a_table_with_few_files_is_left_alone(orders: Lake, gather_from: None) -> None:
    orders.write("1")
    orders.write("2")
    job = orders.accept(JobKind.COMPACTION)
    compacting_job.run(orders.claim(job))
    assert outcome(job)["dataset_version"] is None
    assert list(orders.versions()) == [1, 0]


def test_rows_that_are_lost_on_the_way_are_not_committed(
    orders: Lake, gather_from: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in ("1", "2", "3"):
        orders.write(number)
    before = orders.table.snapshot()
    assert before is not None
    # Not the file that was written, but one that was there before.
    monkeypatch.setattr(compacting, "_written", lambda _folder: (Path(before.files[0]),))
    with pytest.raises(compacting.RowsChanged, match="rows=3.*rows=1"):
        compacting_job.run(orders.claim(orders.accept(JobKind.COMPACTION)))
    assert orders.table.snapshot() == before


def test_an_import_that_comes_first_costs_only_the_commit(
    orders: Lake, gather_from: None, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_it_gives_up_where_others_keep_changing_what_it_gathers(
    orders: Lake, gather_from: None, monkeypatch: pytest.MonkeyPatch
) -> None:
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
