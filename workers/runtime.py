"""The ceremony around every task body: claim, fence, finish or fail, log. Bodies carry none of it."""

import os
import time
import uuid
from collections.abc import Callable

import structlog

from models import failpoints, session, settings, tally, transitions
from models.base import Json
from models.failpoints import Point
from models.job import Job
from models.job_states import JobStatus, Reason
from workers import errors, identity, interrupts, publisher, routing, task, workboard
from workers.deliveries import poking
from workers.running_job import RunningJob

log = structlog.get_logger(__name__)

# A database that restarts is back within seconds. After that the heart gives the job back as soon as it can.
SETTLE_ATTEMPTS = 8
SETTLE_PAUSE_SECONDS = 1.0


class JobTask(task.Task):
    """Base of the tasks that run jobs. The message has the job's id; the body gets a `RunningJob`."""

    abstract = True

    def __call__(self, job_id: str) -> None:
        identity_ = uuid.UUID(job_id)
        board = workboard.board()
        board.write(identity_, 0)
        try:
            job = _claim(identity_)
            if job is None:
                return
            board.write(identity_, job.attempt)
            context = {"job_id": job_id, "attempt": job.attempt, "organisation_id": str(job.organisation_id)}
            with structlog.contextvars.bound_contextvars(**context, request_id=job.request_id, trace=job.traceparent):
                running = self._attempt(job)
        finally:
            # First of all: what comes after may wait for Redis, and is no part of the job.
            board.wipe()
        if running.lane_wants_more:
            publisher.publish([publisher.Lane(job.organisation_id, job.queue)])
        if running.is_told:
            poking.poke()

    def _attempt(self, job: Job) -> RunningJob:
        """Run the body once and write how it ended."""
        started = time.monotonic()
        log.info("job started", kind=job.kind, type=job.type)
        running = RunningJob(job)
        try:
            with interrupts.interruptible():
                self.run(running)
        except errors.LeaseLostError:
            _note_lost_lease()
            return running
        except errors.PERMANENT as error:
            problem = errors.problem(error)
            log.info("job refused", problem=problem["type"])
            status = _settle(lambda: _fail(job, problem))
        except Exception as error:  # noqa: BLE001 - the one place below which nothing else may catch everything
            status = _end_by_error(job, interrupts.meant_by(error), has_effect=running.has_effect)
        else:
            status = JobStatus.SUCCEEDED
        log.info("job ended", status=status, seconds=round(time.monotonic() - started, 3))
        return running


def _claim(job_id: uuid.UUID) -> Job | None:
    """Claim a job for this process, for as long as the database may need to come back.

    After that the job stays queued, where the audit misses its message. Waiting here rather than taking the next message
    keeps a worker that is cut off from the database from swallowing a whole queue.
    """
    for remaining in reversed(range(SETTLE_ATTEMPTS)):
        try:
            return _claim_now(job_id)
        except errors.DATABASE_AWAY as error:
            log.warning("could not claim", job_id=str(job_id), error=type(error).__name__, tries_left=remaining)
            if remaining not in {0, SETTLE_ATTEMPTS - 1}:
                time.sleep(SETTLE_PAUSE_SECONDS)
    return None


def _claim_now(job_id: uuid.UUID) -> Job | None:
    failpoints.hit(Point.CLAIM_BEFORE_COMMIT)
    with session.statement() as db:
        job = transitions.claim(
            db,
            job_id,
            worker_id=identity.worker_id(),
            pid=os.getpid(),
            lease_seconds=settings.load().lease_seconds,
        )
    failpoints.hit(Point.CLAIM_AFTER_COMMIT)
    if job is None:
        _note_refusal(job_id)
    return job


def _note_refusal(job_id: uuid.UUID) -> None:
    """Count a message that led to nothing: a second one for the same job, or one for a job the database has forgotten."""
    with session.transaction() as db:
        tally.relax(db)
        known = transitions.states_of(db, [job_id])
        if known:
            status, _ = known[job_id]
            log.info("nothing to claim", job_id=str(job_id), status=status)
            tally.add(db, tally.Count.DUPLICATES_REFUSED, status)
        else:
            log.warning("no such job; the database is older than the broker", job_id=str(job_id))
            tally.add(db, tally.Count.UNKNOWN_JOBS)


def _note_lost_lease() -> None:
    log.warning("lease lost; another attempt owns the job")
    try:
        with session.transaction() as db:
            tally.add(db, tally.Count.LEASES_LOST, "fence")
    except errors.DATABASE_AWAY as error:
        log.warning("could not count a lost lease", error=type(error).__name__)


def _end_by_error(job: Job, error: Exception, *, has_effect: bool) -> JobStatus | None:
    """Decide what an error means: cancelled, out of time, try again, try again uncounted, or the end."""
    if isinstance(error, errors.CancelledError):
        return _settle(lambda: _cancel(job))
    if isinstance(error, errors.OUT_OF_TIME):
        return _settle(lambda: _time_out(job))
    problem = errors.problem(error)
    # What has taken effect in the lake can only be finished, however often that fails.
    if errors.is_interruption(error) or has_effect:
        log.warning("job interrupted", error=type(error).__name__)
        return _settle(lambda: _release(job, problem))
    log.error("job failed", exc_info=error)
    return _settle(lambda: _retry_or_fail(job, problem))


def _settle(change: Callable[[], JobStatus | None]) -> JobStatus | None:
    """Write how an attempt ended, for as long as the database may need to come back.

    After a lost connection nobody knows whether a commit arrived. So the change is conditional and simply made again;
    where it had arrived, or the job is somebody else's by now, it changes nothing.
    """
    for remaining in reversed(range(SETTLE_ATTEMPTS)):
        try:
            return change()
        except errors.DATABASE_AWAY:
            if remaining == 0:
                log.warning("could not write how the job ended; the heart will give it back")
            else:
                time.sleep(SETTLE_PAUSE_SECONDS)
    return None


def _cancel(job: Job) -> JobStatus | None:
    with session.transaction() as db:
        done = transitions.cancel_running(db, job.id, job.attempt)
        failpoints.hit(Point.SETTLE_BEFORE_COMMIT)
        return JobStatus.CANCELLED if done else None


def _time_out(job: Job) -> JobStatus | None:
    limit = routing.hard_limit_seconds(job.kind) - settings.load().limit_grace_seconds
    with session.transaction() as db:
        done = transitions.time_out(db, job, limit)
        failpoints.hit(Point.SETTLE_BEFORE_COMMIT)
        return JobStatus.FAILED if done else None


def _fail(job: Job, problem: Json) -> JobStatus | None:
    with session.transaction() as db:
        done = transitions.fail(db, job.id, attempt=job.attempt, reason=Reason.PERMANENT_ERROR, error=problem)
        failpoints.hit(Point.SETTLE_BEFORE_COMMIT)
        return JobStatus.FAILED if done else None


def _release(job: Job, problem: Json) -> JobStatus | None:
    with session.transaction() as db:
        status = transitions.release(db, job, error=problem)
        failpoints.hit(Point.SETTLE_BEFORE_COMMIT)
        return status


def _retry_or_fail(job: Job, problem: Json) -> JobStatus | None:
    with session.transaction() as db:
        status = transitions.retry_or_fail(db, job, error=problem)
        failpoints.hit(Point.SETTLE_BEFORE_COMMIT)
        return status
