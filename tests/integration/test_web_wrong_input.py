"""Everything that is refused, and how: one problem document each that says what to do."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models import organisations, session, settings
from models.api_key import Scope
from models.organisation import Organisation
from tests.integration import web_api
from tests.integration.web_api import Answer, Caller
from web import app, known_keys


def problem(answer: Answer, status: int, slug: str) -> dict[str, Any]:
    """Check that an answer is a problem document of this kind, and return it."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    document: dict[str, Any] = answer.json
    assert document["type"] == f"/docs/problems/{slug}"
    assert document["status"] == status
    assert document["request_id"] == answer.headers["X-Request-Id"]
    assert document["title"]
    assert document["detail"]
    assert "Traceback" not in answer.text
    return document


def test_a_revoked_and_an_expired_key_are_worth_nothing(caller: Caller) -> None:
    with session.transaction() as db:
        organisation = db.get_one(Organisation, caller.organisation_id)
        expired = organisations.issue_key(
            db, organisation, name="old", scopes=[Scope.ADMIN], expires_at=datetime.now(UTC) - timedelta(seconds=1)
        )
        revoked = organisations.issue_key(db, organisation, name="lost", scopes=[Scope.ADMIN])
        assert organisations.revoke_key(db, revoked.key.id)
    for secret in (expired.secret, revoked.secret):
        problem(caller.call("GET", "/v1/jobs", Authorization=f"Bearer {secret}"), 401, "unauthenticated")


def test_a_key_that_was_just_used_is_worth_nothing_a_second_after_it_is_revoked(caller: Caller) -> None:
    with session.transaction() as db:
        organisation = db.get_one(Organisation, caller.organisation_id)
        key = organisations.issue_key(db, organisation, name="lost", scopes=[Scope.ADMIN])
    user = Caller(http=caller.http, organisation_id=caller.organisation_id, secret=key.secret)
    assert user.get("/v1/jobs").status_code == 200
    with session.transaction() as db:
        assert organisations.revoke_key(db, key.key.id)
    time.sleep(known_keys.SECONDS)
    problem(user.get("/v1/jobs"), 401, "unauthenticated")


def test_reading_is_not_writing_and_reports_are_not_datasets(caller: Caller) -> None:
    web_api.give_dataset(caller)
    report = caller.post("/v1/reports", {"type": "rfm"}).json["id"]
    imported = caller.send("/v1/imports?dataset=orders", web_api.CSV).json["id"]
    reader = web_api.another_key(caller, Scope.REPORTS_READ)
    problem(reader.post("/v1/reports", {"type": "rfm"}), 403, "insufficient-scope")
    problem(reader.post(f"/v1/jobs/{report}/cancel"), 403, "insufficient-scope")
    problem(reader.get(f"/v1/jobs/{imported}"), 403, "insufficient-scope")
    problem(reader.get("/v1/jobs?kind=import"), 403, "insufficient-scope")
    assert {job["kind"] for job in reader.get("/v1/jobs").json["data"]} == {"report"}
    importer = web_api.another_key(caller, Scope.DATASETS_WRITE)
    assert importer.get(f"/v1/imports/{imported}").status_code == 200
    problem(importer.post(f"/v1/jobs/{report}/cancel"), 403, "insufficient-scope")


def test_another_organisations_data_do_not_exist(caller: Caller) -> None:
    web_api.give_dataset(caller, "orders", version=3)
    caller.post("/v1/reports", {"type": "rfm"})
    stranger = web_api.new_caller(caller.http)
    for path in ("/v1/jobs", "/v1/reports", "/v1/imports", "/v1/datasets/orders/versions"):
        assert stranger.get(path).json["data"] == []
    assert not any(one["available"] for one in stranger.get("/v1/datasets").json["data"])
    problem(stranger.post("/v1/reports", {"type": "rfm"}), 422, "dataset-missing")


@pytest.mark.parametrize("job_id", ["1", "not-a-uuid", "%00", "0198c2f0-7a1e-7c55-9d2b-3f6c1d0a4e21"])
def test_no_such_job(caller: Caller, job_id: str) -> None:
    for collection in ("reports", "imports", "jobs"):
        problem(caller.get(f"/v1/{collection}/{job_id}"), 404, "not-found")


def test_a_report_is_not_an_import(caller: Caller) -> None:
    web_api.give_dataset(caller)
    job = caller.post("/v1/reports", {"type": "rfm"}).json["id"]
    problem(caller.get(f"/v1/imports/{job}"), 404, "not-found")
    problem(caller.post(f"/v1/imports/{job}/cancel"), 404, "not-found")


@pytest.mark.parametrize("path", ["/v1/nothing", "/v2/reports", "/v1/reports/", "//v1/reports", "/docs/nothing"])
def test_no_such_route(caller: Caller, path: str) -> None:
    problem(caller.get(path), 404, "not-found")


def test_no_such_report_type_or_dataset(caller: Caller) -> None:
    assert problem(caller.get("/v1/report-types/rfn"), 404, "not-found")["closest"] == "rfm"
    assert problem(caller.get("/v1/datasets/order"), 404, "not-found")["closest"] == "orders"
    problem(caller.get("/v1/datasets/order/versions"), 404, "not-found")
    problem(caller.get("/docs/problems/none"), 404, "not-found")


def test_the_wrong_method_names_the_right_ones(caller: Caller) -> None:
    answer = caller.call("DELETE", "/v1/reports")
    problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) >= {"GET", "POST"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"type": "rfm"',
        b"[1, 2",
        b'{"type": "rfm", "type": "rfm"}',
        b'{"type": NaN}',
        b'{"type": 1e999}',
        b'"rfm"',
        b"[]",
        b"\xff\xfe{}",
        b'{"type": "rfm", "label": "a\\u0000b"}',
        b'{"type": "rfm", "label": "\\ud800"}',
        b'{"type": "rfm", "params": {"\\u0000": 1}}',
        b"[" * 100_000,
        b'{"a":' * 200 + b"1" + b"}" * 200,
        b'{"type": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: body[:24],
)
def test_malformed_json(caller: Caller, body: bytes) -> None:
    problem(caller.send("/v1/reports", body, "application/json"), 400, "malformed-request")


def test_a_body_that_is_not_json_or_too_large(caller: Caller) -> None:
    problem(caller.send("/v1/reports", b"type=rfm", "application/x-www-form-urlencoded"), 415, "unsupported-media-type")
    problem(caller.send("/v1/reports", b"{}", "text/plain"), 415, "unsupported-media-type")
    problem(
        caller.send("/v1/imports?dataset=orders", b"--x--", "multipart/mixed; boundary=x"),
        415,
        "unsupported-media-type",
    )
    packed = caller.send("/v1/imports?dataset=orders", b"x", Content_Encoding="br")
    problem(packed, 415, "unsupported-media-type")
    large = caller.send("/v1/reports", b" " * (app.LARGEST_JSON_BODY + 1), "application/json")
    assert problem(large, 413, "too-large")["max_bytes"] == app.LARGEST_JSON_BODY


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "#/type", "missing"),
        ({"type": 5}, "#/type", "string-type"),
        ({"type": "rfm", "params": []}, "#/params", "dict-type"),
        ({"type": "rfm", "parameters": {}}, "#/parameters", "unknown-field"),
        ({"type": "rfm", "maximum_age": 0}, "#/maximum_age", "unknown-field"),
        ({"type": "rfm", "max_age": -1}, "#/max_age", "greater-than-equal"),
        ({"type": "rfm", "max_age": 1.5}, "#/max_age", "int-type"),
        ({"type": "rfm", "a/b~c": 1}, "#/a~1b~0c", "unknown-field"),
        ({"type": "rfm", "label": "x" * 201}, "#/label", "string-too-long"),
        ({"type": "rfm", "params": {"bins": "many"}}, "#/params/bins", "int-parsing"),
        ({"type": "rfm", "params": {"bins": 1}}, "#/params/bins", "greater-than-equal"),
        ({"type": "rfm", "params": {"bin": 5}}, "#/params/bin", "unknown-field"),
        ({"type": "rfm", "params": {"timezone": "Mars/Base"}}, "#/params/timezone", "timezone"),
        ({"type": "rfm", "params": {"segment_by": ["a", 5]}}, "#/params/segment_by/1", "string-type"),
        ({"type": "rfm", "dataset_versions": {"orders": "new"}}, "#/dataset_versions/orders", "int-parsing"),
        ({"type": "rfm", "dataset_versions": {"deals": 1}}, "#/dataset_versions/deals", "not-read"),
    ],
)
def test_wrong_fields_are_pointed_at(caller: Caller, body: object, pointer: str, code: str) -> None:
    web_api.give_dataset(caller)
    document = problem(caller.post("/v1/reports", body), 422, "invalid-request")
    assert (document["errors"][0]["pointer"], document["errors"][0]["code"]) == (pointer, code)
    assert caller.get("/v1/reports").json["data"] == []


def test_a_field_that_is_almost_right_is_guessed(caller: Caller) -> None:
    document = problem(caller.post("/v1/reports", {"type": "rfm", "params": {"bin": 5}}), 422, "invalid-request")
    assert "Did you mean 'bins'?" in document["detail"]


def test_an_unknown_report_type_is_answered_with_the_known_ones(caller: Caller) -> None:
    document = problem(caller.post("/v1/reports", {"type": "rmf"}), 422, "unknown-report-type")
    assert "rfm" in document["known"]
    assert document["closest"] == "rfm"


def test_a_report_without_its_data_says_what_to_import(caller: Caller) -> None:
    document = problem(caller.post("/v1/reports", {"type": "rfm"}), 422, "dataset-missing")
    assert document["missing"] == [["orders", "order_lines"]]
    assert "POST /v1/imports?dataset=orders" in document["detail"]


def test_a_version_that_is_not_there(caller: Caller) -> None:
    web_api.give_dataset(caller, "orders", version=3)
    body = {"type": "rfm", "dataset_versions": {"orders": 9}}
    document = problem(caller.post("/v1/reports", body), 422, "unknown-dataset-version")
    assert "newest is 3" in document["detail"]


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/v1/reports?limit=0", "limit"),
        ("/v1/reports?limit=101", "limit"),
        ("/v1/reports?limit=x", "limit"),
        ("/v1/reports?status=done", "status"),
        ("/v1/reports?type=%00", "type"),
        ("/v1/reports?cursor=abc", "cursor"),
        ("/v1/reports?cursor=%C3%A9", "cursor"),
        ("/v1/reports?offset=5", "offset"),
        ("/v1/reports?limit=1&limit=2", "limit"),
        ("/v1/jobs?kind=other", "kind"),
        ("/v1/datasets?page=2", "page"),
        ("/v1/report-types/rfm?x=1", "x"),
    ],
)
def test_wrong_query_parameters(caller: Caller, path: str, parameter: str) -> None:
    document = problem(caller.get(path), 422, "invalid-request")
    assert document["errors"][0]["pointer"] == f"#/query/{parameter}"


def test_waiting_too_long_is_an_error_in_the_query_and_a_cut_wish_in_the_header(caller: Caller) -> None:
    web_api.give_dataset(caller)
    job = caller.post("/v1/reports", {"type": "rfm"}).json
    problem(caller.get(f"{job['links']['self']}?wait=31"), 422, "invalid-request")
    caller.post(job["links"]["cancel"])
    answer = caller.get(job["links"]["self"], Prefer="wait=600")
    assert answer.headers["Preference-Applied"] == "wait=30"
    assert "Preference-Applied" not in caller.get(job["links"]["self"], Prefer="wait=soon").headers


def test_a_request_id_that_is_not_sound_is_replaced(caller: Caller) -> None:
    answer = caller.get("/healthz", X_Request_Id="a b{c}")
    assert answer.headers["X-Request-Id"] != "a b{c}"
    assert len(answer.headers["X-Request-Id"]) == 32


def test_without_a_database_nothing_is_accepted(
    database: settings.Settings, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.dispose()
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@/nothing?host=/nonexistent")
    settings.load.cache_clear()
    try:
        refused = caller.post("/v1/reports", {"type": "rfm"})
        state = caller.get("/readyz")
        alive = caller.get("/healthz")
    finally:
        monkeypatch.undo()
        settings.load.cache_clear()
        session.dispose()
    problem(refused, 503, "database-unavailable")
    assert int(refused.headers["Retry-After"]) >= 1
    assert (state.status_code, state.json["status"]) == (503, "unavailable")
    assert alive.status_code == 200
    assert caller.get("/readyz").json["status"] == "degraded"
