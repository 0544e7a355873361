"""The OpenAPI document: valid, complete, and true to the routes there are."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import openapi_spec_validator
import pydantic
import pytest

from models import outbox
from web import app, examples, openapi, operations, problem_types, schemas

# Pages for people; they are not part of the contract.
PAGES = {"/", "/docs", "/docs/problems", "/docs/problems/{slug}", "/static/{filename}"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    served = app.create_app().test_client().get("/openapi.json")
    assert served.status_code == 200
    read: dict[str, Any] = json.loads(served.data)
    return read


def test_it_is_valid(document: dict[str, Any]) -> None:
    openapi_spec_validator.validate(document)
    assert document["openapi"].startswith("3.1")


def test_it_has_every_route_and_no_other() -> None:
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.create_app().url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {(operation.path, operation.method) for operation in operations.ALL}
    assert {route for route in routes if route[0] not in PAGES} == described


def test_every_operation_that_needs_a_key_says_what_happens_without(document: dict[str, Any]) -> None:
    for operation in operations.ALL:
        responses = document["paths"][operation.path][operation.method]["responses"]
        assert "500" in responses
        if operation.scopes:
            assert {"401", "403", "503", "422"} <= set(responses)
        else:
            assert document["paths"][operation.path][operation.method]["security"] == []


def test_every_kind_of_problem_is_met_somewhere() -> None:
    met = {kind for operation in operations.ALL for kind in operation.all_problems}
    # No operation is found for these requests, or they are refused before any is looked for.
    unrouted = {
        problem_types.METHOD_NOT_ALLOWED,
        problem_types.REQUEST_LINE_TOO_LONG,
        problem_types.HEADERS_TOO_LARGE,
    }
    assert met | unrouted == set(problem_types.ALL)


def test_operation_ids_are_distinct() -> None:
    names = [operation.name for operation in operations.ALL]
    assert len(names) == len(set(names))


def test_every_post_that_makes_a_job_takes_an_idempotency_key(document: dict[str, Any]) -> None:
    makers = {
        operation.path for operation in operations.ALL if 202 in operation.replies and "cancel" not in operation.path
    }
    assert makers == {
        *("/v1/reports", "/v1/imports", "/v1/imports/preview", "/v1/datasets/{name}/restore"),
        "/v1/customers/{customer_id}",
        *(f"/v1/{kind}/{{job_id}}/rerun" for kind in ("reports", "imports", "jobs")),
        "/v1/schedules/{schedule_id}/run",
        *("/v1/deliveries/{delivery_id}/redeliver", "/v1/webhooks/{webhook_id}/test"),
    }
    for path in makers:
        methods = document["paths"][path]
        operation = methods.get("post") or methods["delete"]
        assert "Idempotency-Key" in {parameter["name"] for parameter in operation["parameters"]}
        assert "Idempotent-Replayed" in operation["responses"]["202"]["headers"]
        for status, slug in (("409", "key-in-use"), ("422", "key-reused"), ("503", "outcome-unknown")):
            assert slug in operation["responses"][status]["description"]


def test_only_the_bodies_of_cancellations_and_files_may_be_left_out(document: dict[str, Any]) -> None:
    required = {
        path: methods["post"]["requestBody"]["required"]
        for path, methods in document["paths"].items()
        if "requestBody" in methods.get("post", {})
    }
    without = {path for path in required if "cancel" in path} | {"/v1/imports", "/v1/imports/preview"}
    without |= {path for path in required if path.endswith(("/pause", "/run", "/rotate", "/rotate-secret"))}
    without |= {f"/v1/schedules/{{schedule_id}}/{path}" for path in ("preview-deliveries", "alerts/preview")}
    assert {path for path, needed in required.items() if not needed} == without


@pytest.mark.parametrize("name", sorted(examples.OF_MODEL))
def test_examples_are_what_they_illustrate(name: str, document: dict[str, Any]) -> None:
    model: type[pydantic.BaseModel] = getattr(schemas, name)
    model.model_validate(examples.OF_MODEL[name])
    assert document["components"]["schemas"][name]["examples"]


def test_the_parameters_of_every_report_type_are_described(document: dict[str, Any]) -> None:
    body = document["paths"]["/v1/reports"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    types = {variant["properties"]["type"]["const"] for variant in body["allOf"][1]["oneOf"]}
    assert types >= {"rfm", "cohort_retention", "revenue_trend"}
    assert "bins" in document["components"]["schemas"]["RfmParams"]["properties"]


def test_the_pages_for_people_need_no_network() -> None:
    client = app.create_app().test_client()
    for path in ("/", "/docs", "/docs/problems", "/docs/problems/empty-file"):
        page = client.get(path)
        assert page.status_code == 200
        assert not re.search(r'(src|href)="(https?:)?//', page.text)
        assert "<script" not in page.text
    docs = client.get("/docs").text
    for operation in operations.ALL:
        assert f'id="{operation.name}"' in docs
    for target in set(re.findall(r'href="#([^"]+)"', docs)):
        assert f'id="{target}"' in docs
    with client.get("/static/reckoner.css") as style:
        assert style.status_code == 200


def test_building_it_twice_gives_the_same() -> None:
    first = json.dumps(openapi.document())
    openapi.document.cache_clear()
    assert json.dumps(openapi.document()) == first


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for methods in (*document["paths"].values(), *document["webhooks"].values()):
        for operation in methods.values():
            yield operation["operationId"], operation


def _examples_in(part: dict[str, Any]) -> list[Any]:
    """All examples of a parameter, or of a body in one media type; where a file is counts, too."""
    named = [one.get("value", one.get("externalValue")) for one in part.get("examples", {}).values()]
    return [part["example"], *named] if "example" in part else named


def test_everything_that_is_sent_or_answered_has_an_example(document: dict[str, Any]) -> None:
    files = {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "application/vnd.apache.parquet"}
    for name, operation in _operations(document):
        for parameter in operation["parameters"]:
            (holder,) = parameter.get("content", {"": parameter}).values()
            assert _examples_in(holder) not in ([], [None]), (name, parameter["name"])
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            assert _examples_in(content) not in ([], [None]) or media_type in files, (name, media_type)
        for status, response in operation["responses"].items():
            for media_type, content in response.get("content", {}).items():
                assert _examples_in(content) not in ([], [None]), (name, status, media_type)


def test_every_example_is_what_its_schema_says(document: dict[str, Any]) -> None:
    for name, operation in _operations(document):
        parts = [*operation["parameters"], operation.get("requestBody", {}), *operation["responses"].values()]
        for part in parts:
            for holder in part["content"].values() if "content" in part else [part] if "schema" in part else []:
                schema = {**holder["schema"], "components": document["components"]}
                judge = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
                values = [holder["example"]] if "example" in holder else []
                values += [one["value"] for one in holder.get("examples", {}).values() if "value" in one]
                for value in values:
                    wrong = [f"{error.json_path}: {error.message}" for error in judge.iter_errors(value)]
                    assert not wrong, (name, wrong)


def test_types_of_one_name_stay_apart(document: dict[str, Any]) -> None:
    """A measure of `aggregate` is an object, one of `cohort_retention` a word."""
    parts = document["components"]["schemas"]
    of = {
        name: parts[name]["properties"][member]
        for name, member in (("AggregateParams", "measures"), ("CohortRetentionParams", "measure"))
    }
    assert parts[of["AggregateParams"]["items"]["$ref"].rsplit("/", 1)[-1]]["type"] == "object"
    assert parts[of["CohortRetentionParams"]["$ref"].rsplit("/", 1)[-1]]["type"] == "string"


def test_a_report_needs_parameters_only_where_its_type_does(document: dict[str, Any]) -> None:
    body = document["paths"]["/v1/reports"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    judge = jsonschema.Draft202012Validator({**body, "components": document["components"]})
    assert judge.is_valid({"type": "rfm"})
    assert not judge.is_valid({"type": "aggregate"})
    assert judge.is_valid({"type": "aggregate", "params": {"dataset": "orders", "measures": [{"op": "count"}]}})
    assert not judge.is_valid({"type": "aggregate", "params": {"dataset": "orders", "measures": ["orders"]}})


def test_every_event_that_is_sent_is_described(document: dict[str, Any]) -> None:
    assert set(document["webhooks"]) == {event.value for event in outbox.EventType}
