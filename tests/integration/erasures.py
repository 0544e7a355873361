"""Imports, reports and erasures run in this process, as a worker's child runs them, on a lake and a database that are real."""

import io
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv
from sqlalchemy import text

from analytics.datasets import schemas, stored
from analytics.render import chunks
from models import dataset, jobs, lake, organisations, result, session, settings, transitions
from models.base import new_id
from models.job import Job
from models.job_states import JobKind, Reason
from workers import identity

Json = dict[str, Any]
_ALL_TEXT = csv.ConvertOptions(
    default_column_type=pa.string(), strings_can_be_null=True, quoted_strings_can_be_null=False
)
_LINE_BREAKS = csv.ParseOptions(newlines_in_values=True)
_ARROW = {
    schemas.ColumnKind.TIMESTAMP: pa.timestamp("us", "UTC"),
    schemas.ColumnKind.DATE: pa.date32(),
    schemas.ColumnKind.INT: pa.int64(),
}


@dataclass(frozen=True)
class Shop:
    """An organisation and what is done for it."""

    organisation_id: uuid.UUID

    def accept(self, kind: JobKind, type_: str, params: Json, **more: Any) -> uuid.UUID:
        with session.transaction() as db:
            new = transitions.NewJob(
                organisation_id=self.organisation_id, kind=kind, type=type_, params=params, queue="imports", **more
            )
            return transitions.accept(db, new).id

    def accept_import(self, name: str, content: str, **params: Any) -> uuid.UUID:
        job_id = new_id()
        folder = settings.load().upload_folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / str(job_id)).write_text(content)
        filled = {"dataset": name, "timezone": "UTC", "currency": "GBP", **params}
        return self.accept(JobKind.IMPORT, name, filled, id=job_id, upload={"bytes": len(content)})

    def import_(self, name: str, content: str, **params: Any) -> Job:
        return self.run(self.accept_import(name, content, **params))

    def give(self, name: str, content: str) -> None:
        """Put rows into a dataset as its next version, in one file, without the pains that an import takes."""
        job_id = self.accept(JobKind.IMPORT, name, {"dataset": name})
        table = self.table(name)
        with tempfile.TemporaryDirectory() as folder:
            read = csv.read_csv(io.BytesIO(content.encode()), parse_options=_LINE_BREAKS, convert_options=_ALL_TEXT)
            rows = _typed(name, read)
            path = Path(folder) / "rows.parquet"
            pq.write_table(rows, path)
            change = lake.LakeChange(table.snapshot(), (path,), (), rows.schema, {})
            done = table.commit(str(job_id), change)
        columns = dict(stored.columns(rows.schema))
        with session.transaction() as db:
            transitions.cancel_queued(db, job_id, by="a test")
            made = dataset.DatasetVersion(
                organisation_id=self.organisation_id,
                dataset=name,
                version=done.version,
                row_count=done.row_count,
                columns=columns,
                job_id=job_id,
            )
            dataset.record(db, made)

    def give_result(self, rows: pa.Table) -> uuid.UUID:
        """Store rows as the result of a report."""
        job = self.start(self.accept_report())
        kept = result.StoredResult(
            job_id=job.id, header={"params": {}}, manifest={}, row_count=rows.num_rows, byte_count=1, sha256="0"
        )
        pieces = [result.Chunk(piece.row_start, piece.row_count, piece.data) for piece in chunks.encode(rows)]
        with session.transaction() as db:
            result.store(db, kept, pieces, keep_for=timedelta(days=1))
            transitions.succeed(
                db, job.id, attempt=job.attempt, outcome={"row_count": 1}, keep_result=None, max_in_flight=16
            )
        return job.id

    def give_failed_import(self, name: str, content: str, error: Json) -> uuid.UUID:
        """Keep the file and the error of an import that has failed."""
        job = self.start(self.accept_import(name, content))
        with session.transaction() as db:
            transitions.fail(db, job.id, attempt=job.attempt, reason=Reason.PERMANENT_ERROR, error=error)
        return job.id

    def accept_report(self, type_: str = "rfm", **params: Any) -> uuid.UUID:
        with session.transaction() as db:
            current = dataset.current_sizes(db, self.organisation_id)
        pins = {name: size.version for name, size in current.items() if name in {"orders", "customers"}}
        return self.accept(
            JobKind.REPORT, type_, {"timezone": "UTC", "currency": "GBP", **params}, dataset_versions=pins
        )

    def report(self, **params: Any) -> Job:
        return self.run(self.accept_report(**params))

    def accept_erasure(self, customer_id: str, *, dry_run: bool = False) -> uuid.UUID:
        params = {"customer_id": customer_id, "dry_run": dry_run, "requested_by": "key rk_test"}
        return self.accept(JobKind.ERASURE, "customers", params)

    def erase(self, customer_id: str, *, dry_run: bool = False) -> Job:
        return self.run(self.accept_erasure(customer_id, dry_run=dry_run))

    def run(self, job_id: uuid.UUID) -> Job:
        """Run a job to the end of one attempt; it is claimed and ended by the worker's own code."""
        task_of(self.job(job_id))(str(job_id))
        return self.job(job_id)

    def start(self, job_id: uuid.UUID) -> Job:
        """Claim a job and do nothing with it."""
        with session.transaction() as db:
            claimed = transitions.claim(db, job_id, worker_id=identity.worker_id(), pid=1, lease_seconds=600)
        assert claimed is not None
        return claimed

    def job(self, job_id: uuid.UUID) -> Job:
        with session.transaction() as db:
            found = jobs.find(db, job_id)
        assert found is not None
        return found

    def table(self, name: str) -> lake.LakeTable:
        return lake.open_table(settings.load().lake_location, organisation_id=str(self.organisation_id), dataset=name)

    def rows(self, name: str, version: int | None = None) -> list[Json]:
        snapshot = self.table(name).snapshot(version)
        assert snapshot is not None, f"{name} has no version {version}"
        tables = [pq.read_table(file) for file in snapshot.files]
        return pa.concat_tables(tables, promote_options="default").to_pylist() if tables else []

    def gone(self, name: str) -> dict[int, bool]:
        """Return which versions of a dataset the database calls unreadable."""
        query = text(
            "SELECT version, gone_at IS NOT NULL FROM dataset_versions WHERE organisation_id = :o AND dataset = :d"
        )
        with session.transaction() as db:
            return dict(db.execute(query, {"o": self.organisation_id, "d": name}).all())


def task_of(job: Job) -> Any:
    from tasks import imports, reports  # noqa: PLC0415 - Celery is configured by then

    of_kind = {
        JobKind.IMPORT: imports.run,
        JobKind.REPORT: reports.run,
        JobKind.ERASURE: imports.erase,
        JobKind.RESTORE: imports.restore,
    }
    return of_kind[JobKind(job.kind)]


def open_shop() -> Shop:
    with session.transaction() as db:
        return Shop(organisations.ensure(db, f"shop {uuid.uuid4()}").id)


def lake_texts(shop: Shop) -> Mapping[Path, bytes]:
    """Return everything in the organisation's part of the lake as text: Parquet files unpacked, logs as they are."""
    root = Path(settings.load().lake_location) / str(shop.organisation_id)
    return {path: _text(path) for path in sorted(root.rglob("*")) if path.is_file()}


def _text(path: Path) -> bytes:
    if path.suffix == ".parquet":
        return repr(pq.read_table(path).to_pylist()).encode()
    return path.read_bytes()


def database_text() -> str:
    """Return every row of every table, and every chunk of rows of results unpacked."""
    pieces = []
    with session.transaction() as db:
        tables = db.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
        for name in tables:
            for (row,) in db.execute(text(f'SELECT t::text FROM "{name}" AS t')):
                pieces.append(f"{name}: {row}")
        for (data,) in db.execute(text("SELECT data FROM result_chunks")):
            pieces.append(_unpacked(bytes(data)))
    return "\n".join(pieces)


def _unpacked(data: bytes) -> str:
    """Return the rows of a chunk as text; one that another test has spoilt, as it is."""
    try:
        return repr(pq.read_table(pa.BufferReader(data)).to_pylist())
    except pa.ArrowInvalid:
        return repr(data)


def _typed(name: str, texts: pa.Table) -> pa.Table:
    """Give the columns of a dataset their types."""
    for index, column in enumerate(texts.column_names):
        known = schemas.DATASETS[name].column(column)
        if known is None or known.kind is schemas.ColumnKind.TEXT:
            continue
        is_number = known.kind is schemas.ColumnKind.DECIMAL
        kind = pa.decimal128(known.precision, known.scale) if is_number else _ARROW[known.kind]
        values = texts[column]
        if known.kind is schemas.ColumnKind.TIMESTAMP:
            values = values.cast(pa.date32()).cast(pa.timestamp("us"))
        texts = texts.set_column(index, column, values.cast(kind))
    return texts
