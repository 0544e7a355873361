"""Reports over HTTP: accepted, planned, listed, waited for, cancelled."""

import threading
import time
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest

from models import session
from models.job import Job
from models.job_states import JobStatus
from models.schedule import CatchUp, Overlap, Schedule
from tests.integration import web_api
from tests.integration.web_api import Caller

TABLE = pa.table({"n": [1]})


@pytest.fixture
def ready(caller: Caller) -> Caller:
    """An organisation that has orders."""
    web_api.give_dataset(caller, "orders", version=3, rows=42)
    return caller


def submit(caller: Caller, **body: Any) -> dict[str, Any]:
    answer = caller.post("/v1/reports", {"type": "rfm", "max_age": 0, **body})
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json
    return job


def test_a_submitted_report_is_a_job_as_the_contract_has_it(ready: Caller) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = ready.post(
        "/v1/reports", {"type": "rfm", "params": {"bins": 4}, "label": "Q1"}, X_Request_Id="abc-1", traceparent=trace
    )
    assert answer.status_code == 202
    job = answer.json
    here = f"/v1/reports/{job['id']}"
    assert answer.headers["Location"] == here
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["X-Request-Id"] == "abc-1"
    assert uuid.UUID(job["id"]).version == 7
    assert job["created_at"].endswith("Z")
    assert {name: job[name] for name in job if name not in {"id", "created_at", "params"}} == {
        "kind": "report",
        "type": "rfm",
        "status": "queued",
        "label": "Q1",
        "priority": 5,
        "progress": None,
        "attempt": 0,
        "max_attempts": 3,
        "started_at": None,
        "finished_at": None,
        "expires_at": None,
        "reused": False,
        "error": None,
        "cancellation": None,
        "schedule_id": None,
        "due_at": None,
        "links": {
            "self": here,
            "result": f"{here}/result",
            "cancel": f"{here}/cancel",
            "rerun": f"{here}/rerun",
            "events": f"{here}/events",
            "rows": f"{here}/rows",
            "manifest": f"{here}/manifest",
        },
    }
    assert job["params"]["bins"] == 4
    assert job["params"]["timezone"] == "Europe/London"
    assert job["params"]["currency"] == "GBP"
    kept = web_api.row(job["id"])
    assert (kept.request_id, kept.traceparent) == ("abc-1", trace)
    assert kept.dataset_versions == {"orders": 3}


def test_every_dataset_the_type_lists_is_pinned_where_it_exists(ready: Caller) -> None:
    web_api.give_dataset(ready, "orders", version=4)
    web_api.give_dataset(ready, "customers", version=7)
    web_api.give_dataset(ready, "deals", version=1)
    job = submit(ready)
    assert web_api.row(job["id"]).dataset_versions == {"orders": 4, "customers": 7}


def test_an_older_version_can_be_asked_for(ready: Caller) -> None:
    web_api.give_dataset(ready, "orders", version=4)
    job = submit(ready, dataset_versions={"orders": 3})
    assert web_api.row(job["id"]).dataset_versions == {"orders": 3}


def test_a_dry_run_says_what_would_be_read_and_accepts_nothing(ready: Caller) -> None:
    answer = ready.post("/v1/reports?dry_run=true", {"type": "rfm"})
    assert answer.status_code == 200
    assert answer.json["datasets"] == {"orders": {"version": 3, "rows": 42}}
    assert answer.json["rows"] == 42
    assert answer.json["params"]["bins"] == 5
    assert answer.json["reused"] is False
    assert ready.get("/v1/reports").json["data"] == []


def test_lists_are_paged_newest_first_and_filtered(ready: Caller) -> None:
    ids = [submit(ready)["id"] for _ in range(5)]
    other = ready.post("/v1/reports", {"type": "revenue_trend"}).json["id"]
    ready.post(f"/v1/reports/{ids[0]}/cancel")
    seen: list[str] = []
    path: str | None = "/v1/reports?limit=2&type=rfm"
    while path is not None:
        page = ready.get(path).json
        assert len(page["data"]) <= 2
        seen += [job["id"] for job in page["data"]]
        path = page["next"]
    assert seen == ids[::-1]
    assert [job["id"] for job in ready.get("/v1/reports?status=cancelled").json["data"]] == [ids[0]]
    assert ready.get("/v1/jobs?kind=report&limit=1").json["data"][0]["id"] == other
    assert {job["kind"] for job in ready.get("/v1/jobs").json["data"]} == {"report", "import"}


def test_lists_by_time_join_without_overlap(ready: Caller) -> None:
    ids = [submit(ready)["id"] for _ in range(4)]
    moments = [ready.get(f"/v1/reports/{job_id}").json["created_at"] for job_id in ids]

    def listed(path: str) -> list[str]:
        answer = ready.get(path)
        assert answer.status_code == 200, answer.text
        found = [job["id"] for job in answer.json["data"]]
        return found + (listed(answer.json["next"]) if answer.json["next"] else [])

    for path in ("/v1/reports?limit=1", "/v1/jobs?kind=report&limit=1"):
        assert listed(f"{path}&created_after={moments[2]}") == [ids[3], ids[2]]
        assert listed(f"{path}&created_before={moments[2]}") == [ids[1], ids[0]]
        assert listed(f"{path}&created_after={moments[1]}&created_before={moments[3]}") == [ids[2], ids[1]]
    in_zone = datetime.fromisoformat(moments[2]).astimezone(timezone(timedelta(hours=5))).isoformat()
    assert listed(f"/v1/reports?created_after={quote(in_zone)}") == [ids[3], ids[2]]
    for wrong in ("yesterday", "2026-01-01T00:00:00", "2026-01-01"):
        answer = ready.get(f"/v1/reports?created_after={wrong}")
        assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "#/query/created_after")


def test_lists_by_schedule(ready: Caller) -> None:
    of_schedule, other = submit(ready)["id"], submit(ready)["id"]
    with session.transaction() as db:
        kept = Schedule(
            organisation_id=ready.organisation_id,
            name="nightly",
            type="rfm",
            params={},
            cron="0 3 * * *",
            timezone="UTC",
            catch_up=CatchUp.SKIP,
            catch_up_max=1,
            overlap=Overlap.SKIP,
            max_failures=0,
        )
        db.add(kept)
        db.flush()
        db.get_one(Job, uuid.UUID(of_schedule)).schedule_id = schedule = kept.id
    for path in ("/v1/reports", "/v1/jobs"):
        assert [job["id"] for job in ready.get(f"{path}?schedule_id={schedule}").json["data"]] == [of_schedule]
        assert other in [job["id"] for job in ready.get(path).json["data"]]
    assert ready.get(f"/v1/reports?schedule_id={uuid.uuid4()}").json["data"] == []
    assert ready.get("/v1/imports?schedule_id=x").status_code == 422


def test_waiting_ends_when_the_job_does(ready: Caller) -> None:
    job = submit(ready)
    timer = threading.Timer(0.4, web_api.finish, (job["id"], TABLE))
    timer.start()
    began = time.monotonic()
    answer = ready.get(f"/v1/reports/{job['id']}", Prefer="respond-async, wait=20")
    timer.join()
    assert 0.3 < time.monotonic() - began < 5
    assert answer.status_code == 200
    assert answer.json["status"] == "succeeded"
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert "Retry-After" not in answer.headers


def test_waiting_in_vain_ends_in_time_with_202(ready: Caller) -> None:
    began = time.monotonic()
    answer = ready.post("/v1/reports", {"type": "rfm"}, Prefer="wait=1")
    assert 0.9 < time.monotonic() - began < 3
    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "wait=1"
    assert ready.get(f"/v1/jobs/{answer.json['id']}?wait=0").status_code == 200


def test_a_queued_job_is_cancelled_at_once_and_only_once(ready: Caller) -> None:
    job = submit(ready)
    answer = ready.post(job["links"]["cancel"], {"reason": "wrong year"})
    assert answer.status_code == 200
    assert answer.json["status"] == "cancelled"
    assert answer.json["cancellation"]["reason"] == "wrong year"
    again = ready.post(job["links"]["cancel"])
    assert again.status_code == 409
    assert again.json["type"] == "/docs/problems/job-finished"


def test_cancelling_a_running_job_asks_its_worker(ready: Caller) -> None:
    job = submit(ready)
    web_api.start(job["id"])
    for _ in range(2):
        answer = ready.post(f"/v1/jobs/{job['id']}/cancel")
        assert answer.status_code == 202
        assert answer.json["status"] == "running"
        assert answer.json["cancellation"]["by"] == f"key {ready.secret[:10]}"
        assert answer.json["cancellation"]["reason"] is None
        assert answer.json["cancellation"]["requested_at"].endswith("Z")
        assert ready.secret not in answer.text
    assert web_api.row(job["id"]).cancel_requested_at is not None
    assert web_api.row(job["id"]).status == JobStatus.RUNNING


def test_the_catalogue_knows_what_the_organisation_has(caller: Caller) -> None:
    assert not any(kind["available"] for kind in caller.get("/v1/report-types").json["data"])
    web_api.give_dataset(caller, "order_lines")
    kinds = {kind["name"]: kind["available"] for kind in caller.get("/v1/report-types").json["data"]}
    assert (kinds["rfm"], kinds["product_affinity"], kinds["mrr"]) == (True, True, False)
    kind = caller.get("/v1/report-types/rfm").json
    assert "bins" in kind["params_schema"]["properties"]
    assert kind["datasets"][0] == {"any_of": ["orders", "order_lines"], "required": True, "available": True}
    assert kind["columns"][0]["name"] == "customer_id"
    lines = caller.get("/v1/datasets/order_lines").json
    assert (lines["rows"], lines["version"], lines["stored_columns"]) == (10, 0, {"order_id": "text"})
    assert caller.get("/v1/datasets/orders").json["available"] is False
    assert [version["version"] for version in caller.get("/v1/datasets/order_lines/versions").json["data"]] == [0]
