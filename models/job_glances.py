"""Looks at many jobs at once, and sees of each only whether anything has happened since the last look."""

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Text, Uuid, any_, cast, func, literal, select
from sqlalchemy.orm import Session

from models.job import Job, JobEvent

# Of the digest of a progress: enough to tell a handful of them apart, and short in the id of an event.
DIGEST_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Glance:
    """What is seen of a job at a glance. It differs from an earlier one if anything has happened meanwhile."""

    last_event: int
    progress: str | None
    """A digest of it, the same for as long as it stays the same."""
    is_final: bool


@dataclass(frozen=True, slots=True)
class Account:
    """What there is to tell of a job to somebody who knows everything up to some event; nothing, once it is gone."""

    events: tuple[JobEvent, ...] = ()
    job: Job | None = None
    glance: Glance | None = None

    @property
    def is_gone(self) -> bool:
        return self.job is None


def look(session: Session, job_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Glance]:
    """Return a glance at each of these jobs; one that is no longer there is left out."""
    # As one parameter, so that it is the same statement for any number of jobs.
    wanted = literal(list(job_ids), ARRAY(Uuid))
    query = select(Job.id, *_glance()).where(Job.id == any_(wanted))
    return {job_id: _made(seen) for job_id, *seen in session.execute(query)}


def account(session: Session, job_id: uuid.UUID, *, organisation_id: uuid.UUID, after: int) -> Account:
    """Return what has happened to a job of an organisation after an event."""
    query = select(Job, *_glance()).where(Job.id == job_id, Job.organisation_id == organisation_id)
    found = session.execute(query).one_or_none()
    if found is None:
        return Account()
    job, *seen = found
    # The glance is the older of the two: what came in between is news at the next one.
    later = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.id > after).order_by(JobEvent.id)
    return Account(events=tuple(session.scalars(later)), job=job, glance=_made(seen))


def _glance() -> tuple[ColumnElement[int], ColumnElement[str], ColumnElement[bool]]:
    last = select(func.coalesce(func.max(JobEvent.id), 0)).where(JobEvent.job_id == Job.id).scalar_subquery()
    return last, func.left(func.md5(cast(Job.progress, Text)), DIGEST_LENGTH), Job.finished_at.is_not(None)


def _made(seen: Iterable[Any]) -> Glance:
    last_event, progress, is_final = seen
    return Glance(last_event=last_event, progress=progress, is_final=is_final)
