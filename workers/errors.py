"""One table that says which errors may pass by themselves and what the asker is told of each."""

import errno
import os

import celery.exceptions
import kombu.exceptions
import redis
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


class UnknownWorkError(Exception):
    """This worker's code is older than the job: another one will know what it is."""


PERMANENT: tuple[type[BaseException], ...] = (analytics_errors.Refusal,)
"""Trying again cannot help: the data or the question has to change."""

DATABASE_AWAY: tuple[type[BaseException], ...] = (
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.TimeoutError,
    StaleDataError,
)
"""PostgreSQL restarted, or a lock, a timeout or the network was in the way."""

BROKER_AWAY: tuple[type[BaseException], ...] = (kombu.exceptions.OperationalError, redis.RedisError, OSError)
"""Redis does not answer, refuses, or is full."""

# Classes of PostgreSQL's SQLSTATE, and single codes, that say that the server was in the way and not the statement:
# connections, resources, somebody stopped it; locks, deadlocks, serialization.
_INTERRUPTING_CLASSES = {"08", "53", "57"}
_INTERRUPTING_CODES = {"55P03", "40001", "40P01", "25006"}
# Of class 57: a statement that took too long would take too long again.
_STATEMENT_CANCELED = "57014"
_DISK_IN_THE_WAY = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE}
# What DuckDB and Delta raise has no number, only the system's words behind their own. Known by name: to import them is slow.
# Delta also raises an OSError that has words and no number.
_SPEAKING_OF_FILES = {("_duckdb", "IOException"), ("_internal", "DeltaError"), ("builtins", "OSError")}
_WORDS_OF_DISK = tuple(os.strerror(number) for number in sorted(_DISK_IN_THE_WAY))

OUT_OF_TIME = (celery.exceptions.SoftTimeLimitExceeded,)


def is_interruption(error: BaseException) -> bool:
    """Tell whether the database, the disk or an old worker was in the way, rather than the job: it is run again, uncounted."""
    if isinstance(error, UnknownWorkError | sqlalchemy.exc.TimeoutError):
        return True
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        return error.connection_invalidated or _interrupts(getattr(error.orig, "sqlstate", None), error)
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _DISK_IN_THE_WAY
    return _speaks_of_disk(error)


def _speaks_of_disk(error: BaseException) -> bool:
    kinds = {(kind.__module__, kind.__name__) for kind in type(error).__mro__}
    return bool(kinds & _SPEAKING_OF_FILES) and any(words in str(error) for words in _WORDS_OF_DISK)


def _interrupts(sqlstate: str | None, error: sqlalchemy.exc.DBAPIError) -> bool:
    if sqlstate is None:
        # The driver itself lost the connection, or never had one.
        return isinstance(error, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError)
    if sqlstate == _STATEMENT_CANCELED:
        return False
    return sqlstate[:2] in _INTERRUPTING_CLASSES or sqlstate in _INTERRUPTING_CODES


def problem(error: BaseException) -> Json:
    """Describe an error for the job's `error` member. Refusals speak for themselves; a stack trace is never shown."""
    if isinstance(error, analytics_errors.Refusal):
        return _describe(error.code, error.detail[:LONGEST_DETAIL]) | ({"data": error.data} if error.data else {})
    if isinstance(error, DATABASE_AWAY):
        return job_problems.database_away()
    if isinstance(error, UnknownWorkError):
        return _describe(
            "unknown-work", "No worker that knows this kind of work has taken it yet. It is kept until one does."
        )
    return _describe("internal-error", f"{type(error).__name__}. The worker's log has the rest under this job's id.")


def _describe(slug: str, detail: str) -> Json:
    return {"type": slug, "title": job_problems.BY_SLUG[slug].title, "detail": detail}
