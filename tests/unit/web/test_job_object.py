"""A job's row as callers see it."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from models.job import Job
from web import job_object

JOB_ID = uuid.UUID("0198c2f0-7a1e-7c55-9d2b-3f6c1d0a4e21")


def row(kind: str, **values: Any) -> Job:
    settled = {
        "id": JOB_ID,
        "kind": kind,
        "type": "rfm" if kind == "report" else "orders",
        "status": "queued",
        "params": {"bins": 5},
        "attempt": 0,
        "priority": 5,
        "max_attempts": 3,
        "created_at": datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC),
        **values,
    }
    return Job(**settled)


def shown(job: Job) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(job_object.of(job).model_dump_json())
    return read


def test_a_report_has_exactly_the_members_of_the_contract() -> None:
    assert set(shown(row("report"))) == {
        "id", "kind", "type", "status", "params", "label", "progress", "attempt", "max_attempts", "created_at",
        "started_at", "finished_at", "expires_at", "reused", "error", "links", "priority", "cancellation",
        "schedule_id", "due_at",
    }  # fmt: skip


def test_an_import_adds_its_rows_mapping_version_and_warnings() -> None:
    assert set(shown(row("import"))) - set(shown(row("report"))) == {"rows", "mapping", "dataset_version", "warnings"}


def test_times_are_utc_with_a_z_and_nothing_is_left_out() -> None:
    job = shown(row("report"))
    assert job["created_at"] == "2026-11-22T10:00:00.123456Z"
    assert job["started_at"] is None
    assert job["error"] is None
    assert job["reused"] is False


def test_progress_is_shown_as_the_worker_wrote_it_and_an_error_with_the_address_of_its_page() -> None:
    error = {"type": "no-data", "title": "No data", "detail": "There is none.", "dataset": "orders"}
    job = shown(row("report", progress={"phase": "compute", "done": 3, "total": 5}, error=error))
    assert job["progress"] == {"phase": "compute", "done": 3, "total": 5, "rows": None, "seconds_left": None}
    assert job["error"] == {**error, "type": "/docs/problems/no-data"}
    reading = {"phase": "read", "done": 1, "total": 9, "rows": 40, "seconds_left": 2.5}
    assert shown(row("import", progress=reading))["progress"] == reading
    assert shown(row("report", progress={"phase": "read"}))["progress"] == dict.fromkeys(reading) | {"phase": "read"}


def test_what_became_of_an_import_comes_from_its_outcome() -> None:
    outcome = {
        "rows": {"read": 10, "inserted": 8, "updated": 1, "unchanged": 0, "rejected": 1},
        "mapping": {"order_id": "InvoiceNo", "kind": None},
        "dataset_version": 3,
        "warnings": [{"code": "mixed-dates", "detail": "Some."}],
    }
    job = shown(row("import", outcome=outcome))
    assert {name: job[name] for name in outcome} == outcome
    assert job["links"]["rejects"] == f"/v1/imports/{JOB_ID}/rejects"
    assert job["links"]["result"] is None
