"""Reads a JSON object from the request and refuses what could not be stored or would mean different things to two readers."""

import json
import math
from collections.abc import Sequence
from typing import Any, TypeVar

import flask
import pydantic
import werkzeug.exceptions

from web import body_errors, problem_types, problems

Body = TypeVar("Body", bound=pydantic.BaseModel)

MAX_DEPTH = 64
# Above it a float stands for more than one integer.
LARGEST_EXACT = 2**53


def read(*, also: str | None = None) -> dict[str, Any]:
    """Return the body, which must be one JSON object.

    Args:
        also: a media type that is taken as well as `application/json`.

    Raises:
        problems.Problem: another media type, malformed JSON, or not an object.
    """
    if flask.request.mimetype not in {"application/json", also}:
        raise problems.Problem(
            problem_types.UNSUPPORTED_MEDIA_TYPE,
            "Send the body as `Content-Type: application/json`.",
            headers={"Accept": "application/json"},
        )
    value = parse(_receive())
    if not isinstance(value, dict):
        raise _malformed('The body must be a JSON object, such as {"type": "rfm"}.')
    return value


def read_if_any() -> dict[str, Any]:
    """Return the body, where there may be none: then it is as good as `{}`.

    Raises:
        problems.Problem: as `read` does.
    """
    return {} if flask.request.content_length in {None, 0} and not _is_chunked() else read()


def validated(model: type[Body], raw: dict[str, Any]) -> Body:
    """Return what a body says.

    Raises:
        problems.Problem: it is not what the model describes; each wrong field is named.
    """
    try:
        return model.model_validate(raw)
    except pydantic.ValidationError as error:
        raise problems.invalid(error, raw, known=model.model_fields) from error


def _is_chunked() -> bool:
    return "chunked" in flask.request.headers.get("Transfer-Encoding", "").lower()


def _receive() -> bytes:
    promised = flask.request.content_length
    with body_errors.translated():
        received = flask.request.get_data(cache=False)
    # The beginning of a body may be JSON as well, and mean something else.
    if promised is not None and len(received) < promised:
        raise werkzeug.exceptions.ClientDisconnected
    return received


def parse(raw: bytes) -> Any:
    """Parse JSON strictly: UTF-8, no repeated keys, no NaN, nothing PostgreSQL's jsonb cannot hold."""
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_float=_number, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as error:
        raise _malformed(f"The body is not UTF-8 (byte {error.start}).") from error
    except json.JSONDecodeError as error:
        raise _malformed(f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from error
    except RecursionError as error:
        raise _malformed("The body is nested too deeply.") from error
    except ValueError as error:
        # Python refuses integers of thousands of digits, because reading them takes quadratic time.
        raise _malformed("The body holds a number that is too long.") from error
    _check(value, depth=0)
    return value


def storable(text: str) -> bool:
    """Tell whether PostgreSQL can hold a text: it has no NUL, and no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise _malformed(f"The body has the key {name!r} twice in one object.")
        members[name] = value
    return members


def _number(text: str) -> int | float:
    """JSON has one kind of number: 5.0 is the integer 5."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < LARGEST_EXACT else value


def _refuse_constant(name: str) -> Any:
    raise _malformed(f"The body holds {name}, which is not JSON.")


def _check(value: Any, *, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _malformed("The body is nested too deeply.")
    if isinstance(value, str) and not storable(value):
        raise _malformed("The body holds a NUL character or half of a surrogate pair, which cannot be stored.")
    if isinstance(value, float) and not math.isfinite(value):
        raise _malformed("The body holds a number that is too large.")
    if isinstance(value, dict):
        for name, member in value.items():
            _check(name, depth=depth)
            _check(member, depth=depth + 1)
    elif isinstance(value, list):
        for member in value:
            _check(member, depth=depth + 1)


def _malformed(detail: str) -> problems.Problem:
    return problems.Problem(problem_types.MALFORMED, detail)
