"""What happens to a running job whose process is gone, and to a queued job whose message is."""

import uuid
from dataclasses import dataclass, field

import redis
import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import session, settings, transitions
from models.job import Job
from models.job_states import JobKind, JobStatus, Reason
from workers import broker, publisher, routing

BATCH = 200
# A message that is on its way needs this long at most; after that it is taken for lost.
UNPUBLISHED_SECONDS = 2.0
# Between leaving its queue and the claim a message is in a worker's hands; that takes far less than this.
IN_HAND_SECONDS = 10.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Sweep:
    """What one sweep did, for the log."""

    requeued: list[uuid.UUID] = field(default_factory=list)
    failed: list[uuid.UUID] = field(default_factory=list)
    published: int = 0


def bury(db: Session, job: Job, *, reason: Reason) -> JobStatus | None:
    """Decide the fate of a locked running job whose process is gone: cancelled, timed out, queued again, or failed.

    An import may have committed to the lake just before it died. So a cancelled one is run again: its next attempt looks
    into the lake, and finishes what is there or agrees to the cancellation.
    """
    if job.cancel_requested_at is not None and job.kind != JobKind.IMPORT:
        return JobStatus.CANCELLED if transitions.cancel_running(db, job.id, job.attempt) else None
    limit = settings.load().job_hard_limit_seconds
    if _seconds_running(db, job) >= limit:
        return JobStatus.FAILED if transitions.time_out(db, job, limit) else None
    status = transitions.give_up_lost(db, job, reason=reason)
    if status is not None:
        log.warning("job lost its worker", job_id=str(job.id), attempt=job.attempt, reason=reason, now=status)
    return status


def bury_expired() -> Sweep:
    """Bury every running job whose lease has run out. Safe to run twice at once: rows another sweep holds are passed over."""
    sweep = Sweep()
    while True:
        with session.transaction() as db:
            expired = transitions.lock_expired(db, BATCH)
            for job in expired:
                status = bury(db, job, reason=Reason.LEASE_EXPIRED)
                if status is not None:
                    (sweep.requeued if status is JobStatus.QUEUED else sweep.failed).append(job.id)
        if len(expired) < BATCH:
            return sweep


def publish_waiting() -> int:
    """Publish every due job that has no message, as far as Redis takes them; returns how many went out.

    Nothing in Redis is the only copy of anything: where it has lost its memory, or a message went missing between a
    worker's two hands, the job simply counts as unpublished again. A message too many is refused by the claim.
    """
    try:
        _forget_lost_messages()
    except redis.RedisError as error:
        log.warning("cannot ask the broker what it lost", error=type(error).__name__)
        return 0
    published = 0
    while True:
        with session.transaction() as db:
            waiting = transitions.due_unpublished(db, older_than_seconds=UNPUBLISHED_SECONDS, limit=BATCH)
        sent = publisher.publish_all([routing.message(job) for job in waiting])
        published += sent
        if sent < BATCH:
            return published


def _forget_lost_messages() -> None:
    everything_lost = broker.lost_memory()
    for kind in JobKind:
        empty = broker.waiting(routing.queue_of(kind)) == 0
        with session.transaction() as db:
            if everything_lost:
                forgotten = transitions.forget_published(db, kind, older_than_seconds=0.0)
            elif empty:
                forgotten = transitions.forget_published(db, kind, older_than_seconds=IN_HAND_SECONDS)
            else:
                forgotten = transitions.forget_overtaken(db, kind, by_seconds=IN_HAND_SECONDS)
        if forgotten:
            log.warning("messages were lost", kind=kind, jobs=forgotten, broker_lost_memory=everything_lost)


def _seconds_running(db: Session, job: Job) -> float:
    seconds = db.scalar(select(func.extract("epoch", func.now() - Job.claimed_at)).where(Job.id == job.id))
    return float(seconds or 0)
