"""The one table from exceptions to problems. Whatever a view raises comes out as a problem document, never as a stack trace."""

import errno
from collections.abc import Callable

import flask
import sqlalchemy.exc
import structlog
import werkzeug.exceptions
from werkzeug.exceptions import HTTPException

from web import problem_types, problems, request_context
from workers.refusals import RefusedError

RETRY_SECONDS = "5"

log = structlog.get_logger("web.errors")


def _database_away(_error: Exception) -> problems.Problem:
    if request_context.may_be_accepted():
        return problems.Problem(
            problem_types.OUTCOME_UNKNOWN,
            "The database went away while the request was being accepted; it may be accepted or not. Send it again with the "
            f"same Idempotency-Key in {RETRY_SECONDS} seconds; without a key, look at GET /v1/jobs first.",
            headers={"Retry-After": RETRY_SECONDS},
        )
    return problems.Problem(
        problem_types.DATABASE_UNAVAILABLE,
        f"The database did not answer in time; nothing was accepted. Try again in {RETRY_SECONDS} seconds.",
        headers={"Retry-After": RETRY_SECONDS},
    )


def _no_such_route(_error: Exception) -> problems.Problem:
    return problems.Problem(
        problem_types.NOT_FOUND, f"There is nothing at {flask.request.path}. /docs lists what there is."
    )


def _method_not_allowed(error: Exception) -> problems.Problem:
    allowed = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
    return problems.Problem(
        problem_types.METHOD_NOT_ALLOWED,
        f"{flask.request.method} is not possible here; {allowed or 'nothing'} is.",
        headers={"Allow": allowed},
    )


def _too_large(_error: Exception) -> problems.Problem:
    limit = flask.request.max_content_length or 0
    return problems.Problem(
        problem_types.TOO_LARGE,
        f"The body may have at most {limit:,} bytes; nothing of it was kept.",
        facts={"max_bytes": limit},
    )


def _incomplete(_error: Exception) -> problems.Problem:
    return problems.Problem(problem_types.INCOMPLETE_BODY, "The body ended before it was complete; nothing was kept.")


def _timeout(_error: Exception) -> problems.Problem:
    return problems.Problem(problem_types.REQUEST_TIMEOUT, "No more of the body came for too long; nothing was kept.")


def _no_such_range(error: Exception) -> problems.Problem:
    length = getattr(error, "length", None)
    return problems.Problem(
        problem_types.RANGE_NOT_SATISFIABLE,
        f"The result in this format has {length:,} bytes." if length is not None else "There is no such part.",
        headers={"Content-Range": f"bytes */{length}"} if length is not None else {},
    )


def _malformed(error: Exception) -> problems.Problem:
    said = error.description if isinstance(error, HTTPException) else None
    return problems.Problem(problem_types.MALFORMED, said or "The request could not be read.")


def _internal(_error: Exception) -> problems.Problem:
    return problems.Problem(
        problem_types.INTERNAL_ERROR,
        f"An unforeseen error; the log has it under {request_context.request_id()}.",
    )


# The first row whose class fits decides; the last one fits everything.
TABLE: tuple[tuple[type[Exception], Callable[[Exception], problems.Problem]], ...] = (
    (sqlalchemy.exc.OperationalError, _database_away),
    (sqlalchemy.exc.InterfaceError, _database_away),
    (sqlalchemy.exc.InternalError, _database_away),
    (sqlalchemy.exc.TimeoutError, _database_away),
    (werkzeug.exceptions.NotFound, _no_such_route),
    (werkzeug.exceptions.MethodNotAllowed, _method_not_allowed),
    (werkzeug.exceptions.RequestEntityTooLarge, _too_large),
    (werkzeug.exceptions.ClientDisconnected, _incomplete),
    (werkzeug.exceptions.RequestTimeout, _timeout),
    (werkzeug.exceptions.RequestedRangeNotSatisfiable, _no_such_range),
    (werkzeug.exceptions.BadRequest, _malformed),
    (Exception, _internal),
)


def problem_for(error: Exception) -> problems.Problem:
    """Return the problem an exception means."""
    if isinstance(error, problems.Problem):
        return error
    if isinstance(error, RefusedError):
        return problems.of_refusal(error)
    make = next(make for kind, make in TABLE if isinstance(error, kind))
    return make(error)


def is_storage_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _answer(error: Exception) -> flask.typing.ResponseReturnValue:
    # A redirect that routing raises, to the address without the trailing slash, is an answer and no problem.
    if isinstance(error, HTTPException) and error.code is not None and error.code < 400:
        return error.get_response(flask.request.environ)
    problem = problem_for(error)
    if problem.kind is problem_types.INTERNAL_ERROR:
        log.error("unforeseen error", request_id=request_context.request_id(), exc_info=error)
    elif problem.kind in {problem_types.DATABASE_UNAVAILABLE, problem_types.OUTCOME_UNKNOWN}:
        log.warning(problem.kind.slug, request_id=request_context.request_id(), error=type(error).__name__)
    return problems.response(problem)


def register(app: flask.Flask) -> None:
    app.register_error_handler(Exception, _answer)
