"""Accepts a job: its row, and with it the caller's idempotency key if there is one, then the message, then the answer."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import flask
import sqlalchemy.exc
from sqlalchemy.orm import Session

from models import failpoints, idempotency, jobs, reuse, session, settings, transitions
from models.failpoints import Point
from models.job import Job
from models.job_states import JobStatus
from models.transitions import NewJob
from web import auth, idempotency_key, job_object, limits, problem_types, problems, publishing, request_context, waiting
from web.idempotency_key import Key

# A key that is taken belongs to a committed job; it can be forgotten before we look, but not again and again.
ATTEMPTS = 3
RETRY_AFTER_IN_USE = "1"


@dataclass(frozen=True, slots=True)
class Reuse:
    """That a job which gives the same result will do, and how old its result may be; None: of any age."""

    max_age: timedelta | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job that answers a request.

    Attributes:
        job: the job.
        reused: it was there before the request.
        replayed: the request was answered before; its key says so.
    """

    job: Job
    reused: bool
    replayed: bool


class _KeyTakenError(Exception):
    """Ends a transaction whose key another request has taken meanwhile."""


def accept(make: Callable[[Session], NewJob], key: Key | None = None, *, instead: Reuse | None = None) -> Accepted:
    """Insert a job, or find the one that this key has made already, or one that gives the same result.

    Args:
        make: says what to insert; it may be called more than once, each time with a new session.
        key: the caller's key, where there is one.
        instead: which other job will do; None: only a new one.

    Raises:
        problems.Problem: the key belongs to another request, or to one that is not decided yet; or the organisation has too
            many unfinished jobs.
    """
    try:
        require_room(key.text if key is not None else None)
    except problems.Problem:
        # What is there already needs no room.
        if instead is None or not _is_there(make, instead):
            raise
    accepted = _accept_keyless(make, instead) if key is None else _accept_keyed(make, key, instead)
    if not accepted.replayed:
        failpoints.hit(Point.ACCEPT_AFTER_COMMIT)
    if not (accepted.replayed or accepted.reused):
        limits.note_accepted_job(auth.caller().organisation_id)
    return accepted


def _is_there(make: Callable[[Session], NewJob], instead: Reuse) -> bool:
    with session.statement() as db:
        new = make(db)
        key = new.reuse_key
        found = None if key is None else reuse.find(db, new.organisation_id, key, max_age=instead.max_age)
    return found is not None


def require_room(key: str | None) -> None:
    """Refuse a request for a job while its organisation has too many unfinished ones, unless its key has made one already.

    Raises:
        problems.Problem: it has too many.
    """
    organisation_id = auth.caller().organisation_id
    try:
        limits.require_room_for_job(organisation_id)
    except problems.Problem:
        with session.statement() as db:
            if key is None or idempotency.find(db, organisation_id, key) is None:
                raise


def answer(accepted: Accepted, query_wait: int | None, *, unless_said: int = 0) -> flask.Response:
    """Publish the job and answer with it, after it has finished or the caller's patience has."""
    if accepted.job.status == JobStatus.QUEUED:
        publishing.publish(accepted.job)
    wait = waiting.wanted(query_wait, otherwise=unless_said)
    job, headers = waiting.until_finished(accepted.job, wait)
    replayed = {idempotency_key.REPLAYED_HEADER: "true"} if accepted.replayed else {}
    at_once = accepted.reused or wait.seconds > 0
    response = job_object.accepted(job, at_once=at_once, reused=accepted.reused, headers={**headers, **replayed})
    failpoints.hit(Point.RESPOND)
    return response


def _accept_keyless(make: Callable[[Session], NewJob], instead: Reuse | None) -> Accepted:
    """Insert a job by a statement that is a transaction of its own: the trip that brings it to the database commits it."""
    with session.statement() as db:
        new = make(db)
        # The connection comes first: where there is none to be had, nothing was accepted.
        db.connection()
        failpoints.hit(Point.ACCEPT_BEFORE_COMMIT)
        request_context.note_commit()
        try:
            accepted = _insert(db, new, instead)
        except reuse.BusyError:
            # Its asker need not wait for somebody else's connection: two jobs for one result harm nobody.
            accepted = _insert(db, new, None)
        except sqlalchemy.exc.DBAPIError as error:
            if session.was_refused(error):
                request_context.forget_commit()
            raise
    return Accepted(accepted.job, reused=accepted.reused, replayed=False)


def _insert(db: Session, new: NewJob, instead: Reuse | None) -> reuse.Accepted:
    if instead is None:
        return reuse.Accepted(transitions.accept(db, new), reused=False)
    return reuse.accept(db, new, keep_for=settings.load().result_retention, max_age=instead.max_age)


def _accept_keyed(make: Callable[[Session], NewJob], key: Key, instead: Reuse | None) -> Accepted:
    """Insert a job together with its key, or find the one that the key has made already."""
    for _ in range(ATTEMPTS):
        try:
            return _accept_once(make, key, instead)
        except _KeyTakenError:
            continue
        except reuse.BusyError:
            instead = None
        except idempotency.KeyInUseError as error:
            raise _in_use() from error
    raise _in_use()


def _accept_once(make: Callable[[Session], NewJob], key: Key, instead: Reuse | None) -> Accepted:
    organisation_id = auth.caller().organisation_id
    with session.transaction() as db:
        known = _known(db, key)
        if known is not None:
            return known
        accepted = _insert(db, make(db), instead)
        if not idempotency.take(
            db,
            organisation_id,
            key.text,
            request_sha256=key.request_sha256,
            job_id=accepted.job.id,
            reused=accepted.reused,
        ):
            raise _KeyTakenError
        failpoints.hit(Point.ACCEPT_BEFORE_COMMIT)
        # From here on an error of the database leaves it open whether the job was accepted.
        request_context.note_commit()
    return Accepted(accepted.job, reused=accepted.reused, replayed=False)


def _known(db: Session, key: Key) -> Accepted | None:
    organisation_id = auth.caller().organisation_id
    used = idempotency.find(db, organisation_id, key.text)
    if used is None:
        return None
    if used.request_sha256 != key.request_sha256:
        raise problems.Problem(
            problem_types.IDEMPOTENCY_KEY_REUSED,
            f"This key came with another request at {used.created_at:%Y-%m-%dT%H:%M:%SZ}. Nothing was accepted.",
        )
    job = jobs.find(db, used.job_id, organisation_id=organisation_id)
    if job is not None and job.deleted_at is not None:
        raise deleted(job)
    return None if job is None else Accepted(job, reused=used.reused, replayed=True)


def deleted(job: Job) -> problems.Problem:
    """Make the problem for a job that is no more than the memory of one."""
    at = f"{job.deleted_at:%Y-%m-%dT%H:%M:%SZ}"
    return problems.Problem(problem_types.GONE, f"The {job.kind} was deleted at {at}.", facts={"deleted_at": at})


def _in_use() -> problems.Problem:
    return problems.Problem(
        problem_types.IDEMPOTENCY_KEY_IN_USE,
        "Another request with this key is being decided at this moment. Send it again in a second.",
        headers={"Retry-After": RETRY_AFTER_IN_USE},
    )
