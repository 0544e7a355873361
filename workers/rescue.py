"""What happens to a running job whose process is gone, and to a queued job whose message is."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import redis
import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import admission, failpoints, session, settings, tally, transitions, upkeep
from models.admission import Lane
from models.failpoints import Point
from models.job import Job
from models.job_states import WRITES_LAKE, JobStatus, Reason
from models.upkeep import Upkeep
from workers import broker, publisher, routing

BATCH = 200
# A new job's message is on its way within this time; if not, its publisher is gone.
UNPUBLISHED_SECONDS = 2.0
# Between leaving its list and the claim a message is in a worker's hands; that takes far less than this.
IN_HAND_SECONDS = 10.0
# Nobody's next job is left behind everybody else's for longer.
OVERTAKEN_SECONDS = 10.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Sweep:
    """What one sweep did."""

    requeued: int = 0
    ended: int = 0
    found_missing: int = 0
    published: int = 0

    @property
    def did_something(self) -> bool:
        return any((self.requeued, self.ended, self.found_missing, self.published))


def sweep() -> Sweep:
    """Requeue what dead workers held, then publish what is due and has no message.

    Open-ended and idempotent: any number may run at once, and each may die anywhere.
    """
    with session.transaction() as db:
        upkeep.note(db, Upkeep.RESCUE)
    done = Sweep()
    bury_expired(done)
    try:
        done.found_missing = _forget_missing_messages()
        done.published = _publish_waiting()
    except redis.RedisError as error:
        log.warning("cannot ask the broker what it has", error=type(error).__name__)
    if done.did_something:
        log.info(
            "rescued", requeued=done.requeued, ended=done.ended, missing=done.found_missing, published=done.published
        )
    return done


def stand_in() -> bool:
    """Sweep if nobody has done it for three times as long as they should; False: somebody has.

    The way of an ordinary sweep is through Redis and a worker. This one needs neither.
    """
    with session.transaction() as db:
        taken = upkeep.take_over(db, Upkeep.RESCUE, overdue_seconds=3 * settings.load().rescue_seconds)
    if taken:
        log.warning("the sweep is overdue; doing it here")
        sweep()
    return taken


def bury(db: Session, job: Job, *, reason: Reason) -> JobStatus | None:
    """Decide the fate of a locked running job whose process is gone: cancelled, timed out, queued again, or failed.

    A job that writes the lake may have committed just before it died. If it was cancelled or ran out of time it is run again:
    its next attempt looks into the lake, and finishes what is there or agrees to its end.
    """
    may_have_effect = job.kind in WRITES_LAKE
    if job.cancel_requested_at is not None and not may_have_effect:
        return JobStatus.CANCELLED if transitions.cancel_running(db, job.id, job.attempt) else None
    limit = routing.hard_limit_seconds(job.kind)
    if _seconds_running(db, job) >= limit and not may_have_effect:
        return JobStatus.FAILED if transitions.time_out(db, job, limit) else None
    status = transitions.give_up_lost(db, job, reason=reason)
    if status is not None:
        log.warning("job lost its worker", job_id=str(job.id), attempt=job.attempt, reason=reason, now=status)
    return status


def bury_expired(done: Sweep) -> None:
    """Bury every running job whose lease has run out. Rows that another sweep or a finishing worker holds are passed over."""
    while True:
        with session.transaction() as db:
            expired = transitions.lock_expired(db, BATCH)
            for job in expired:
                status = bury(db, job, reason=Reason.LEASE_EXPIRED)
                done.requeued += status is JobStatus.QUEUED
                done.ended += status in {JobStatus.FAILED, JobStatus.CANCELLED}
            due = admission.admit_again(db, [job.id for job in expired])
            failpoints.hit(Point.BURY_BEFORE_COMMIT)
        failpoints.hit(Point.BURY_AFTER_COMMIT)
        publisher.send_all(due)
        publisher.publish({Lane(job.organisation_id, job.queue) for job in expired})
        if len(expired) < BATCH:
            return


def _forget_missing_messages() -> int:
    """Take jobs as unpublished whose messages are not where they should be; returns how many.

    Nothing in Redis is the only copy of anything. Where it has lost its memory everything is published again at once; else
    each message that has been under way for a while is looked for, so that a long queue is not published twice.
    """
    if broker.lost_memory():
        return _forget(admission.forget_messages, "memory lost")
    with session.statement() as db:
        under_way = admission.published(db, for_seconds=IN_HAND_SECONDS)
    by_queue = defaultdict(set)
    for job_id, lane in under_way.items():
        by_queue[lane.queue].add(job_id)
    missing = [job_id for queue, ids in by_queue.items() for job_id in ids - broker.waiting_jobs(queue)]
    if not missing:
        return 0
    return _forget(lambda db: admission.forget_messages(db, missing), "message missing")


def _forget(change: Callable[[Session], int], why: str) -> int:
    with session.transaction() as db:
        forgotten = change(db)
        if forgotten:
            log.warning("messages were lost", jobs=forgotten, why=why)
            tally.add(db, tally.Count.REPUBLISHED, why, by=forgotten)
    return forgotten


def _publish_waiting() -> int:
    with session.statement() as db:
        lanes = admission.lanes_waiting(db, for_seconds=UNPUBLISHED_SECONDS)
    published = publisher.publish(lanes)
    with session.transaction() as db:
        overtaken = admission.promote_overtaken(db, after_seconds=OVERTAKEN_SECONDS)
    return published + publisher.send_all(overtaken)


def _seconds_running(db: Session, job: Job) -> float:
    seconds = db.scalar(select(func.extract("epoch", func.now() - Job.claimed_at)).where(Job.id == job.id))
    return float(seconds or 0)
