"""Every way a job changes. Each is one conditional UPDATE that names the state, and where it matters the attempt, it expects.

No row changed means somebody else was there first; callers branch on that. Leases and due times are reckoned by the
database's clock alone, so clocks that differ between machines cannot shorten a lease. The trigger of the first migration
refuses what `models.job_states.TRANSITIONS` does not allow and writes `job_events`.
"""

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Interval,
    Update,
    and_,
    bindparam,
    func,
    null,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from models import admission, new_job
from models.base import Json
from models.job import Job
from models.job_states import JobStatus, Reason
from models.outbox import CONCERNS_SOMEBODY

MAX_CRASHES = 3
BACK_OFF_SECONDS = (5.0, 30.0, 120.0)
CRASH_BACK_OFF_SECONDS = (0.0, 5.0, 30.0)
INTERRUPTION_SECONDS = 1.0
LONGEST_INTERRUPTION_SECONDS = 30.0
_WITHOUT_MESSAGE: dict[str, Any] = {"published_at": None, "express": False}


# The first of the ways has a module of its own.
NewJob = new_job.NewJob
accept = new_job.accept
DEFAULT_PRIORITY = new_job.DEFAULT_PRIORITY

_JOBS = new_job.JOBS

# What every job goes through is put together once, and needs nothing of the ORM.
_OWNED = and_(
    _JOBS.c.id == bindparam("job"),
    _JOBS.c.status == JobStatus.RUNNING.value,
    _JOBS.c.attempt == bindparam("held", type_=Integer),
)
_CLAIM = (
    update(_JOBS)
    .where(_JOBS.c.id == bindparam("job"), _JOBS.c.status == JobStatus.QUEUED.value, _JOBS.c.run_at <= func.now())
    .values(
        status=JobStatus.RUNNING.value,
        reason=Reason.CLAIMED.value,
        attempt=_JOBS.c.attempt + 1,
        worker_id=bindparam("worker"),
        worker_pid=bindparam("pid"),
        lease_until=func.now() + bindparam("lease", type_=Interval),
        claimed_at=func.now(),
        started_at=func.coalesce(_JOBS.c.started_at, func.now()),
        progress=null(),
        express=False,
    )
    .returning(_JOBS)
)
# Others may go on referring to the job, with a key or an event; nobody may change it.
_HOLD = select(_JOBS.c.id).where(_OWNED).with_for_update(key_share=True)
# Its lane is looked at on the way: another trip to the database for each job would cost as much as the rest.
_SUCCEED = text(
    f"""
    UPDATE jobs SET status = 'succeeded', reason = 'finished', lease_until = NULL, worker_pid = NULL, outcome = :result,
        expires_at = now() + :keep, finished_at = now()
    WHERE id = :job AND status = 'running' AND attempt = :held
    RETURNING {admission.WANTS_MORE} AS lane_wants_more, {CONCERNS_SOMEBODY} AS is_told
    """  # noqa: S608 - both parts are ours
).bindparams(bindparam("result", type_=_JOBS.c.outcome.type), bindparam("keep", type_=Interval))


def claim(session: Session, job_id: uuid.UUID, *, worker_id: uuid.UUID, pid: int, lease_seconds: int) -> Job | None:
    """Take a queued job that is due: `queued -> running`, the next attempt. None: it is not to be had."""
    arguments = {"job": job_id, "worker": worker_id, "pid": pid, "lease": timedelta(seconds=lease_seconds)}
    row = session.connection().execute(_CLAIM, arguments).one_or_none()
    return None if row is None else Job(**row._mapping)  # noqa: SLF001 - its public name for the row as a mapping


def hold(session: Session, job_id: uuid.UUID, attempt: int) -> bool:
    """Lock a job this attempt still owns until the transaction ends; False: the lease was lost."""
    return session.connection().execute(_HOLD, {"job": job_id, "held": attempt}).one_or_none() is not None


def renew(session: Session, worker_id: uuid.UUID, job_ids: Sequence[uuid.UUID], *, lease_seconds: int) -> None:
    """Extend the leases of a worker's jobs of which a third is over; the others would only cost a write.

    A job whose row is locked is being finished this moment by its own child; it is left out rather than waited for.
    """
    mine = (
        select(Job.id)
        .where(
            Job.id.in_(job_ids),
            Job.worker_id == worker_id,
            Job.status == JobStatus.RUNNING,
            Job.lease_until < _from_now(lease_seconds * 2 / 3),
        )
        .with_for_update(skip_locked=True)
    )
    session.execute(update(Job).where(Job.id.in_(mine)).values(lease_until=_from_now(lease_seconds)))


def running_of(session: Session, worker_id: uuid.UUID) -> list[Job]:
    """Return the jobs that are this worker's by the database's word."""
    return list(session.scalars(select(Job).where(Job.worker_id == worker_id, Job.status == JobStatus.RUNNING)))


def hold_unless_finishing(session: Session, job: Job) -> Job | None:
    """Lock a job this attempt still owns, unless its own child holds it to finish it this moment."""
    return session.scalar(select(Job).where(*_owned(job.id, job.attempt)).with_for_update(skip_locked=True))


def report_progress(session: Session, job_id: uuid.UUID, *, attempt: int, progress: Json) -> bool:
    """Write how far a job has come; False: the lease was lost."""
    return _changed(session, update(Job).where(*_owned(job_id, attempt)).values(progress=progress))


@dataclass(frozen=True, slots=True)
class Succeeded:
    """A job has succeeded."""

    lane_wants_more: bool
    """Whether jobs of its organisation and queue wait for room, and there is enough of it to let some in."""

    is_told: bool
    """Whether somebody is to be told of it."""


def succeed(  # noqa: PLR0913 - each is a different thing
    session: Session,
    job_id: uuid.UUID,
    *,
    attempt: int,
    outcome: Json | None,
    keep_result: timedelta | None,
    max_in_flight: int,
) -> Succeeded | None:
    """`running -> succeeded`, in the transaction that also writes the results; None: the lease was lost."""
    arguments = {
        "job": job_id,
        "held": attempt,
        "result": outcome,
        "keep": keep_result,
        "max_in_flight": max_in_flight,
    }
    row = session.connection().execute(_SUCCEED, arguments).one_or_none()
    return None if row is None else Succeeded(lane_wants_more=row.lane_wants_more, is_told=row.is_told)


def fail(session: Session, job_id: uuid.UUID, *, attempt: int, reason: Reason, error: Json) -> bool:
    """`running -> failed`, for good; False: the lease was lost."""
    return _changed(
        session,
        _leave_running(job_id, attempt, status=JobStatus.FAILED, reason=reason).values(
            error=error, errors=Job.errors + 1, finished_at=func.now()
        ),
    )


def retry_or_fail(session: Session, job: Job, *, error: Json) -> JobStatus | None:
    """After an error that may pass: back to the queue with a back-off, or failed when the attempts are used up.

    Returns:
        The job's new state; None: the lease was lost.
    """
    if job.errors + 1 >= job.max_attempts:
        failed = fail(session, job.id, attempt=job.attempt, reason=Reason.ERRORS_USED_UP, error=error)
        return JobStatus.FAILED if failed else None
    statement = _leave_running(job.id, job.attempt, status=JobStatus.QUEUED, reason=Reason.TRANSIENT_ERROR).values(
        error=error,
        errors=Job.errors + 1,
        run_at=_from_now(_jittered(BACK_OFF_SECONDS[min(job.errors, len(BACK_OFF_SECONDS) - 1)])),
        **_WITHOUT_MESSAGE,
    )
    return JobStatus.QUEUED if _changed(session, statement) else None


def release(session: Session, job: Job, *, error: Json) -> JobStatus | None:
    """Back to the queue, because something was in the way that is not the job's: it counts against nothing.

    The pause grows with the attempts, so that an outage is not met with a storm.

    Returns:
        The job's new state; None: the lease was lost.
    """
    pause = min(INTERRUPTION_SECONDS * 2 ** max(job.attempt - 1, 0), LONGEST_INTERRUPTION_SECONDS)
    statement = _leave_running(job.id, job.attempt, status=JobStatus.QUEUED, reason=Reason.INTERRUPTED).values(
        error=error, run_at=_from_now(_jittered(pause)), **_WITHOUT_MESSAGE
    )
    return JobStatus.QUEUED if _changed(session, statement) else None


def cancel_queued(session: Session, job_id: uuid.UUID, *, by: str, why: str | None = None) -> bool:
    """`queued -> cancelled`; False: the job is not queued (any more)."""
    return _changed(
        session,
        update(Job)
        .where(Job.id == job_id, Job.status == JobStatus.QUEUED)
        .values(
            status=JobStatus.CANCELLED,
            reason=Reason.CANCELLED,
            cancel_requested_at=func.now(),
            cancelled_by=by,
            cancel_reason=why,
            finished_at=func.now(),
        ),
    )


def request_cancel(session: Session, job_id: uuid.UUID, *, by: str, why: str | None = None) -> bool:
    """Ask the worker of a running job to stop it; False: the job is not running. Asking twice changes nothing."""
    return _changed(
        session,
        update(Job)
        .where(Job.id == job_id, Job.status == JobStatus.RUNNING)
        .values(
            cancel_requested_at=func.coalesce(Job.cancel_requested_at, func.now()),
            cancelled_by=func.coalesce(Job.cancelled_by, by),
            cancel_reason=func.coalesce(Job.cancel_reason, why),
        ),
    )


def cancel_running(session: Session, job_id: uuid.UUID, attempt: int) -> bool:
    """`running -> cancelled`, once the process that ran it is known to be gone or has agreed; False: the lease was lost."""
    return _changed(
        session,
        _leave_running(job_id, attempt, status=JobStatus.CANCELLED, reason=Reason.CANCELLED).values(
            finished_at=func.now()
        ),
    )


def give_up_lost(session: Session, job: Job, *, reason: Reason) -> JobStatus | None:
    """A running job's process is gone: requeue it, or fail it when it has taken too many processes with it.

    A poison job must not crash-loop a worker for ever. The first restart is at once, so that one lost machine costs no wait.

    Returns:
        The job's new state; None: it was finished or given up by somebody else meanwhile.
    """
    if job.crashes + 1 >= MAX_CRASHES:
        statement = _leave_running(job.id, job.attempt, status=JobStatus.FAILED, reason=Reason.CRASHES_USED_UP).values(
            crashes=Job.crashes + 1, error=_crash_problem(job.crashes + 1), finished_at=func.now()
        )
        return JobStatus.FAILED if _changed(session, statement) else None
    pause = CRASH_BACK_OFF_SECONDS[job.crashes]
    statement = _leave_running(job.id, job.attempt, status=JobStatus.QUEUED, reason=reason).values(
        crashes=Job.crashes + 1,
        # Without a pause it keeps its place before the jobs that came after it.
        run_at=_from_now(_jittered(pause)) if pause else Job.run_at,
        **_WITHOUT_MESSAGE,
    )
    return JobStatus.QUEUED if _changed(session, statement) else None


def time_out(session: Session, job: Job, limit_seconds: int) -> bool:
    """`running -> failed` for a job that was killed because it ran too long; running it again would end the same way."""
    error: Json = {
        "type": "timed-out",
        "title": "The job ran too long",
        "detail": f"It was stopped after {limit_seconds} seconds. Narrow it with start, end or a filter.",
    }
    return fail(session, job.id, attempt=job.attempt, reason=Reason.TIMED_OUT, error=error)


def lock_expired(session: Session, limit: int) -> list[Job]:
    """Lock and return running jobs whose lease has run out. A row locked by its own finishing worker is not one of them."""
    query = (
        select(Job)
        .where(Job.status == JobStatus.RUNNING, Job.lease_until < func.now())
        .order_by(Job.lease_until, Job.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(session.scalars(query))


def states_of(session: Session, job_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, tuple[JobStatus, int]]:
    """Return the status and the attempt of jobs; of those that exist."""
    rows = session.execute(select(Job.id, Job.status, Job.attempt).where(Job.id.in_(job_ids)))
    return {job_id: (JobStatus(status), attempt) for job_id, status, attempt in rows}


def _owned(job_id: uuid.UUID, attempt: int) -> tuple[ColumnElement[bool], ...]:
    return (Job.id == job_id, Job.status == JobStatus.RUNNING, Job.attempt == attempt)


def _leave_running(job_id: uuid.UUID, attempt: int, *, status: JobStatus, reason: Reason) -> Update:
    return (
        update(Job)
        .where(*_owned(job_id, attempt))
        .values(status=status, reason=reason, lease_until=null(), worker_pid=null())
    )


def _changed(session: Session, statement: Update) -> bool:
    return session.scalar(statement.returning(Job.id)) is not None


def _from_now(seconds: float) -> ColumnElement[datetime]:
    return func.now() + timedelta(seconds=seconds)


def _jittered(seconds: float) -> float:
    """Spread retries by a quarter to either side, so that jobs that failed together do not come back together."""
    return seconds * random.uniform(0.75, 1.25)  # noqa: S311 - spreading load, not guarding a secret


def _crash_problem(crashes: int) -> Json:
    return {
        "type": "worker-crashed",
        "title": "The job ended its worker process several times",
        "detail": f"{crashes} processes died while running it. It is not tried again by itself; "
        "run it again once the cause is known, for instance too little memory.",
    }
