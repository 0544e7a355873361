"""Waiting for a job on a caller's behalf: `Prefer: wait=N` or `?wait=N`. No connection to the database is held meanwhile."""

import functools
import re
import threading
import time
from dataclasses import dataclass

import flask
import sqlalchemy.exc

from models import jobs, session, settings
from models.job import Job
from web import schemas

# Looks at first come closer together than a small report takes, so that its asker waits hardly longer than it ran.
FIRST_PAUSE = 0.01
LONGEST_PAUSE = 0.2
PAUSE_GROWTH = 1.08

_PREFERENCE = re.compile(r"""\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;.*)?""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to wait, and how to say so on the answer."""

    seconds: int
    headers: dict[str, str]


def wanted(query_wait: int | None, *, otherwise: int = 0) -> Wait:
    """Return how long the caller wants to wait; the query wins over the header, whose longer wishes are cut to the limit.

    `otherwise` is for callers who say nothing.
    """
    if query_wait is not None:
        return Wait(query_wait, {})
    # A header that comes more than once has been joined by the server.
    for preference in flask.request.headers.get("Prefer", "").split(","):
        match = _PREFERENCE.fullmatch(preference)
        if match is not None:
            seconds = min(int(match[1]), schemas.LONGEST_WAIT)
            return Wait(seconds, {"Preference-Applied": f"wait={seconds}"})
    return Wait(otherwise, {})


def until_finished(job: Job, wait: Wait) -> tuple[Job, dict[str, str]]:
    """Wait for a job to finish, at most as long as wanted.

    Returns:
        The job as it is then, and the headers that tell whether the preference was followed.
    """
    if wait.seconds == 0 or job.finished_at is not None:
        return job, wait.headers
    # Those who wait must leave threads for those who submit; past that, an answer at once is the better service.
    if not _places().acquire(blocking=False):
        return job, {}
    try:
        return _poll(job, time.monotonic() + wait.seconds), wait.headers
    finally:
        _places().release()


def _poll(job: Job, deadline: float) -> Job:
    pause = FIRST_PAUSE
    while job.finished_at is None and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(pause, left))
        pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE)
        try:
            with session.transaction() as db:
                newer = jobs.find(db, job.id, organisation_id=job.organisation_id)
        except (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError):
            # The job is accepted and kept: what was known of it a moment ago is still a true answer.
            return job
        if newer is None:
            return job
        job = newer
    return job


@functools.cache
def _places() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(max(1, settings.load().web_threads * 3 // 4))
