"""One table that says which errors may pass by themselves and what the asker is told of each."""

import celery.exceptions
import kombu.exceptions
import sqlalchemy.exc
from sqlalchemy.orm.exc import StaleDataError

from analytics import errors as analytics_errors
from models.base import Json
from workers import job_problems

LONGEST_DETAIL = 2_000


class LeaseLostError(Exception):
    """Another attempt owns this job now: whatever this one did must not be written."""


class CancelledError(Exception):
    """Somebody asked for this job to stop."""


PERMANENT: tuple[type[BaseException], ...] = (analytics_errors.Refusal,)
"""Trying again cannot help: the data or the question has to change."""

DATABASE_AWAY: tuple[type[BaseException], ...] = (
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.TimeoutError,
    StaleDataError,
)
"""PostgreSQL restarted, or a lock, a timeout or the network was in the way."""

BROKER_AWAY: tuple[type[BaseException], ...] = (kombu.exceptions.OperationalError, OSError)
"""Redis does not answer, refuses, or is full."""

OUT_OF_TIME = (celery.exceptions.SoftTimeLimitExceeded,)


def problem(error: BaseException) -> Json:
    """Describe an error for the job's `error` member. Refusals speak for themselves; a stack trace is never shown."""
    if isinstance(error, analytics_errors.Refusal):
        return _describe(error.code, error.detail[:LONGEST_DETAIL]) | ({"data": error.data} if error.data else {})
    if isinstance(error, DATABASE_AWAY):
        detail = "The database could not be reached or was too busy. The job is tried again by itself."
        return _describe("database-unavailable", detail)
    return _describe("internal-error", f"{type(error).__name__}. The worker's log has the rest under this job's id.")


def _describe(slug: str, detail: str) -> Json:
    return {"type": slug, "title": job_problems.BY_SLUG[slug].title, "detail": detail}
