"""Accepting a job: what is said of one that is to be, and the statement that writes it down."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, bindparam, insert
from sqlalchemy.orm import Session
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from models.base import Json, new_id
from models.job import Job

DEFAULT_PRIORITY = 5

JOBS = cast("Table", Job.__table__)

# What a request says of its job.
GIVEN = (
    "id",
    "organisation_id",
    "kind",
    "type",
    "params",
    "queue",
    "priority",
    "dataset_versions",
    "upload",
    "label",
    "deliveries",
    "reuse_key",
    "request_id",
    "traceparent",
    "schedule_id",
    "due_at",
)
# What SQLAlchemy adds to that insert; the database need not send it back.
_AT_FIRST = {
    column.name: column.default.arg
    for column in JOBS.c
    if column.name not in GIVEN and isinstance(column.default, ScalarElementColumnDefault)
}
# What every job goes through is put together once, and needs nothing of the ORM.
_ACCEPT = (
    insert(JOBS)
    .values({name: bindparam(name, type_=JOBS.c[name].type) for name in GIVEN})
    .returning(JOBS.c.run_at, JOBS.c.created_at)
)


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is accepted: everything a worker will need, so that the message carries nothing but the id."""

    organisation_id: uuid.UUID
    kind: str
    type: str
    params: Json
    queue: str
    priority: int = DEFAULT_PRIORITY
    id: uuid.UUID | None = None
    dataset_versions: Json | None = None
    upload: Json | None = None
    label: str | None = None
    deliveries: Sequence[Json] | None = None
    reuse_key: bytes | None = None
    """Equal for jobs that would give the same result; None: no other is recognised by it."""

    request_id: str | None = None
    traceparent: str | None = None
    schedule_id: uuid.UUID | None = None
    due_at: datetime | None = None


def accept(session: Session, new: NewJob) -> Job:
    """Insert a queued job, whatever else there is. It is accepted when the caller's transaction commits, not before."""
    values = given(new)
    row = session.connection().execute(_ACCEPT, values).one()
    return written(values, run_at=row.run_at, created_at=row.created_at)


def given(new: NewJob) -> dict[str, Any]:
    """Return the columns that a new job gives a value, by name; among them its id, which may be made here."""
    return {
        "id": new.id or new_id(),
        "organisation_id": new.organisation_id,
        "kind": str(new.kind),
        "type": new.type,
        "params": new.params,
        "queue": new.queue,
        "priority": new.priority,
        "dataset_versions": new.dataset_versions,
        "upload": new.upload,
        "label": new.label,
        "deliveries": None if new.deliveries is None else list(new.deliveries),
        "reuse_key": new.reuse_key,
        "request_id": new.request_id,
        "traceparent": new.traceparent,
        "schedule_id": new.schedule_id,
        "due_at": new.due_at,
    }


def written(values: dict[str, Any], *, run_at: datetime, created_at: datetime, joinable: bool = False) -> Job:
    """Return the job that an insert of these values has made."""
    return Job(**{**_AT_FIRST, **values, "run_at": run_at, "created_at": created_at, "joinable": joinable})
