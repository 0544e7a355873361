"""Where an unfinished job stands: what it waits for, who is before it, who works on it. All facts of one moment."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_, select, tuple_
from sqlalchemy.orm import Session

from models import queues, settings
from models.heartbeat import Heartbeat
from models.job import Job
from models.job_states import JobStatus
from models.organisation import Organisation
from models.queues import QueueState

SHOWN_AT_WORK = 20


@dataclass(frozen=True, slots=True)
class AtWork:
    """A job that a worker runs now, and for how many seconds its attempt has run."""

    job_id: uuid.UUID
    kind: str
    type: str
    worker: str | None
    pid: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that bears on when a job goes on."""

    job: Job
    now: datetime
    """By the database's clock, which every other time here is of."""
    organisation: str
    max_in_flight: int
    in_flight: int
    """Jobs of its organisation and queue that are published or running, itself among them."""
    place: int
    """Its place, from 1, in the line of its organisation's due jobs that have no message yet; 0: it is not in it."""
    ahead: int
    """Published jobs of any organisation that its queue hands out before it."""
    queue: QueueState
    at_work: tuple[AtWork, ...]
    """Jobs that the workers of its queue run, longest first, at most `SHOWN_AT_WORK`."""
    worker: str | None
    """Name of the worker that runs it."""
    worker_silent_for: float | None


def of(session: Session, job: Job) -> Standing:
    """Look where a job stands."""
    now = session.scalars(select(func.now())).one()
    organisation = session.get_one(Organisation, job.organisation_id)
    worker = session.get(Heartbeat, job.worker_id) if job.worker_id is not None else None
    return Standing(
        job=job,
        now=now,
        organisation=organisation.name,
        max_in_flight=organisation.max_in_flight or settings.load().max_in_flight,
        in_flight=_count(session, *_lane(job), _under_way()),
        place=_place(session, job, now),
        ahead=_ahead(session, job),
        queue=queues.states(session, [job.queue])[job.queue],
        at_work=_at_work(session, job.queue),
        worker=worker.name if worker is not None else None,
        worker_silent_for=(now - worker.beat_at).total_seconds() if worker is not None else None,
    )


def _place(session: Session, job: Job, now: datetime) -> int:
    if job.status != JobStatus.QUEUED or job.published_at is not None or job.run_at > now:
        return 0
    due = and_(Job.status == JobStatus.QUEUED, Job.published_at.is_(None), Job.run_at <= func.now())
    return 1 + _count(session, *_lane(job), due, _in_line_before(job))


def _ahead(session: Session, job: Job) -> int:
    if job.status != JobStatus.QUEUED or job.published_at is None:
        return 0
    earlier = or_(Job.published_at < job.published_at, and_(Job.published_at == job.published_at, _in_line_before(job)))
    # Workers empty the express list first.
    before = and_(Job.express, earlier) if job.express else or_(Job.express, earlier)
    return _count(
        session, Job.queue == job.queue, Job.status == JobStatus.QUEUED, Job.published_at.is_not(None), before
    )


def _at_work(session: Session, queue: str) -> tuple[AtWork, ...]:
    query = (
        select(Job, Heartbeat.name, func.extract("epoch", func.now() - Job.claimed_at))
        .outerjoin(Heartbeat, Heartbeat.process_id == Job.worker_id)
        .where(Job.status == JobStatus.RUNNING, Job.queue == queue)
        .order_by(Job.claimed_at)
        .limit(SHOWN_AT_WORK)
    )
    return tuple(
        AtWork(
            job_id=job.id, kind=job.kind, type=job.type, worker=worker, pid=job.worker_pid, seconds=float(seconds or 0)
        )
        for job, worker, seconds in session.execute(query)
    )


def _lane(job: Job) -> tuple[ColumnElement[bool], ...]:
    return (Job.organisation_id == job.organisation_id, Job.queue == job.queue)


def _under_way() -> ColumnElement[bool]:
    return or_(Job.status == JobStatus.RUNNING, and_(Job.status == JobStatus.QUEUED, Job.published_at.is_not(None)))


def _in_line_before(job: Job) -> ColumnElement[bool]:
    """Whether another job has a higher priority, or the same and is older."""
    older = tuple_(Job.run_at, Job.id) < (job.run_at, job.id)
    return or_(Job.priority > job.priority, and_(Job.priority == job.priority, older))


def _count(session: Session, *conditions: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(Job).where(*conditions)) or 0
