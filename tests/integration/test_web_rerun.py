"""Running jobs again, cancelling them with a reason, and their priority."""

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy

from models import jobs, session, transitions
from models.api_key import Scope
from models.job import Job
from models.job_states import Reason
from tests.integration import web_api
from tests.integration.web_api import CSV, Answer, Caller
from web import problem_types
from workers import retention

TABLE = pa.table({"n": [1]})
OLD = retention.YOUNG_SECONDS + 60


def expect(answer: Answer, kind: problem_types.ProblemType) -> dict[str, Any]:
    document: dict[str, Any] = answer.json
    assert (answer.status_code, document["type"]) == (kind.status, kind.uri), answer.text
    return document


def finished_report(caller: Caller, **body: Any) -> dict[str, Any]:
    job: dict[str, Any] = caller.post("/v1/reports", {"type": "rfm", "max_age": 0, **body}).json
    web_api.finish(job["id"], TABLE)
    return job


def import_(caller: Caller, **headers: str) -> dict[str, Any]:
    job: dict[str, Any] = caller.send("/v1/imports?dataset=orders&mode=append&priority=2", CSV, **headers).json
    return job


def fail(job_id: str) -> None:
    job = web_api.start(job_id)
    with session.transaction() as db:
        assert transitions.fail(
            db, job.id, attempt=job.attempt, reason=Reason.PERMANENT_ERROR, error={"type": "not-csv"}
        )


def change(job_id: str, **values: Any) -> None:
    with session.transaction() as db:
        db.execute(sqlalchemy.update(Job).where(Job.id == job_id).values(**values))


def test_a_report_again_reads_the_newest_data(ready: Caller) -> None:
    old = finished_report(ready, params={"bins": 4}, label="Q1", priority=8)
    before = ready.get(old["links"]["self"]).json
    web_api.give_dataset(ready, "orders", version=4)
    web_api.give_dataset(ready, "customers", version=1)
    answer = ready.post(old["links"]["rerun"], X_Request_Id="again-1")
    assert answer.status_code == 202, answer.text
    new = answer.json
    assert answer.headers["Location"] == f"/v1/reports/{new['id']}"
    assert new["id"] != old["id"]
    assert {name: new[name] for name in ("type", "params", "label", "priority", "status")} == {
        "type": "rfm",
        "params": old["params"],
        "label": "Q1",
        "priority": 8,
        "status": "queued",
    }
    kept = web_api.row(new["id"])
    assert kept.dataset_versions == {"orders": 4, "customers": 1}
    assert kept.request_id == "again-1"
    assert ready.get(old["links"]["self"]).json == before


def test_a_pinned_report_reads_what_it_read(ready: Caller) -> None:
    old = finished_report(ready)
    web_api.give_dataset(ready, "orders", version=4)
    answer = ready.post(f"/v1/jobs/{old['id']}/rerun?pinned=true")
    assert web_api.row(answer.json["id"]).dataset_versions == {"orders": 3}


def test_a_rerun_can_be_waited_for_and_takes_a_key(ready: Caller) -> None:
    old = finished_report(ready)
    first = ready.post(old["links"]["rerun"], Idempotency_Key="k")
    web_api.finish(first.json["id"], TABLE)
    again = ready.post(f"{old['links']['rerun']}?wait=1", Idempotency_Key="k")
    assert (again.status_code, again.json["id"]) == (200, first.json["id"])
    assert again.headers["Idempotent-Replayed"] == "true"
    other = ready.post(f"{old['links']['rerun']}?pinned=true", Idempotency_Key="k")
    expect(other, problem_types.IDEMPOTENCY_KEY_REUSED)
    expect(ready.post("/v1/reports", {"type": "rfm"}, Idempotency_Key="k"), problem_types.IDEMPOTENCY_KEY_REUSED)


def test_only_finished_jobs_are_run_again(ready: Caller) -> None:
    for job in (ready.post("/v1/reports", {"type": "rfm"}).json, import_(ready)):
        answer = ready.post(job["links"]["rerun"])
        assert expect(answer, problem_types.NOT_READY)["job_status"] == "queued"
        assert int(answer.headers["Retry-After"]) >= 1
        web_api.start(job["id"])
        expect(ready.post(job["links"]["rerun"]), problem_types.NOT_READY)


def test_what_this_release_does_not_know_is_not_run_again(ready: Caller) -> None:
    gone, changed = finished_report(ready), finished_report(ready)
    change(gone["id"], type="horoscope")
    change(changed["id"], params={**changed["params"], "moon": "full"})
    assert "horoscope" in expect(ready.post(gone["links"]["rerun"]), problem_types.NOT_REPEATABLE)["detail"]
    assert "moon" in expect(ready.post(changed["links"]["rerun"]), problem_types.NOT_REPEATABLE)["detail"]


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_an_import_again_has_the_file_under_its_own_name(caller: Caller, folder: Path, end: str) -> None:
    old = import_(caller)
    if end == "failed":
        fail(old["id"])
    else:
        caller.post(old["links"]["cancel"])
    os.utime(folder / old["id"], (0, 0))
    answer = caller.post(old["links"]["rerun"])
    assert answer.status_code == 202, answer.text
    new = answer.json
    assert (new["params"], new["type"], new["priority"]) == (old["params"], "orders", 2)
    assert web_api.row(new["id"]).upload == web_api.row(old["id"]).upload
    assert time.time() - (folder / new["id"]).stat().st_mtime < OLD, "upkeep could take it before the commit"
    (folder / old["id"]).unlink()
    assert (folder / new["id"]).read_bytes() == CSV


def test_an_import_whose_file_is_gone_is_not_run_again(caller: Caller, folder: Path) -> None:
    failed, succeeded = import_(caller), import_(caller)
    fail(failed["id"])
    web_api.finish(succeeded["id"], TABLE)
    for job in (failed, succeeded):
        (folder / job["id"]).unlink()
        document = expect(caller.post(job["links"]["rerun"]), problem_types.UPLOAD_GONE)
        assert "POST /v1/imports" in document["detail"]
    assert len(caller.get("/v1/imports").json["data"]) == 2


def test_who_may_not_write_may_not_run_again(ready: Caller) -> None:
    old = finished_report(ready)
    for scope in (Scope.REPORTS_READ, Scope.DATASETS_WRITE):
        expect(web_api.another_key(ready, scope).post(f"/v1/jobs/{old['id']}/rerun"), problem_types.INSUFFICIENT_SCOPE)


def test_files_are_kept_as_long_as_a_job_may_need_them(caller: Caller, folder: Path) -> None:
    queued, fresh, stale, cancelled, done = (import_(caller)["id"] for _ in range(5))
    caller.post(f"/v1/imports/{cancelled}/cancel")
    for job_id in (fresh, stale):
        fail(job_id)
    web_api.finish(done, TABLE)
    with session.transaction() as db:
        # The guard of final states has to look away for a job to be old.
        db.execute(sqlalchemy.text("SET LOCAL session_replication_role = replica"))
        for job_id, days in ((fresh, 6.9), (cancelled, 6.9), (stale, 7.1)):
            age = sqlalchemy.func.now() - timedelta(days=days)
            db.execute(sqlalchemy.update(Job).where(Job.id == job_id).values(finished_at=age))
    orphan, young, part = (folder / name for name in ("orphan", "young", ".orphan.part"))
    for path in (orphan, young, part):
        path.write_bytes(CSV)
    for path in folder.iterdir():
        if path != young:
            os.utime(path, (time.time() - OLD,) * 2)
    retention.remove_expired()
    left = {path.name for path in folder.iterdir()}
    assert {queued, fresh, cancelled, "young"} <= left
    assert not {stale, done, "orphan", ".orphan.part"} & left
    young.unlink()


def test_who_cancelled_and_why_is_kept(ready: Caller) -> None:
    job = ready.post("/v1/reports", {"type": "rfm"}).json
    assert job["cancellation"] is None
    reason = "wrong year \u2013 " + "x" * 487
    answer = ready.post(job["links"]["cancel"], {"reason": reason})
    cancellation = answer.json["cancellation"]
    assert (cancellation["by"], cancellation["reason"]) == (f"key {ready.secret[:10]}", reason)
    with session.transaction() as db:
        last = jobs.events(db, web_api.row(job["id"]).id)[-1]
    assert (last.to_status, last.actor, last.note) == ("cancelled", cancellation["by"], reason)


def test_the_first_who_asks_is_remembered(ready: Caller) -> None:
    job = ready.post("/v1/reports", {"type": "rfm"}).json
    web_api.start(job["id"])
    first = ready.post(job["links"]["cancel"], {"reason": "one"}).json["cancellation"]
    other = web_api.another_key(ready, Scope.ADMIN)
    assert other.post(job["links"]["cancel"], {"reason": "two"}).json["cancellation"] == first
    with session.transaction() as db:
        asked = [
            event for event in jobs.events(db, web_api.row(job["id"]).id) if event.reason == Reason.CANCEL_REQUESTED
        ]
    assert [(event.actor, event.note) for event in asked] == [(first["by"], "one")]


def test_a_cancellation_may_have_no_body_or_an_empty_one(ready: Caller) -> None:
    for body, content_type in ((b"", "text/plain"), (b"", "application/json"), (b"{}", "application/json")):
        job = ready.post("/v1/reports", {"type": "rfm"}).json
        answer = ready.send(job["links"]["cancel"], body, content_type)
        assert (answer.status_code, answer.json["cancellation"]["reason"]) == (200, None)


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"reason": "' + b"x" * 501 + b'"}', "application/json", 422),
        (b'{"why": "x"}', "application/json", 422),
        (b'{"reason": 5}', "application/json", 422),
        (b'{"reason": "a\\u0000"}', "application/json", 400),
        (b"[]", "application/json", 400),
        (b"reason=x", "application/x-www-form-urlencoded", 415),
    ],
    ids=["long", "unknown", "number", "nul", "list", "form"],
)
def test_a_reason_that_is_none_cancels_nothing(ready: Caller, body: bytes, content_type: str, status: int) -> None:
    job = ready.post("/v1/reports", {"type": "rfm"}).json
    assert ready.send(job["links"]["cancel"], body, content_type).status_code == status
    assert web_api.row(job["id"]).status == "queued"


def test_priorities(ready: Caller) -> None:
    for one in (0, 9):
        body = {"type": "rfm", "priority": one, "max_age": 0}
        assert ready.post("/v1/reports", body).json["priority"] == one
    assert ready.send("/v1/imports?dataset=orders", CSV).json["priority"] == 5
    imported = ready.send("/v1/imports?dataset=orders&priority=9", CSV).json
    assert imported["priority"] == web_api.row(imported["id"]).priority == 9
    assert "priority" not in imported["params"]
    for wrong in (-1, 10, True, 5.5, "high"):
        document = expect(ready.post("/v1/reports", {"type": "rfm", "priority": wrong}), problem_types.INVALID_REQUEST)
        assert document["errors"][0]["pointer"] == "#/priority"
    answer = ready.send("/v1/imports?dataset=orders&priority=10", CSV)
    assert expect(answer, problem_types.INVALID_REQUEST)["errors"][0]["pointer"] == "#/query/priority"
