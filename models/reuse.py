"""Reports that are asked for again: a stored result is used once more, and a job that is under way is joined.

Jobs that would give the same result have the same `reuse_key`. At most one unfinished job of each key is joinable, which a
unique index guarantees: any number of requests at once make one job between them.
"""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import psycopg.errors
import sqlalchemy
from sqlalchemy import (
    Interval,
    LargeBinary,
    Table,
    Uuid,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from models import new_job
from models.job import Job
from models.job_states import UNFINISHED, JobStatus
from models.new_job import GIVEN, JOBS, NewJob
from models.result import StoredResult

# What was found can be gone a moment later, and what was in the way can end; but not again and again.
ATTEMPTS = 4

_RESULTS = cast("Table", StoredResult.__table__)


class BusyError(Exception):
    """A request for the same report has been undecided for longer than a lock is waited for. The transaction is over."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The job that answers a request, and whether it was there before."""

    job: Job
    reused: bool


# PostgreSQL cannot tell the type of a null by itself.
_MAX_AGE = sqlalchemy.cast(bindparam("max_age", type_=Interval), Interval)
_HAS_RESULT = and_(
    JOBS.c.status == JobStatus.SUCCEEDED.value,
    exists().where(
        _RESULTS.c.job_id == JOBS.c.id, or_(_RESULTS.c.expires_at.is_(None), _RESULTS.c.expires_at > func.now())
    ),
    or_(_MAX_AGE.is_(None), JOBS.c.finished_at >= func.now() - _MAX_AGE),
)
_IS_UNDER_WAY = and_(
    or_(*(JOBS.c.status == status.value for status in UNFINISHED)), JOBS.c.cancel_requested_at.is_(None)
)
_KNOWN = (
    select(JOBS.c.id)
    .where(
        JOBS.c.organisation_id == bindparam("organisation_id", type_=Uuid),
        JOBS.c.reuse_key == bindparam("reuse_key", type_=LargeBinary),
        or_(_HAS_RESULT, _IS_UNDER_WAY),
    )
    # A result is there at once; of several, the newest.
    .order_by(case((JOBS.c.status == JobStatus.SUCCEEDED.value, 0), else_=1), JOBS.c.id.desc())
    .limit(1)
)
_FOUND = _KNOWN.cte("known")
_MADE = (
    insert(JOBS)
    .from_select(
        [*GIVEN, "joinable"],
        select(*(bindparam(name, type_=JOBS.c[name].type) for name in GIVEN), true()).where(
            ~exists().select_from(_FOUND)
        ),
    )
    .on_conflict_do_nothing(
        index_elements=["reuse_key"],
        index_where=text("joinable AND status IN ('queued', 'running') AND cancel_requested_at IS NULL"),
    )
    .returning(JOBS.c.run_at, JOBS.c.created_at)
    .cte("made")
)
# Looking and inserting are one trip to the database, as inserting alone would be.
_FIND_OR_MAKE = select(
    select(_FOUND.c.id).scalar_subquery().label("known"),
    select(_MADE.c.run_at).scalar_subquery().label("run_at"),
    select(_MADE.c.created_at).scalar_subquery().label("created_at"),
)
# Of both rows the result's is locked first, as by whoever removes it. What makes no difference is not written.
_PROLONG = text(
    """
    WITH prolonged AS (
        UPDATE results SET expires_at = now() + :keep_for
        WHERE job_id = :job AND expires_at < now() + :keep_for * 0.9
        RETURNING job_id, expires_at
    )
    UPDATE jobs SET expires_at = prolonged.expires_at FROM prolonged WHERE jobs.id = prolonged.job_id
    """
).bindparams(bindparam("keep_for", type_=Interval))


def find(
    session: Session, organisation_id: uuid.UUID, reuse_key: bytes, *, max_age: timedelta | None = None
) -> Job | None:
    """Return the job that a request would be answered with instead of a new one; changes nothing."""
    arguments = {"organisation_id": organisation_id, "reuse_key": reuse_key, "max_age": max_age}
    job_id = session.scalar(_KNOWN, arguments)
    return None if job_id is None else _read(session, job_id)


def accept(session: Session, new: NewJob, *, keep_for: timedelta, max_age: timedelta | None = None) -> Accepted:
    """Return the job that gives what a new one would give, or insert the new one, which others then join.

    It is accepted when the caller's transaction commits. A job that is joined while it waits takes the higher priority, and
    a result that is used once more is kept for as long as if it had been made now.

    Args:
        session: where the statement is a transaction of its own, one trip to the database suffices for a new job.
        new: what is asked for; it has a `reuse_key`.
        keep_for: how long results are kept.
        max_age: how long ago a result may have been made; None: any time, because it is exact.

    Raises:
        BusyError: another transaction has inserted such a job and neither commits nor rolls back.
    """
    values = new_job.given(new)
    for _ in range(ATTEMPTS):
        try:
            row = session.connection().execute(_FIND_OR_MAKE, {**values, "max_age": max_age}).one()
        except OperationalError as error:
            if _is_waiting_for_another(error):
                raise BusyError from error
            raise
        if row.run_at is not None:
            made = new_job.written(values, run_at=row.run_at, created_at=row.created_at, joinable=True)
            return Accepted(made, reused=False)
        job = _read(session, row.known) if row.known is not None else None
        if job is not None and job.status not in {JobStatus.FAILED, JobStatus.CANCELLED}:
            return Accepted(_serve(session, job, priority=new.priority, keep_for=keep_for), reused=True)
    return Accepted(new_job.accept(session, new), reused=False)


def forget_key(session: Session, job_id: uuid.UUID) -> None:
    """Let nobody be answered with this job's result."""
    session.execute(update(Job).where(Job.id == job_id).values(reuse_key=None))


def _read(session: Session, job_id: uuid.UUID) -> Job | None:
    return session.scalar(select(Job).where(Job.id == job_id).execution_options(populate_existing=True))


def _serve(session: Session, job: Job, *, priority: int, keep_for: timedelta) -> Job:
    """Let a job, or its result, be as good to who asks now as one of their own would be; return it as it is then."""
    if job.status == JobStatus.SUCCEEDED:
        session.execute(_PROLONG, {"job": job.id, "keep_for": keep_for})
    elif job.status == JobStatus.QUEUED and job.priority < priority:
        waits = (Job.id == job.id, Job.status == JobStatus.QUEUED, Job.priority < priority)
        session.execute(update(Job).where(*waits).values(priority=priority))
    else:
        return job
    return _read(session, job.id) or job


def _is_waiting_for_another(error: OperationalError) -> bool:
    """Tell a wait for a transaction that makes such a job from other waits: PostgreSQL says what it was inserting into.

    Who waits for the whole table is not told anything.
    """
    original = error.orig
    return isinstance(original, psycopg.errors.LockNotAvailable) and f'"{JOBS.name}"' in (original.diag.context or "")
