"""Waiting for a job on a caller's behalf: `Prefer: wait=N` or `?wait=N`. No connection to the database is held meanwhile.

RFC 7240 is followed: `respond-async` asks for an answer at once, and beside `wait=N` for one after N seconds.
"""

import functools
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import flask
import sqlalchemy.exc

from models import jobs, session, settings
from models.job import Job
from models.job_glances import Glance
from web import lookout, schemas, seats

_WAIT = re.compile(r"""wait\s*=\s*"?(\d{1,9})"?\s*(?:;.*)?""", re.IGNORECASE)
_RESPOND_ASYNC = re.compile(r"""respond-async\s*(?:=\s*""\s*)?(?:;.*)?""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to wait, and how the caller said so where that is to be said back."""

    seconds: int
    preferred: str | None = None
    respond_async: bool = False

    def headers(self, *, waited: bool, finished: bool) -> dict[str, str]:
        """Say which preferences were followed."""
        applied = [
            *(["respond-async"] if self.respond_async and not finished else []),
            *([self.preferred] if self.preferred is not None and waited else []),
        ]
        return {"Preference-Applied": ", ".join(applied)} if applied else {}


def wanted(query_wait: int | None, *, otherwise: int = 0) -> Wait:
    """Return how long the caller wants to wait; the query wins over the header, whose longer wishes are cut to the limit.

    `otherwise` is for callers who say nothing.
    """
    # A header that comes more than once has been joined by the server. The first of a kind counts, as the RFC has it.
    preferences = [one.strip() for one in flask.request.headers.get("Prefer", "").split(",")]
    respond_async = flask.request.method == "POST" and any(map(_RESPOND_ASYNC.fullmatch, preferences))
    if query_wait is not None:
        return Wait(query_wait, respond_async=respond_async)
    match = next(filter(None, map(_WAIT.fullmatch, preferences)), None)
    if match is not None:
        seconds = min(int(match[1]), schemas.LONGEST_WAIT)
        return Wait(seconds, preferred=f"wait={seconds}", respond_async=respond_async)
    return Wait(0 if respond_async else otherwise, respond_async=respond_async)


def until_finished(job: Job, wait: Wait) -> tuple[Job, dict[str, str]]:
    """Wait for a job to finish, at most as long as wanted.

    Returns:
        The job as it is then, and the headers that tell whether the preferences were followed.
    """
    waited = True
    if wait.seconds > 0 and job.finished_at is None:
        with place() as found:
            waited = found
            if found:
                job = _wait(job, wait.seconds)
    return job, wait.headers(waited=waited, finished=job.finished_at is not None)


@contextmanager
def place() -> Iterator[bool]:
    """Have a place among those who wait, or see that all are taken: an answer at once is then the better service."""
    found = _places().acquire(blocking=False)
    try:
        yield found
    finally:
        if found:
            _places().release()


def _wait(job: Job, seconds: int) -> Job:
    with seats.away():
        lookout.of_process().wait(job.id, is_news=_is_over, seconds=seconds)
    try:
        with session.statement() as db:
            return jobs.find(db, job.id, organisation_id=job.organisation_id) or job
    except (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError):
        # The job is accepted and kept: what was known of it is still a true answer.
        return job


def _is_over(glance: Glance | None) -> bool:
    return glance is None or glance.is_final


@functools.cache
def _places() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(settings.load().web_watchers)
