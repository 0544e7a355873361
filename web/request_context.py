"""What is known of a request before anything is asked of it: its ids, for every answer, log line and job."""

import re
import uuid

import flask

# What may be repeated in a header and a log line without quoting it.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def open_context() -> None:
    """Give the request its id: the caller's `X-Request-Id` where it is sound, else a new one."""
    given = flask.request.headers.get("X-Request-Id", "")
    flask.g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def request_id() -> str:
    """Return the request's id; made here where the request failed before it was given one."""
    if "request_id" not in flask.g:
        open_context()
    return str(flask.g.request_id)


def note_commit() -> None:
    """Note that the transaction that accepts this request's job is being committed."""
    flask.g.commit_began = True


def forget_commit() -> None:
    """Note that the database has refused what would have accepted this request's job."""
    flask.g.commit_began = False


def may_be_accepted() -> bool:
    """Tell whether a job may have been accepted for this request, even if it ends in an error."""
    return bool(flask.g.get("commit_began", False))


def traceparent() -> str | None:
    """Return the caller's W3C trace context, if it is sound."""
    given = flask.request.headers.get("traceparent", "")
    return given if _TRACEPARENT.fullmatch(given) and not given.startswith("ff") else None
