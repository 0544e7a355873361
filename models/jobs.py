"""Reading jobs. How they change is in `models.transitions`."""

import uuid
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.job import Job, JobEvent
from models.job_states import UNFINISHED, JobKind, JobStatus


def find(session: Session, job_id: uuid.UUID, *, organisation_id: uuid.UUID | None = None) -> Job | None:
    """Return a job; with an organisation, only if it is theirs."""
    query = select(Job).where(Job.id == job_id)
    if organisation_id is not None:
        query = query.where(Job.organisation_id == organisation_id)
    return session.scalar(query)


def newest(  # noqa: PLR0913 - each is an independent, optional filter
    session: Session,
    *,
    limit: int,
    organisation_id: uuid.UUID | None = None,
    kind: JobKind | None = None,
    status: JobStatus | None = None,
    type_: str | None = None,
    before: uuid.UUID | None = None,
) -> list[Job]:
    """Return jobs, newest first. `before` is the last id of the page before: ids are ordered by time."""
    query = select(Job).order_by(Job.id.desc()).limit(limit)
    if organisation_id is not None:
        query = query.where(Job.organisation_id == organisation_id)
    if kind is not None:
        query = query.where(Job.kind == kind)
    if status is not None:
        query = query.where(Job.status == status)
    if type_ is not None:
        query = query.where(Job.type == type_)
    if before is not None:
        query = query.where(Job.id < before)
    return list(session.scalars(query))


def events(session: Session, job_id: uuid.UUID) -> list[JobEvent]:
    """Return what happened to a job, oldest first."""
    return list(session.scalars(select(JobEvent).where(JobEvent.job_id == job_id).order_by(JobEvent.id)))


def seconds_oldest_due(session: Session) -> float | None:
    """Return how long the longest-waiting due job has waited; None where nothing waits."""
    age = func.extract("epoch", func.now() - func.min(Job.run_at))
    seconds = session.scalar(select(age).where(Job.status == JobStatus.QUEUED, Job.run_at <= func.now()))
    return None if seconds is None else float(seconds)


def unfinished_ids(session: Session) -> set[uuid.UUID]:
    """Return the ids of all jobs that are not in a final state."""
    return set(session.scalars(select(Job.id).where(Job.status.in_(UNFINISHED))))


def unsuccessful_import_ids(session: Session, *, finished_within: timedelta) -> set[uuid.UUID]:
    """Return the ids of imports that failed or were cancelled this recently."""
    query = select(Job.id).where(
        Job.kind == JobKind.IMPORT,
        Job.status.in_((JobStatus.FAILED, JobStatus.CANCELLED)),
        Job.finished_at > func.now() - finished_within,
    )
    return set(session.scalars(query))
