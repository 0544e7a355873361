"""The table of problems and the pointers into what was sent."""

import re
from typing import Any

import flask
import pydantic
import pytest
import sqlalchemy.exc
import werkzeug.exceptions

from web import app, errors, problem_types, problems
from workers import refusals


class Leaf(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    column: str


class Both(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    both: list["Leaf | Both"]


class Body(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    bins: int = 5
    filter: Leaf | Both | None = None


def refuse(raw: Any) -> problems.Problem:
    with pytest.raises(pydantic.ValidationError) as refused:
        Body.model_validate(raw)
    return problems.invalid(refused.value, raw, base="/params", known=Body.model_fields)


def test_every_kind_is_distinct_and_says_what_to_do() -> None:
    assert len(problem_types.BY_SLUG) == len(problem_types.ALL)
    for kind in problem_types.ALL:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.slug)
        assert 400 <= kind.status < 600
        assert kind.remedy.endswith(".")
    listed = {value for value in vars(problem_types).values() if isinstance(value, problem_types.ProblemType)}
    assert listed == set(problem_types.ALL)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (sqlalchemy.exc.OperationalError("select", {}, Exception()), problem_types.DATABASE_UNAVAILABLE),
        (sqlalchemy.exc.InterfaceError("select", {}, Exception()), problem_types.DATABASE_UNAVAILABLE),
        (sqlalchemy.exc.TimeoutError(), problem_types.DATABASE_UNAVAILABLE),
        (sqlalchemy.exc.IntegrityError("insert", {}, Exception()), problem_types.INTERNAL_ERROR),
        (werkzeug.exceptions.NotFound(), problem_types.NOT_FOUND),
        (werkzeug.exceptions.MethodNotAllowed(["GET"]), problem_types.METHOD_NOT_ALLOWED),
        (werkzeug.exceptions.RequestEntityTooLarge(), problem_types.TOO_LARGE),
        (werkzeug.exceptions.ClientDisconnected(), problem_types.INCOMPLETE_BODY),
        (werkzeug.exceptions.RequestTimeout(), problem_types.REQUEST_TIMEOUT),
        (werkzeug.exceptions.BadRequest(), problem_types.MALFORMED),
        (TimeoutError(), problem_types.INTERNAL_ERROR),
        (RuntimeError("secret"), problem_types.INTERNAL_ERROR),
    ],
)
def test_every_exception_has_its_problem(error: Exception, kind: problem_types.ProblemType) -> None:
    with flask.Flask(__name__).test_request_context("/"):
        problem = errors.problem_for(error)
    assert problem.kind is kind
    assert "secret" not in problem.detail


@pytest.mark.parametrize("why", refusals.Why)
def test_every_refusal_of_planned_work_is_the_problem_of_its_name(why: refusals.Why) -> None:
    field = problems.FieldError("#/type", "wrong", "It is wrong.")
    problem = errors.problem_for(refusals.RefusedError(why, "No.", errors=[field], facts={"known": ["rfm"]}))
    assert (problem.kind.slug, problem.detail) == (why.value, "No.")
    assert (problem.errors, problem.facts) == ((field,), {"known": ["rfm"]})


def test_pointers_lead_through_the_document_and_not_through_python() -> None:
    problem = refuse({"filter": {"both": [{"column": "a"}, {"both": [{"column": 5}]}]}})
    pointers = {error.pointer for error in problem.errors}
    assert "#/params/filter/both/1/both/0/column" in pointers
    assert not any("Leaf" in pointer or "Both" in pointer for pointer in pointers)


def test_what_is_missing_is_pointed_at_where_it_should_be() -> None:
    problem = refuse({"filter": {}})
    assert {error.pointer for error in problem.errors} == {"#/params/filter/column", "#/params/filter/both"}
    assert {error.code for error in problem.errors} == {"missing"}


def test_pointers_are_escaped_and_unknown_fields_guessed() -> None:
    assert refuse({"a/b~c": 1}).errors[0].pointer == "#/params/a~1b~0c"
    unknown = refuse({"bin": 1}).errors[0]
    assert (unknown.pointer, unknown.code) == ("#/params/bin", "unknown-field")
    assert "Did you mean 'bins'?" in unknown.detail


def test_the_detail_tells_the_first_error_and_counts_the_others() -> None:
    problem = refuse({"bins": "x", "more": 1})
    assert problem.detail.startswith("#/params/bins: ")
    assert "1 more" in problem.detail


def test_what_was_sent_is_not_repeated() -> None:
    assert all("hunter2" not in error.detail for error in refuse({"bins": "hunter2"}).errors)


def test_the_document_has_the_members_of_the_contract() -> None:
    application = app.create_app()
    answer = application.test_client().get("/nowhere", headers={"X-Request-Id": "r-1"})
    assert answer.content_type == "application/problem+json"
    assert answer.json == {
        "type": "/docs/problems/not-found",
        "title": problem_types.NOT_FOUND.title,
        "status": 404,
        "detail": "There is nothing at /nowhere. /docs lists what there is.",
        "request_id": "r-1",
        "errors": [],
    }
    assert application.test_client().get("/docs/problems/not-found").status_code == 200


def test_a_bug_is_told_without_its_trace() -> None:
    application = app.create_app()

    @application.get("/bug")
    def bug() -> str:
        raise ValueError("customer 4711")

    answer = application.test_client().get("/bug")
    assert answer.status_code == 500
    assert "4711" not in answer.text
    assert answer.headers["X-Request-Id"] in answer.text
