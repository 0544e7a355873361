"""The log of a job: every line says whose it is, and none of them has a customer's data in it."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from models import organisations, session, settings, transitions
from models.base import new_id
from models.job_states import JobKind
from tests.integration import failing_import

ROOT = Path(__file__).parents[2]
SECRET = "Zebedee-Quux-4711"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
FILE = f"order_id,customer_id,ordered_at,amount\n1,a,2026-01-02,{SECRET}\n2,b,2026-01-03,{SECRET}\n"


def _run(configured: settings.Settings, way: str, **environment: str) -> tuple[uuid.UUID, uuid.UUID, str]:
    """Run an import of a file full of secrets, which fails in this way; return its ids and what its process wrote."""
    job_id = new_id()
    configured.upload_folder.mkdir(parents=True, exist_ok=True)
    (configured.upload_folder / str(job_id)).write_text(FILE)
    with session.transaction() as db:
        organisation = organisations.ensure(db, f"org {uuid.uuid4()}")
        new = transitions.NewJob(
            id=job_id,
            organisation_id=organisation.id,
            kind=JobKind.IMPORT,
            type="orders",
            params={"dataset": "orders", "timezone": "UTC", "currency": "GBP", "max_rejects": 0},
            queue="imports",
            request_id="request-1",
            traceparent=TRACE,
        )
        transitions.accept(db, new)
    done = subprocess.run(
        [sys.executable, "-m", failing_import.__name__, str(job_id), way],
        cwd=ROOT,
        env=os.environ | environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return job_id, organisation.id, done.stdout + done.stderr


def _lines(written: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.splitlines()]


@pytest.mark.parametrize("way", [*failing_import.WAYS, "refusal"])
def test_a_failing_import_tells_everything_but_the_data(database: settings.Settings, way: str) -> None:
    job_id, organisation_id, written = _run(database, way)
    assert SECRET not in written
    lines = _lines(written)
    ended = [line for line in lines if line["event"] == "job ended"]
    assert [line["status"] for line in ended] == ["failed" if way == "refusal" else "queued"]
    ids = {
        "job_id": str(job_id),
        "attempt": 1,
        "organisation_id": str(organisation_id),
        "request_id": "request-1",
        "trace": TRACE,
    }
    of_the_job = [line for line in lines if line["logger"].startswith(("workers.runtime", "tasks", "py.warnings"))]
    assert len(of_the_job) >= 3
    assert all(ids.items() <= line.items() for line in of_the_job)
    if way != "refusal":
        (failed,) = (line for line in lines if line["event"] == "job failed")
        assert failed["exception"][0]["type"]
        assert any("failing_import" in frame for frame in failed["exception"][0]["frames"])


def test_codes_of_the_database_are_told(database: settings.Settings) -> None:
    _, _, written = _run(database, "detail_of_postgresql")
    (failed,) = (line for line in _lines(written) if line["event"] == "job failed")
    assert failed["exception"][0]["type"] == "sqlalchemy.exc.IntegrityError"
    assert failed["exception"][0]["sqlstate"] == "23505"


def test_warnings_and_dead_threads_say_where(database: settings.Settings) -> None:
    lines = _lines(_run(database, "warning")[2])
    (warned,) = (line for line in lines if line["logger"] == "py.warnings")
    assert warned["category"] == "UserWarning"
    assert "failing_import.py" in warned["where"]
    lines = _lines(_run(database, "thread")[2])
    (died,) = (line for line in lines if line["event"] == "a thread died")
    assert died["thread_name"] == "helper"
    assert died["exception"][0]["type"] == "ValueError"


def test_what_celery_says_of_an_exception_is_kept_back(database: settings.Settings) -> None:
    job_id, _, written = _run(database, "past_the_runtime")
    assert SECRET not in written
    (line,) = (line for line in _lines(written) if line["logger"] == "celery.app.trace")
    assert (line["event"], line["task"], line["task_id"]) == ("task raised unexpected", "imports.run", str(job_id))
    assert line["exception"][0]["type"] == "pyarrow.lib.ArrowInvalid"


@pytest.mark.parametrize("way", ["duckdb", "cause", "past_the_runtime"])
def test_the_form_for_people_is_as_discreet(database: settings.Settings, way: str) -> None:
    _, _, written = _run(database, way, LOG_FORMAT="console")
    assert SECRET not in written
    assert "failing_import.py:" in written
