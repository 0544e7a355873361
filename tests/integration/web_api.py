"""Callers of the web application, and hands that do to jobs what workers would."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, cast

import flask.testing
import pyarrow as pa
from werkzeug.datastructures import Headers

from analytics.render import chunks
from models import dataset, jobs, organisations, result, session, transitions
from models.api_key import Scope
from models.dataset import DatasetVersion
from models.job import Job
from models.job_states import JobKind
from models.organisation import Organisation
from models.result import Chunk, StoredResult

KEEP = timedelta(days=30)
CSV = b"order_id,customer_id,ordered_at,amount\n1,a,2026-01-02,10.50\n"


class Answer(Protocol):
    """What tests read of an answer; its JSON is whatever the test says it is."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def content_type(self) -> str: ...
    @property
    def data(self) -> bytes: ...
    @property
    def text(self) -> str: ...
    @property
    def json(self) -> Any: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Caller:
    """An organisation, a key of it, and a client that sends that key."""

    http: flask.testing.FlaskClient
    organisation_id: uuid.UUID
    secret: str

    def get(self, path: str, **headers: str) -> Answer:
        return cast("Answer", self.http.get(path, headers=self._headers(headers)))

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return cast("Answer", self.http.post(path, json=body, headers=self._headers(headers)))

    def patch(self, path: str, body: Any, **headers: str) -> Answer:
        return cast("Answer", self.http.patch(path, json=body, headers=self._headers(headers)))

    def delete(self, path: str, **headers: str) -> Answer:
        return cast("Answer", self.http.delete(path, headers=self._headers(headers)))

    def send(self, path: str, data: Any, content_type: str = "text/csv", **headers: str) -> Answer:
        return cast(
            "Answer", self.http.post(path, data=data, content_type=content_type, headers=self._headers(headers))
        )

    def call(self, method: str, path: str, **headers: str) -> Answer:
        return cast("Answer", self.http.open(path, method=method, headers=headers))

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        given = {name.replace("_", "-"): value for name, value in more.items()}
        return {"Authorization": f"Bearer {self.secret}", **given}


def new_caller(http: flask.testing.FlaskClient, scopes: Iterable[Scope] = (Scope.ADMIN,)) -> Caller:
    with session.transaction() as db:
        organisation = organisations.ensure(db, f"org {uuid.uuid4()}", timezone="Europe/London", currency="GBP")
        key = organisations.issue_key(db, organisation, name="test", scopes=scopes)
        return Caller(http=http, organisation_id=organisation.id, secret=key.secret)


def another_key(caller: Caller, *scopes: Scope) -> Caller:
    with session.transaction() as db:
        organisation = db.get_one(Organisation, caller.organisation_id)
        key = organisations.issue_key(db, organisation, name="test", scopes=scopes)
    return Caller(http=caller.http, organisation_id=caller.organisation_id, secret=key.secret)


def give_dataset(caller: Caller, name: str = "orders", *, version: int = 0, rows: int = 10) -> None:
    """Let an organisation have a dataset, as an import would."""
    with session.transaction() as db:
        job = transitions.accept(
            db,
            transitions.NewJob(
                organisation_id=caller.organisation_id, kind=JobKind.IMPORT, type=name, params={}, queue="imports"
            ),
        )
        transitions.cancel_queued(db, job.id, by="a test")
        dataset.record(
            db,
            DatasetVersion(
                organisation_id=caller.organisation_id,
                dataset=name,
                version=version,
                row_count=rows,
                columns={"order_id": "text"},
                job_id=job.id,
            ),
        )


def row(job_id: str) -> Job:
    with session.transaction() as db:
        job = jobs.find(db, uuid.UUID(job_id))
    assert job is not None
    return job


def start(job_id: str) -> Job:
    """Claim a job as a worker would."""
    with session.transaction() as db:
        job = transitions.claim(db, uuid.UUID(job_id), worker_id=uuid.uuid4(), pid=1, lease_seconds=600)
    assert job is not None
    return job


def finish(
    job_id: str,
    table: pa.Table,
    *,
    rows_per_chunk: int = 1000,
    outcome: dict[str, Any] | None = None,
    header: dict[str, Any] | None = None,
) -> StoredResult:
    """Finish a job with this table as its result."""
    job = start(job_id)
    stored = StoredResult(
        job_id=job.id,
        header=header or _header(job, table),
        manifest={"type": job.type, "params": job.params},
        row_count=table.num_rows,
        byte_count=1,
        sha256=f"{job.id.int:064x}",
    )
    pieces = [
        Chunk(row_start=piece.row_start, row_count=piece.row_count, data=piece.data)
        for piece in chunks.encode(table, rows_per_chunk)
    ]
    with session.transaction() as db:
        result.store(db, stored, pieces, keep_for=KEEP)
        assert transitions.succeed(db, job.id, attempt=job.attempt, outcome=outcome, keep_result=KEEP, max_in_flight=1)
    return stored


def _header(job: Job, table: pa.Table) -> dict[str, Any]:
    return {
        "type": job.type,
        "version": 1,
        "title": "Test",
        "definition": "What the test says.",
        "source": "None.",
        "params": job.params,
        "columns": [
            {"name": name, "type": "text" if pa.types.is_string(kind) else "integer", "unit": None, "description": name}
            for name, kind in zip(table.column_names, table.schema.types, strict=True)
        ],
        "row_count": table.num_rows,
        "summary": {"rows": table.num_rows},
        "charts": [],
        "warnings": [],
        "dropped": {},
        "invariants": [],
        "manifest": None,
    }
