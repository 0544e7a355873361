"""Deleted reports: what goes, what stays, and what is said of them afterwards."""

import uuid
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy

from models import job_retention, jobs, session
from models.api_key import Scope
from tests.integration import web_api
from tests.integration.web_api import Answer, Caller
from web import problem_types

TABLE = pa.table({"n": list(range(2500))})
RFM = {"type": "rfm", "params": {"bins": 4}, "label": "Board"}


def delete(caller: Caller, job: dict[str, Any]) -> Answer:
    return caller.call("DELETE", job["links"]["self"], Authorization=f"Bearer {caller.secret}")


def gone(answer: Answer) -> dict[str, Any]:
    document: dict[str, Any] = answer.json
    assert (answer.status_code, document["type"]) == (410, problem_types.GONE.uri), answer.text
    return document


@pytest.fixture
def job(ready: Caller) -> dict[str, Any]:
    accepted: dict[str, Any] = ready.post("/v1/reports", RFM, Idempotency_Key="k").json
    web_api.finish(accepted["id"], TABLE, outcome={"row_count": 2500})
    return accepted


def test_a_deleted_report_is_gone_everywhere(ready: Caller, job: dict[str, Any]) -> None:
    other = ready.post("/v1/reports", {"type": "rfm"}).json
    answer = delete(ready, job)
    assert (answer.status_code, answer.data) == (204, b"")
    here = job["links"]["self"]
    for path in ("", "/result", "/result?format=csv", "/manifest", f"/diff?against={other['id']}", "?wait=1"):
        assert gone(ready.get(here + path))["deleted_at"].endswith("Z")
    for path in ("cancel", "rerun"):
        gone(ready.post(f"{here}/{path}"))
    gone(ready.get(f"/v1/jobs/{job['id']}"))
    for listed in ("/v1/reports", "/v1/jobs?kind=report", "/v1/reports?status=succeeded"):
        assert job["id"] not in [one["id"] for one in ready.get(listed).json["data"]]


def test_deleting_again_is_no_error(ready: Caller, job: dict[str, Any]) -> None:
    assert [delete(ready, job).status_code for _ in range(3)] == [204] * 3
    with session.transaction() as db:
        events = [event for event in jobs.events(db, uuid.UUID(job["id"])) if event.reason == "deleted"]
    assert [(event.actor, event.to_status) for event in events] == [(f"key {ready.secret[:10]}", "succeeded")]


def test_nothing_that_was_asked_or_answered_is_kept(ready: Caller, job: dict[str, Any]) -> None:
    delete(ready, job)
    kept = web_api.row(job["id"])
    assert (kept.status, kept.params, kept.label, kept.outcome, kept.dataset_versions) == ("succeeded", {}, *[None] * 3)
    assert (kept.reuse_key, kept.expires_at) == (None, None)
    assert kept.deleted_at is not None
    with session.transaction() as db:
        for table in ("results", "result_chunks"):
            query = sqlalchemy.text(f"SELECT count(*) FROM {table} WHERE job_id = :job")
            assert db.scalar(query, {"job": kept.id}) == 0


def test_a_deleted_result_is_not_reused_and_its_key_stays_used_up(ready: Caller, job: dict[str, Any]) -> None:
    delete(ready, job)
    gone(ready.post("/v1/reports", RFM, Idempotency_Key="k"))
    again = ready.post("/v1/reports", RFM)
    assert (again.status_code, again.json["reused"]) == (202, False)


@pytest.mark.parametrize("running", [False, True])
def test_an_unfinished_job_is_cancelled_first(ready: Caller, *, running: bool) -> None:
    job = ready.post("/v1/reports", RFM).json
    if running:
        web_api.start(job["id"])
    answer = delete(ready, job)
    assert (answer.status_code, answer.json["type"]) == (409, "/docs/problems/not-ready"), answer.text
    assert "cancel it first" in answer.json["detail"]
    assert ready.get(job["links"]["self"]).status_code == 200
    ready.post(job["links"]["cancel"])
    assert delete(ready, job).status_code == (409 if running else 204)


def test_who_may_delete(ready: Caller, job: dict[str, Any]) -> None:
    reader = web_api.another_key(ready, Scope.REPORTS_READ)
    assert delete(reader, job).status_code == 403
    stranger = web_api.new_caller(ready.http)
    assert delete(stranger, job).status_code == 404
    assert ready.get(job["links"]["self"]).status_code == 200
    writer = web_api.another_key(ready, Scope.REPORTS_WRITE)
    assert delete(writer, job).status_code == 204


def test_only_reports_are_deleted(ready: Caller, job: dict[str, Any]) -> None:
    imported = ready.send("/v1/imports?dataset=orders", web_api.CSV).json
    assert delete(ready, imported).status_code == 405
    as_report = {"links": {"self": f"/v1/reports/{imported['id']}"}}
    assert delete(ready, as_report).status_code == 404
    assert delete(ready, {"links": {"self": "/v1/reports/nonsense"}}).status_code == 404


def test_what_is_left_is_forgotten_with_other_finished_jobs(ready: Caller, job: dict[str, Any]) -> None:
    delete(ready, job)
    with session.transaction() as db:
        job_retention.remove(db, [uuid.UUID(job["id"])])
    assert ready.get(job["links"]["self"]).status_code == 404
