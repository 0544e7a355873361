"""What is checked of every answer beyond what Schemathesis checks by itself."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import schemathesis

from web import operations

PROBLEM = "application/problem+json"
UNPROCESSABLE = 422
# Codes of fields whose schema could have said, and does say, that they are wrong.
OF_SCHEMA = frozenset(
    {
        "missing",
        "unknown-field",
        "literal-error",
        "enum",
        "string-type",
        "string-too-short",
        "string-too-long",
        "string-pattern-mismatch",
        "int-type",
        "int-parsing",
        "float-type",
        "bool-type",
        "bool-parsing",
        "list-type",
        "dict-type",
        "too-short",
        "too-long",
        "greater-than",
        "greater-than-equal",
        "less-than",
        "less-than-equal",
        "uuid-parsing",
        "model-type",
    }
)


def register() -> None:
    schemathesis.check(what_the_schema_allows_is_refused_for_its_meaning_only)
    schemathesis.check(problems_are_documented_and_can_be_found_in_the_log)
    schemathesis.check(EveryOperationIsReached)


@functools.cache
def _documented() -> Mapping[str, frozenset[str]]:
    """Each operation's problems, by its id."""
    return {one.name: frozenset(kind.uri for kind in one.all_problems) for one in operations.ALL}


def what_the_schema_allows_is_refused_for_its_meaning_only(_context: Any, response: Any, case: Any) -> None:
    """A valid request may still ask for a version there is not; but no field of it may have the wrong type."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code != UNPROCESSABLE:
        return
    errors = response.json()["errors"]
    wrong = [error for error in errors if error["code"] in OF_SCHEMA and not _is_of_its_members(error, errors)]
    assert not wrong, f"the schema of the request allows what is refused: {wrong}"


def problems_are_documented_and_can_be_found_in_the_log(_context: Any, response: Any, case: Any) -> None:
    """Every answer has its request's id, and every problem is one that the operation says it may have."""
    (request_id,) = response.headers["x-request-id"]
    content_type = (response.headers.get("content-type") or [""])[0]
    assert response.status_code < 400 or content_type == PROBLEM or _is_readiness(case), content_type
    if content_type != PROBLEM:
        return
    problem = response.json()
    assert problem["request_id"] == request_id
    assert problem["status"] == response.status_code
    assert problem["detail"], "a problem says what happened"
    if response.status_code != 405 and case.method.lower() == case.operation.method.lower():
        assert problem["type"] in _documented()[_name(case)] | {"/docs/problems/not-found"}, problem["type"]


def _is_of_its_members(error: Mapping[str, str], errors: Sequence[Mapping[str, str]]) -> bool:
    """A list whose members are wrong is then too short."""
    return any(other["pointer"].startswith(f"{error['pointer']}/") for other in errors)


class EveryOperationIsReached:
    """Each operation was answered with success at least once: refusals alone prove little.

    Cancelling is not among them: no job there is unfinished, so that no stream and no wait lasts.
    """

    def __init__(self) -> None:
        self._asked: set[str] = set()
        self._reached: set[str] = set()

    def after_response(self, _context: Any, response: Any, case: Any) -> None:
        self._asked.add(case.operation.label)
        if 200 <= response.status_code < 400 and response.request.method == case.operation.method.upper():
            self._reached.add(case.operation.label)

    def after_run(self, _context: Any) -> None:
        never = sorted(one for one in self._asked - self._reached if not one.endswith("/cancel"))
        assert not never, f"never answered with success: {', '.join(never)}"


def _is_readiness(case: Any) -> bool:
    """Its 503 is the state itself, for probes, and no problem document."""
    return bool(case.path == "/readyz")


def _name(case: Any) -> str:
    return str(case.operation.definition.raw["operationId"])
