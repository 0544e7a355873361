"""The ceremony around every task body: claim, fence, finish or fail, log. Bodies carry none of it."""

import os
import time
import uuid
from collections.abc import Callable

import celery
import structlog

from models import session, settings, transitions
from models.base import Json
from models.job import Job
from models.job_states import JobStatus, Reason
from workers import errors, identity, publisher, routing
from workers.running_job import RunningJob

log = structlog.get_logger(__name__)

# A database that restarts is back within seconds; a worker that cannot reach it for longer leaves the job to its lease.
SETTLE_ATTEMPTS = 8
SETTLE_PAUSE_SECONDS = 1.0


class JobTask(celery.Task):
    """Base of the tasks that run jobs. The message has the job's id; the body gets a `RunningJob`."""

    abstract = True

    def publish_soon(self, job_id: uuid.UUID) -> None:
        """Publish a committed job without waiting for Redis; never raises. The rescue sweep stands behind it."""
        name = self.name
        publisher.publisher().put(publisher.Message(job_id, lambda id_: routing.send(name, id_)))

    def __call__(self, job_id: str) -> None:
        job = _claim(uuid.UUID(job_id))
        if job is None:
            return
        context = {"job_id": job_id, "attempt": job.attempt, "organisation_id": str(job.organisation_id)}
        with structlog.contextvars.bound_contextvars(**context, request_id=job.request_id, trace=job.traceparent):
            self._attempt(job)

    def _attempt(self, job: Job) -> None:
        started = time.monotonic()
        log.info("job started", kind=job.kind, type=job.type)
        try:
            self.run(RunningJob(job))
        except errors.LeaseLostError:
            log.warning("lease lost; another attempt owns the job")
            return
        except errors.CancelledError:
            status = _settle(lambda: _cancel(job))
        except errors.OUT_OF_TIME:
            status = _settle(lambda: _time_out(job))
        except errors.PERMANENT as error:
            log.info("job refused", problem=errors.problem(error)["type"])
            problem = errors.problem(error)
            status = _settle(lambda: _fail(job, problem))
        except Exception as error:  # the one place below which nothing else may catch everything
            log.exception("job failed")
            problem = errors.problem(error)
            status = _settle(lambda: _retry_or_fail(job, problem))
        else:
            status = JobStatus.SUCCEEDED
        log.info("job ended", status=status, seconds=round(time.monotonic() - started, 3))


def _claim(job_id: uuid.UUID) -> Job | None:
    """Claim a job for this process. A database that is away leaves the job queued, where the sweep finds it."""
    try:
        with session.transaction() as db:
            job = transitions.claim(
                db,
                job_id,
                worker_id=identity.worker_id(),
                pid=os.getpid(),
                lease_seconds=settings.load().lease_seconds,
            )
    except errors.DATABASE_AWAY as error:
        log.warning("could not claim", job_id=str(job_id), error=type(error).__name__)
        return None
    if job is None:
        log.info("nothing to claim: taken, finished or not yet due", job_id=str(job_id))
    return job


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
                log.warning("could not write how the job ended; its lease will run out")
            else:
                time.sleep(SETTLE_PAUSE_SECONDS)
    return None


def _cancel(job: Job) -> JobStatus | None:
    with session.transaction() as db:
        return JobStatus.CANCELLED if transitions.cancel_running(db, job.id, job.attempt) else None


def _time_out(job: Job) -> JobStatus | None:
    with session.transaction() as db:
        done = transitions.time_out(db, job, settings.load().job_soft_limit_seconds)
        return JobStatus.FAILED if done else None


def _fail(job: Job, problem: Json) -> JobStatus | None:
    with session.transaction() as db:
        done = transitions.fail(db, job.id, attempt=job.attempt, reason=Reason.PERMANENT_ERROR, error=problem)
        return JobStatus.FAILED if done else None


def _retry_or_fail(job: Job, problem: Json) -> JobStatus | None:
    with session.transaction() as db:
        return transitions.retry_or_fail(db, job, error=problem)
