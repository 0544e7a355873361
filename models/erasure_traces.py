"""What the database itself keeps of a person beside the lake: stored results, and jobs and events that quote rows or name them.

Who is looked for comes as texts; whether a row that contains one of them really names the person the caller decides.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, func, or_, select, text, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from models import erasure_receivers
from models.base import Json
from models.job import Job, JobEvent
from models.job_states import JobKind, JobStatus
from models.result import ResultChunk, StoredResult

# What people and files put into a job's row.
OF_JOB: tuple[InstrumentedAttribute[Any], ...] = (
    Job.params,
    Job.upload,
    Job.outcome,
    Job.error,
    Job.label,
    Job.deliveries,
    Job.cancel_reason,
    Job.request_id,
)
OF_EVENT: tuple[InstrumentedAttribute[Any], ...] = (JobEvent.error, JobEvent.note)
ERASED_AT = "result_erased_at"
"""Member of a job's outcome: its result was removed, because it listed a person who was erased."""


class Stored(NamedTuple):
    """A stored result: whose it is, and all of it but its rows."""

    job_id: uuid.UUID
    kind: str
    type: str
    header: Json
    manifest: Json


def results(session: Session, organisation_id: uuid.UUID, *, after: uuid.UUID | None, limit: int) -> list[Stored]:
    """Return at most so many results of an organisation in the order of their jobs' ids."""
    query = (
        select(StoredResult.job_id, Job.kind, Job.type, StoredResult.header, StoredResult.manifest)
        .join(Job, Job.id == StoredResult.job_id)
        .where(Job.organisation_id == organisation_id)
        .order_by(StoredResult.job_id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(StoredResult.job_id > after)
    return [Stored(*row) for row in session.execute(query)]


def chunk_count(session: Session, job_id: uuid.UUID) -> int:
    return session.scalar(select(func.count()).select_from(ResultChunk).where(ResultChunk.job_id == job_id)) or 0


def remove_result(session: Session, job_id: uuid.UUID) -> bool:
    """Delete a result, and let its job tell why it has none; False: it has been removed meanwhile."""
    removed = session.scalar(delete(StoredResult).where(StoredResult.job_id == job_id).returning(StoredResult.job_id))
    if removed is None:
        return False
    at = func.jsonb_build_object(ERASED_AT, func.to_char(func.now(), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
    session.execute(
        update(Job)
        .where(Job.id == job_id)
        .values(outcome=func.coalesce(Job.outcome, text("'{}'::jsonb")).op("||")(at))
        .execution_options(synchronize_session=False)
    )
    return True


def jobs_with(
    session: Session, organisation_id: uuid.UUID, texts: Collection[str], *, after: uuid.UUID | None, limit: int
) -> list[Job]:
    """Lock and return ended jobs, and reports that wait, in whose row one of the texts is.

    Other jobs that have not ended are about data that is still to come, or are erasures that need the id themselves.
    """
    waits = (Job.kind == JobKind.REPORT) & (Job.status == JobStatus.QUEUED)
    query = (
        select(Job)
        .where(
            Job.organisation_id == organisation_id,
            or_(Job.finished_at.is_not(None), waits),
            erasure_receivers.containing(OF_JOB, texts),
        )
        .order_by(Job.id)
        .limit(limit)
        .with_for_update()
    )
    if after is not None:
        query = query.where(Job.id > after)
    return list(session.scalars(query))


def events_with(
    session: Session, organisation_id: uuid.UUID, texts: Collection[str], *, after: int, limit: int
) -> list[JobEvent]:
    """Return events of such jobs in which one of the texts is."""
    query = (
        select(JobEvent)
        .join(Job, Job.id == JobEvent.job_id)
        .where(
            Job.organisation_id == organisation_id, JobEvent.id > after, erasure_receivers.containing(OF_EVENT, texts)
        )
        .order_by(JobEvent.id)
        .limit(limit)
    )
    return list(session.scalars(query))


def rewrite_job(session: Session, job_id: uuid.UUID, values: Mapping[str, Any]) -> None:
    session.execute(update(Job).where(Job.id == job_id).values(**values).execution_options(synchronize_session=False))


def rewrite_event(session: Session, event_id: int, values: Mapping[str, Any]) -> None:
    """Change what an event quotes. The table takes no other change, and this one only from who says what for."""
    session.execute(select(func.set_config("reckoner.erasing", "on", True)))
    session.execute(
        update(JobEvent).where(JobEvent.id == event_id).values(**values).execution_options(synchronize_session=False)
    )


def previews(session: Session, organisation_id: uuid.UUID) -> list[Job]:
    """Return the ended previews of an organisation that still show something."""
    query = select(Job).where(
        Job.organisation_id == organisation_id,
        Job.kind == JobKind.PREVIEW,
        Job.finished_at.is_not(None),
        Job.outcome.has_key("preview"),
    )
    return list(session.scalars(query))


def finished_among(session: Session, organisation_id: uuid.UUID, job_ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Return those of these jobs that are the organisation's and have ended."""
    query = select(Job.id).where(
        Job.id.in_(job_ids), Job.organisation_id == organisation_id, Job.finished_at.is_not(None)
    )
    return list(session.scalars(query))
