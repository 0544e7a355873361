"""What each queue holds, and who works on it, at this moment: for `/readyz`, `/metrics` and the operator's questions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from models import liveness
from models.heartbeat import Heartbeat, ProcessKind
from models.job import Job
from models.job_states import JobStatus


@dataclass(frozen=True, slots=True)
class QueueState:
    """The jobs of one queue that are not finished, and the workers that serve it. Ages in seconds."""

    unpublished: int = 0
    """Due jobs without a message: they wait for their organisation's turn, or for the broker to come back."""
    published: int = 0
    """Due jobs whose message is in the broker or in a worker's hands."""
    delayed: int = 0
    """Jobs that are not due yet: they back off after an error."""
    running: int = 0
    oldest_due: float | None = None
    """How long the longest-waiting due job has been due; None: none waits."""
    workers: int = 0
    """Workers that serve this queue and have lately given a sign of life."""
    slots: int = 0
    """How many jobs these workers can run at once."""
    since_claim: float | None = None
    """How long ago any worker of this queue last took a job; None: none is known to have."""

    @property
    def waiting(self) -> int:
        return self.unpublished + self.published + self.delayed

    @property
    def free_slots(self) -> int:
        return max(0, self.slots - self.running)


def states(session: Session, names: Iterable[str]) -> dict[str, QueueState]:
    """Return the state of these queues, and of any other that has jobs or workers, by name."""
    waiting = _waiting(session)
    running = _running(session)
    served = _served(session)
    return {
        name: replace(waiting.get(name, QueueState()), running=running.get(name, 0), **served.get(name, {}))
        for name in dict.fromkeys((*names, *sorted({*waiting, *running, *served})))
    }


def longest_stuck(session: Session) -> dict[str, float]:
    """Return for each queue how long its longest-waiting job has waited for nothing but a worker, in seconds.

    That is since it got its message; and where nothing of its organisation is under way in the queue, so that it is not
    its turn that it waits for, since it was due.
    """
    under_way = aliased(Job)
    has_its_turn = exists().where(
        under_way.organisation_id == Job.organisation_id,
        under_way.queue == Job.queue,
        or_(
            under_way.status == JobStatus.RUNNING,
            and_(under_way.status == JobStatus.QUEUED, under_way.published_at.is_not(None)),
        ),
    )
    since = func.greatest(Job.published_at, Job.run_at, Job.created_at)
    query = (
        select(Job.queue, liveness.seconds_since(func.min(since)))
        .where(
            Job.status == JobStatus.QUEUED,
            Job.run_at <= func.now(),
            or_(Job.published_at.is_not(None), ~has_its_turn),
        )
        .group_by(Job.queue)
    )
    return {queue: float(seconds) for queue, seconds in session.execute(query)}


def _waiting(session: Session) -> dict[str, QueueState]:
    due = Job.run_at <= func.now()
    query = (
        select(
            Job.queue,
            func.count().filter(due, Job.published_at.is_(None)),
            func.count().filter(due, Job.published_at.is_not(None)),
            func.count().filter(~due),
            liveness.seconds_since(func.min(Job.run_at).filter(due)),
        )
        .where(Job.status == JobStatus.QUEUED)
        .group_by(Job.queue)
    )
    return {
        queue: QueueState(unpublished=unpublished, published=published, delayed=delayed, oldest_due=_age(oldest))
        for queue, unpublished, published, delayed, oldest in session.execute(query)
    }


def _running(session: Session) -> Mapping[str, int]:
    query = select(Job.queue, func.count()).where(Job.status == JobStatus.RUNNING).group_by(Job.queue)
    return dict(session.execute(query).all())


def _served(session: Session) -> dict[str, dict[str, Any]]:
    silent_for, since_claim = liveness.seconds_since(Heartbeat.beat_at), liveness.seconds_since(Heartbeat.claimed_at)
    query = select(Heartbeat.queues, Heartbeat.slots, silent_for, since_claim).where(
        Heartbeat.kind == ProcessKind.WORKER.value
    )
    served: dict[str, dict[str, Any]] = {}
    for names, slots, silence, claimed in session.execute(query):
        alive = silence <= liveness.silence_seconds()
        for name in names:
            seen = served.setdefault(name, {"workers": 0, "slots": 0, "since_claim": None})
            seen["workers"] += alive
            seen["slots"] += slots if alive else 0
            # A worker that is gone has taken work all the same.
            ages = [age for age in (seen["since_claim"], _age(claimed)) if age is not None]
            seen["since_claim"] = min(ages, default=None)
    return served


def _age(seconds: Any) -> float | None:
    return None if seconds is None else float(seconds)
