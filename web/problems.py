"""RFC 9457: the exception a view raises, the problem document made of it, and JSON pointers for what pydantic refuses."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import flask
import pydantic

from web import problem_types, request_context
from web.problem_types import ProblemType
from workers import field_errors
from workers.refusals import RefusedError

MEDIA_TYPE = "application/problem+json"

# What the web says of a field is what a schedule says of it.
FieldError = field_errors.FieldError
closest = field_errors.closest


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
    return refused(*field_errors.of_validation(error, raw, base=base, known=known))


def refused(*errors: FieldError) -> Problem:
    """Make the problem for fields that are wrong; its detail tells of the first and counts the others."""
    return Problem(problem_types.INVALID_REQUEST, field_errors.summary(errors), errors=errors)


def of_refusal(refusal: RefusedError) -> Problem:
    """Make the problem that a refusal of what was asked for means."""
    kind = problem_types.BY_SLUG[refusal.why]
    return Problem(kind, refusal.detail, errors=refusal.errors, facts=refusal.facts)
