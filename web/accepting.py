"""Accepts a job: its row, and with it the caller's idempotency key if there is one, then the message, then the answer."""

from collections.abc import Callable
from dataclasses import dataclass

import flask
import sqlalchemy.exc
from sqlalchemy.orm import Session

from models import failpoints, idempotency, jobs, session, transitions
from models.failpoints import Point
from models.job import Job
from models.job_states import JobStatus
from models.transitions import NewJob
from web import auth, idempotency_key, job_object, problem_types, problems, publishing, request_context, waiting
from web.idempotency_key import Key

# A key that is taken belongs to a committed job; it can be forgotten before we look, but not again and again.
ATTEMPTS = 3
RETRY_AFTER_IN_USE = "1"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job, and whether an earlier request with the same key has made it."""

    job: Job
    replayed: bool


class _KeyTakenError(Exception):
    """Ends a transaction whose key another request has taken meanwhile."""


def accept(make: Callable[[Session], NewJob], key: Key | None = None) -> Accepted:
    """Insert a job, or find the one that this key has made already.

    Args:
        make: says what to insert; it may be called more than once, each time with a new session.
        key: the caller's key, where there is one.

    Raises:
        problems.Problem: the key belongs to another request, or to one that is not decided yet.
    """
    accepted = Accepted(_accept_keyless(make), replayed=False) if key is None else _accept_keyed(make, key)
    if not accepted.replayed:
        failpoints.hit(Point.ACCEPT_AFTER_COMMIT)
    return accepted


def answer(accepted: Accepted, query_wait: int | None, *, unless_said: int = 0) -> flask.Response:
    """Publish the job and answer with it, after it has finished or the caller's patience has."""
    if accepted.job.status == JobStatus.QUEUED:
        publishing.publish(accepted.job)
    wait = waiting.wanted(query_wait, otherwise=unless_said)
    job, headers = waiting.until_finished(accepted.job, wait)
    replayed = {idempotency_key.REPLAYED_HEADER: "true"} if accepted.replayed else {}
    response = job_object.accepted(job, waited=wait.seconds > 0, headers={**headers, **replayed})
    failpoints.hit(Point.RESPOND)
    return response


def _accept_keyless(make: Callable[[Session], NewJob]) -> Job:
    """Insert a job by a statement that is a transaction of its own: the trip that brings it to the database commits it."""
    with session.statement() as db:
        new = make(db)
        # The connection comes first: where there is none to be had, nothing was accepted.
        db.connection()
        failpoints.hit(Point.ACCEPT_BEFORE_COMMIT)
        request_context.note_commit()
        try:
            return transitions.accept(db, new)
        except sqlalchemy.exc.DBAPIError as error:
            if session.was_refused(error):
                request_context.forget_commit()
            raise


def _accept_keyed(make: Callable[[Session], NewJob], key: Key) -> Accepted:
    """Insert a job together with its key, or find the one that the key has made already."""
    for _ in range(ATTEMPTS):
        try:
            return _accept_once(make, key)
        except _KeyTakenError:
            continue
        except idempotency.KeyInUseError as error:
            raise _in_use() from error
    raise _in_use()


def _accept_once(make: Callable[[Session], NewJob], key: Key) -> Accepted:
    organisation_id = auth.caller().organisation_id
    with session.transaction() as db:
        known = _known(db, key)
        if known is not None:
            return Accepted(known, replayed=True)
        job = transitions.accept(db, make(db))
        if not idempotency.take(db, organisation_id, key.text, request_sha256=key.request_sha256, job_id=job.id):
            raise _KeyTakenError
        failpoints.hit(Point.ACCEPT_BEFORE_COMMIT)
        # From here on an error of the database leaves it open whether the job was accepted.
        request_context.note_commit()
    return Accepted(job, replayed=False)


def _known(db: Session, key: Key) -> Job | None:
    organisation_id = auth.caller().organisation_id
    used = idempotency.find(db, organisation_id, key.text)
    if used is None:
        return None
    if used.request_sha256 != key.request_sha256:
        raise problems.Problem(
            problem_types.IDEMPOTENCY_KEY_REUSED,
            f"This key came with another request at {used.created_at:%Y-%m-%dT%H:%M:%SZ}. Nothing was accepted.",
        )
    return jobs.find(db, used.job_id, organisation_id=organisation_id)


def _in_use() -> problems.Problem:
    return problems.Problem(
        problem_types.IDEMPOTENCY_KEY_IN_USE,
        "Another request with this key is being decided at this moment. Send it again in a second.",
        headers={"Retry-After": RETRY_AFTER_IN_USE},
    )
