"""Who has stopped working: processes that give no sign of life, and workers that live and take nothing although work is due.

Everything is judged by the database's clock alone. What to do about it is decided by whoever asks.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from models import settings
from models.heartbeat import Heartbeat, ProcessKind
from models.job import Job, JobEvent
from models.job_states import JobStatus, Reason

LEAST_SILENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Seen:
    """The last sign of life of a process; ages in seconds."""

    id: uuid.UUID
    kind: ProcessKind
    name: str
    host: str
    pid: int
    queues: tuple[str, ...]
    slots: int
    silent_for: float
    started: float


@dataclass(frozen=True, slots=True)
class Stalled:
    """A worker that beats and has a free slot, and has taken nothing although its queue has work."""

    id: uuid.UUID
    name: str
    host: str
    pid: int
    queue: str
    """The queue whose oldest message waits longest."""
    waiting_for: float
    """How many seconds that message has waited for somebody to take it."""
    running: int
    """How many jobs it runs all the same."""

    @property
    def sentence(self) -> str:
        return f"takes no work although a job has waited in the queue {self.queue} for {self.waiting_for:.0f} s"


def silence_seconds() -> float:
    """Return after how long without a sign of life a process counts as dead or frozen: never before its leases run out."""
    return max(float(settings.load().lease_seconds), LEAST_SILENCE_SECONDS)


def stalled_workers(session: Session, *, stall_seconds: float, silent_seconds: float) -> list[Stalled]:
    """Return the workers, of all hosts, that must have stopped consuming.

    Such a worker gives signs of life; it and its last claim are older than `stall_seconds`, none of its jobs has
    changed its state for as long, it runs fewer jobs than it has slots, and in one of its queues a published job has
    been due for as long. Jobs whose time has not come and jobs without a message say nothing about a worker. Nor does
    this say anything where the broker does not answer: ask the broker first.
    """
    waiting = _oldest_waiting(session, _ago(stall_seconds))
    if not waiting:
        return []
    running = select(func.count()).where(Job.worker_id == Heartbeat.process_id, Job.status == JobStatus.RUNNING)
    running_now = running.scalar_subquery()
    query = (
        select(Heartbeat, running_now)
        .where(
            Heartbeat.kind == ProcessKind.WORKER.value,
            Heartbeat.beat_at >= _ago(silent_seconds),
            func.coalesce(Heartbeat.claimed_at, Heartbeat.started_at) < _ago(stall_seconds),
            running_now < Heartbeat.slots,
            ~_touched_a_job(_ago(stall_seconds)),
        )
        .order_by(Heartbeat.name)
    )
    found = []
    for worker, jobs in session.execute(query):
        served = [queue for queue in worker.queues if queue in waiting]
        if served:
            queue = max(served, key=waiting.__getitem__)
            found.append(
                Stalled(
                    id=worker.process_id,
                    name=worker.name,
                    host=worker.host,
                    pid=worker.pid,
                    queue=queue,
                    waiting_for=waiting[queue],
                    running=jobs,
                )
            )
    return found


def seen(session: Session, *, host: str | None = None) -> list[Seen]:
    """Return the last sign of life of each process, of one host or of all. Of several starts under one pid, the newest counts."""
    silent_for, started = seconds_since(Heartbeat.beat_at), seconds_since(Heartbeat.started_at)
    query = (
        select(Heartbeat, silent_for, started)
        .ext(distinct_on(Heartbeat.host, Heartbeat.pid))
        .order_by(Heartbeat.host, Heartbeat.pid, Heartbeat.started_at.desc())
    )
    if host is not None:
        query = query.where(Heartbeat.host == host)
    return [
        Seen(
            id=row.process_id,
            kind=ProcessKind(row.kind),
            name=row.name,
            host=row.host,
            pid=row.pid,
            queues=tuple(row.queues),
            slots=row.slots,
            silent_for=float(silence),
            started=float(age),
        )
        for row, silence, age in session.execute(query)
    ]


def _oldest_waiting(session: Session, since: ColumnElement[datetime]) -> dict[str, float]:
    """Return for each queue with a message that has been due since then how long the oldest such has waited."""
    waits_since = func.greatest(Job.published_at, Job.run_at)
    query = (
        select(Job.queue, seconds_since(func.min(waits_since)))
        .where(Job.status == JobStatus.QUEUED, Job.published_at < since, Job.run_at < since)
        .group_by(Job.queue)
    )
    return {queue: float(seconds) for queue, seconds in session.execute(query)}


def _touched_a_job(since: ColumnElement[datetime]) -> ColumnElement[bool]:
    """Whether a job of the worker has changed since then: who has just finished a long one had no slot free until now."""
    # All reasons are named because the index on the events' times begins with the reason.
    reasons = [reason.value for reason in Reason]
    return exists().where(
        and_(JobEvent.reason.in_(reasons), JobEvent.at >= since, JobEvent.worker_id == Heartbeat.process_id)
    )


def _ago(seconds: float) -> ColumnElement[datetime]:
    return func.now() - timedelta(seconds=seconds)


def seconds_since(moment: Any) -> ColumnElement[Any]:
    """How long ago a moment was, by the database's clock."""
    return func.extract("epoch", func.now() - moment)
