"""An organisation's dataset in a lake, and hands that change it as jobs would."""

import datetime as dt
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy
from sqlalchemy.orm import Session

from analytics.datasets import stored
from models import dataset, lake, session, settings, transitions
from models.base import Json
from models.dataset import DatasetVersion
from models.job import Job
from models.job_states import JobKind, JobStatus
from models.transitions import NewJob
from tests.integration import web_api
from tests.integration.web_api import Caller
from workers.lake_jobs import sweeping
from workers.running_job import RunningJob

SCHEMA = pa.schema([("order_id", pa.string()), ("channel", pa.string())])
WIDE = SCHEMA.append(pa.field("shop", pa.string()))
NOW = dt.timedelta(0)


class Hands:
    """An organisation's `orders`, changed as jobs would change them."""

    def __init__(self, caller: Caller, folder: Path) -> None:
        self.caller = caller
        self.folder = folder
        location = settings.load().lake_location
        self.table = lake.open_table(location, organisation_id=str(caller.organisation_id), dataset="orders")

    def accept(self, kind: JobKind, **said: Any) -> Job:
        new = NewJob(organisation_id=self.caller.organisation_id, kind=kind, type="orders", params={}, queue="imports")
        with session.transaction() as db:
            return transitions.accept(db, replace(new, **said))

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
            self.note(final.session, job, done, schema)
        return done.version

    def note(self, db: Session, job: Job, done: lake.Committed, schema: pa.Schema) -> None:
        version = DatasetVersion(
            organisation_id=self.caller.organisation_id,
            dataset="orders",
            version=done.version,
            row_count=done.row_count,
            columns=stored.columns(schema),
            job_id=job.id,
            file_count=done.layout.files,
            byte_count=done.layout.bytes,
            small_file_count=done.layout.small_files,
        )
        dataset.record(db, version)

    def age(self, version: int, days: float) -> None:
        """Let a version have been committed this long ago."""
        at = sqlalchemy.func.now() - dt.timedelta(days=days)
        self.change(DatasetVersion.version == version, committed_at=at)

    def give_up(self, *versions: int) -> None:
        at = sqlalchemy.func.now() - dt.timedelta(hours=1)
        self.change(DatasetVersion.version.in_(versions), gone_at=at)

    def change(self, which: sqlalchemy.ColumnElement[bool], **values: Any) -> None:
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

    def versions_of(self, version: int) -> DatasetVersion:
        with session.transaction() as db:
            made = dataset.find(db, self.caller.organisation_id, "orders", version=version)
        assert made is not None
        return made.version

    def at(self, version: int) -> lake.LakeSnapshot:
        found = self.table.snapshot(version)
        assert found is not None
        return found

    def addresses(self) -> tuple[str, ...]:
        """The files of the newest version."""
        found = self.table.snapshot()
        return found.files if found is not None else ()

    def contents(self) -> tuple[lake.LakeFile, ...]:
        found = self.table.snapshot()
        assert found is not None
        return found.contents

    def sweep(self, **said: Any) -> sweeping.Swept:
        arguments = {"grace": NOW, "young": NOW, **said}
        return sweeping.sweep(self.table, self.caller.organisation_id, **arguments)

    def files(self) -> set[str]:
        return {path.name for path in Path(self.table.uri).glob("*.parquet")}


def outcome(job: Job) -> Json:
    found = web_api.row(str(job.id))
    assert found.status == JobStatus.SUCCEEDED, found.error
    assert found.outcome is not None
    return found.outcome
