"""Reading jobs. How they change is in `models.transitions`."""

import functools
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Select, bindparam, func, select, union
from sqlalchemy.orm import Session

from models.job import Job, JobEvent
from models.job_states import UNFINISHED, JobKind, JobStatus
from models.schedule import ScheduleOccurrence


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which jobs: all of them, or those of which everything that is said here is true."""

    organisation_id: uuid.UUID | None = None
    kind: JobKind | None = None
    kinds: Collection[JobKind] | None = None
    """Any of these."""
    status: JobStatus | None = None
    type: str | None = None
    queue: str | None = None
    since: datetime | timedelta | None = None
    """Accepted at this time or later, or no longer ago than this."""
    until: datetime | None = None
    """Accepted before this time."""
    before: uuid.UUID | None = None
    """Older than this job: ids are ordered by time."""
    schedule_id: uuid.UUID | None = None
    """Made by this schedule, or made before and used for a slot of it."""
    deleted: bool = True
    """Also those that have been deleted."""

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        equal = (
            (Job.organisation_id, self.organisation_id),
            (Job.kind, self.kind),
            (Job.status, self.status),
            (Job.type, self.type),
            (Job.queue, self.queue),
        )
        conditions = [column == value for column, value in equal if value is not None]
        if self.schedule_id is not None:
            conditions.append(Job.id.in_(_of_schedule(self.schedule_id)))
        if self.kinds is not None:
            conditions.append(Job.kind.in_(self.kinds))
        if self.since is not None:
            moment = func.now() - self.since if isinstance(self.since, timedelta) else self.since
            conditions.append(Job.created_at >= moment)
        if self.until is not None:
            conditions.append(Job.created_at < self.until)
        if not self.deleted:
            conditions.append(Job.deleted_at.is_(None))
        if self.before is not None:
            conditions.append(Job.id < self.before)
        return conditions


def _of_schedule(schedule_id: uuid.UUID) -> CompoundSelect[Any]:
    """Return the ids of jobs that have the schedule, and of those that a slot of it names, each found by an index of its own."""
    made = select(Job.id).where(Job.schedule_id == schedule_id)
    used = select(ScheduleOccurrence.job_id).where(
        ScheduleOccurrence.schedule_id == schedule_id, ScheduleOccurrence.job_id.is_not(None)
    )
    return union(made, used)


def find(session: Session, job_id: uuid.UUID, *, organisation_id: uuid.UUID | None = None) -> Job | None:
    """Return a job; with an organisation, only if it is theirs."""
    if organisation_id is None:
        return session.scalar(select(Job).where(Job.id == job_id))
    return session.scalar(_theirs(), {"job_id": job_id, "organisation_id": organisation_id})


@functools.cache
def _theirs() -> Select[Job]:
    """Made once: of all queries this is the most frequent, and to make it takes as long as to send it."""
    return select(Job).where(Job.id == bindparam("job_id"), Job.organisation_id == bindparam("organisation_id"))


def page(session: Session, wanted: Wanted, *, limit: int) -> list[Job]:
    """Return at most so many of the wanted jobs, newest first."""
    return list(session.scalars(select(Job).where(*wanted.conditions).order_by(Job.id.desc()).limit(limit)))


def unfinished_ids_of(session: Session, wanted: Wanted) -> list[uuid.UUID]:
    """Return the ids of all wanted jobs that are not in a final state, newest first."""
    unfinished = Job.status.in_(UNFINISHED)
    return list(session.scalars(select(Job.id).where(unfinished, *wanted.conditions).order_by(Job.id.desc())))


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


def preview_ids(session: Session, *, finished_within: timedelta) -> set[uuid.UUID]:
    """Return the ids of previews that finished this recently."""
    query = select(Job.id).where(Job.kind == JobKind.PREVIEW, Job.finished_at > func.now() - finished_within)
    return set(session.scalars(query))


def unsuccessful_import_ids(session: Session, *, finished_within: timedelta) -> set[uuid.UUID]:
    """Return the ids of imports that failed or were cancelled this recently."""
    query = select(Job.id).where(
        Job.kind == JobKind.IMPORT,
        Job.status.in_((JobStatus.FAILED, JobStatus.CANCELLED)),
        Job.finished_at > func.now() - finished_within,
    )
    return set(session.scalars(query))
