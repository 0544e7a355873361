"""RFC 9457: the exception a view raises, the problem document made of it, and JSON pointers for what pydantic refuses."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flask
import pydantic

from web import problem_types, request_context
from web.problem_types import ProblemType

MEDIA_TYPE = "application/problem+json"

# pydantic's names for what happens most, in words that mean something outside Python.
_CODES = {"extra_forbidden": "unknown-field", "missing": "missing"}


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field: where it is, a stable code, a sentence."""

    pointer: str
    code: str
    detail: str

    def as_json(self) -> dict[str, str]:
        return {"pointer": self.pointer, "code": self.code, "detail": self.detail}


class Problem(Exception):  # noqa: N818 - an answer, not an error of the program
    """Ends a request with a problem document.

    Attributes:
        kind: what it is, with its status.
        detail: a sentence for a person that says what happened and what to do.
        errors: the fields concerned, where there are any.
        headers: further headers of the answer.
        facts: further members of the document, for programs.
    """

    def __init__(
        self,
        kind: ProblemType,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.facts = dict(facts or {})


def document(problem: Problem, *, request_id: str) -> dict[str, Any]:
    return {
        "type": problem.kind.uri,
        "title": problem.kind.title,
        "status": problem.kind.status,
        "detail": problem.detail,
        "request_id": request_id,
        "errors": [error.as_json() for error in problem.errors],
        **problem.facts,
    }


def response(problem: Problem) -> flask.Response:
    """Turn a problem into the answer to the current request."""
    body = document(problem, request_id=request_context.request_id())
    answer = flask.Response(flask.json.dumps(body), status=problem.kind.status, content_type=MEDIA_TYPE)
    answer.headers.update(problem.headers)
    answer.headers.setdefault("Cache-Control", "no-store")
    return answer


def invalid(error: pydantic.ValidationError, raw: Any, *, base: str = "", known: Collection[str] = ()) -> Problem:
    """Make the problem that says which fields pydantic refused.

    Args:
        error: what pydantic raised.
        raw: what it was given; pointers are reckoned in it.
        base: where `raw` itself lies in the request, such as `/params`.
        known: names of the fields, to guess what an unknown one was meant to be.
    """
    errors = [
        FieldError(
            pointer=f"#{base}{pointer(one['loc'], raw, missing=one['type'] == 'missing')}",
            code=_CODES.get(one["type"], one["type"].replace("_", "-")),
            detail=_detail(one, known),
        )
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return refused(*errors)


def refused(*errors: FieldError) -> Problem:
    """Make the problem for fields that are wrong; its detail tells of the first and counts the others."""
    first = errors[0]
    others = f" ({len(errors) - 1} more in `errors`)" if len(errors) > 1 else ""
    detail = f"{first.pointer}: {first.detail}{others}"
    return Problem(problem_types.INVALID_REQUEST, detail, errors=errors)


def pointer(location: Sequence[str | int], raw: Any, *, missing: bool) -> str:
    """Return the JSON pointer (RFC 6901) of a location that pydantic reports.

    pydantic puts the names of union members between the keys; only what leads somewhere in the document belongs in a
    pointer, or the last part where it names what is missing.
    """
    parts: list[str] = []
    value = raw
    for position, part in enumerate(location):
        if _leads_on(value, part):
            value = value[part]
            parts.append(str(part))
        elif missing and position == len(location) - 1:
            parts.append(str(part))
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def closest(name: str, known: Collection[str]) -> str | None:
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return matches[0] if matches else None


def _leads_on(value: Any, part: str | int) -> bool:
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value)


def _detail(error: Mapping[str, Any], known: Collection[str]) -> str:
    if error["type"] != "extra_forbidden":
        message = str(error["msg"]).removeprefix("Value error, ")
        return message if message.endswith(".") else f"{message}."
    name = str(error["loc"][-1])
    guess = closest(name, known)
    return f"There is no field {name!r} here." + (f" Did you mean {guess!r}?" if guess else "")
