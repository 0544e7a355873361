"""`reckoner jobs` and `reckoner organisations`: the operator's answers and actions, against a real database."""

import getpass
import json
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from cli import main
from models import dataset, heartbeat, jobs, organisations, session, settings, transitions
from models.base import new_id
from models.dataset import DatasetVersion
from models.heartbeat import Process, ProcessKind
from models.job import Job
from models.job_states import JobKind, JobStatus, Reason

pytestmark = pytest.mark.usefixtures("database")

PROBLEM = {"type": "internal-error", "title": "Something went wrong in the worker", "detail": "ValueError."}
OPERATOR = f"operator {getpass.getuser()}"


@pytest.fixture
def name() -> str:
    with session.transaction() as db:
        return organisations.ensure(db, f"org {uuid.uuid4()}").name


@pytest.fixture
def queue() -> str:
    """A queue that no other test has jobs or workers in."""
    return f"queue-{uuid.uuid4()}"


def _accept(name: str, queue: str = "reports", *, priority: int = 5, kind: JobKind = JobKind.REPORT) -> Job:
    with session.transaction() as db:
        organisation = organisations.ensure(db, name)
        new = transitions.NewJob(
            organisation_id=organisation.id, kind=kind, type="rfm", params={}, queue=queue, priority=priority
        )
        return transitions.accept(db, new)


def _update(job: Job, **values: Any) -> None:
    with session.transaction() as db:
        db.execute(sa.update(Job).where(Job.id == job.id).values(**values))


def _publish(job: Job, *, seconds_ago: int = 0, express: bool = False) -> None:
    ago = sa.func.now() - sa.text(f"interval '{seconds_ago} s'")
    _update(job, published_at=ago, publishes=1, express=express)


def _worker(queue: str, *, slots: int) -> uuid.UUID:
    process = Process(
        id=uuid.uuid4(), kind=ProcessKind.WORKER, name=f"w@{queue[:12]}", pid=7, queues=(queue,), slots=slots
    )
    with session.transaction() as db:
        heartbeat.beat(db, process)
    return process.id


def _claim(job: Job, worker: uuid.UUID | None = None, *, lease_seconds: int = 30) -> Job:
    with session.transaction() as db:
        claimed = transitions.claim(db, job.id, worker_id=worker or uuid.uuid4(), pid=4242, lease_seconds=lease_seconds)
    assert claimed is not None
    return claimed


def _now(job: Job) -> Job:
    with session.transaction() as db:
        found = jobs.find(db, job.id)
    assert found is not None
    return found


def _call(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(main.main, [str(argument) for argument in arguments], input=typed)


def _json(*arguments: str) -> Any:
    result = _call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def _why(job: Job) -> tuple[list[str], str]:
    """Return the codes and the sentences, which a second call shows to a person."""
    told = _json("jobs", "why", str(job.id))
    assert told["id"] == str(job.id)
    codes = [cause["code"] for cause in told["causes"] if cause["code"] != "broker-away"]
    return codes, _call("jobs", "why", str(job.id)).stdout


def test_lists_are_filtered(name: str, queue: str) -> None:
    first, second = _accept(name, queue), _accept(name, queue, kind=JobKind.IMPORT)
    _update(first, created_at=sa.func.now() - sa.text("interval '3 hours'"))
    with session.transaction() as db:
        transitions.cancel_queued(db, second.id, by="test")

    def listed(*options: str) -> list[str]:
        return [job["id"] for job in _json("jobs", "list", *options)]

    one, two = str(first.id), str(second.id)
    assert listed("--organisation", name) == [two, one]
    assert listed("--queue", queue, "--kind", "import") == [two]
    assert listed("--queue", queue, "--status", "queued") == [one]
    assert listed("--queue", queue, "--type", "orders") == []
    assert listed("--queue", queue, "--since", "2h") == [two]
    assert listed("--queue", queue, "--since", "4h") == [two, one]
    assert listed("--queue", queue, "--since", "2000-01-01") == [two, one]
    assert listed("--queue", queue, "--limit", "1") == [two]
    (row,) = (row for row in _json("jobs", "list", "--queue", queue) if row["id"] == one)
    assert (row["organisation"], row["reason"], row["status"]) == (name, "accepted", "queued")
    assert 3 * 3600 <= row["age"] < 3 * 3600 + 60


def test_an_organisation_or_a_time_that_is_none_is_named() -> None:
    unknown = _call("jobs", "list", "--organisation", "nobody")
    assert unknown.exit_code == 1
    assert "nobody" in unknown.stderr
    assert _call("jobs", "list", "--since", "soon").exit_code == 2


def test_a_job_that_backs_off_says_until_when_and_after_what(name: str, queue: str) -> None:
    job = _claim(_accept(name, queue))
    with session.transaction() as db:
        transitions.retry_or_fail(db, job, error=PROBLEM)
    codes, said = _why(job)
    assert codes == ["backing-off"]
    assert "attempt 1 ended in an error (1 of 3): Something went wrong in the worker" in said
    assert f"{_now(job).run_at:%H:%M:%S}Z" in said


def test_a_job_whose_process_died_says_which_crash_it_was(name: str, queue: str) -> None:
    job = _claim(_accept(name, queue))
    with session.transaction() as db:
        transitions.give_up_lost(db, job, reason=Reason.WORKER_LOST)
    _update(job, run_at=sa.func.now() + sa.text("interval '5 s'"))
    codes, said = _why(job)
    assert codes == ["backing-off"]
    assert "died (crash 1 of 3)" in said


def test_a_job_held_back_by_its_organisations_share_says_its_place(name: str, queue: str) -> None:
    assert _call("organisations", "limit", name, "--max-in-flight", "2").exit_code == 0
    _worker(queue, slots=4)
    for _ in range(2):
        _publish(_accept(name, queue))
    _accept(name, queue)
    late = _accept(name, queue)
    urgent = _accept(name, queue, priority=9)
    assert _why(late)[0] == ["organisation-at-its-limit"]
    assert f"{name} has 2 jobs under way in the queue {queue}, of at most 2" in _why(late)[1]
    assert "number 3 in its line" in _why(late)[1]
    assert "number 1 in its line" in _why(urgent)[1]


def test_a_published_job_counts_what_is_before_it(name: str, queue: str) -> None:
    _worker(queue, slots=1)
    for _ in range(2):
        _publish(_accept(f"{name} too", queue), seconds_ago=60)
    mine, express = _accept(name, queue), _accept(f"{name} too", queue)
    _publish(mine, seconds_ago=30)
    _publish(express, express=True)
    codes, said = _why(mine)
    assert codes == ["published"]
    assert "published 30 s ago, and 3 messages are before it" in said
    assert "nothing is before it" in _why(express)[1]


def test_a_job_without_a_worker_says_so(name: str, queue: str) -> None:
    job = _accept(name, queue)
    assert _why(job)[0] == ["not-published", "no-worker"]
    _publish(job)
    assert _why(job)[0] == ["published", "no-worker"]
    # A worker that has fallen silent serves nobody.
    _worker(queue, slots=1)
    assert _why(job)[0] == ["published"]
    with session.transaction() as db:
        ago = sa.func.now() - sa.text("interval '5 min'")
        db.execute(
            sa.update(heartbeat.Heartbeat).where(heartbeat.Heartbeat.queues.contains([queue])).values(beat_at=ago)
        )
    assert _why(job)[0] == ["published", "no-worker"]


def test_busy_workers_are_listed(name: str, queue: str) -> None:
    worker = _worker(queue, slots=1)
    busy = _claim(_accept(name, queue), worker)
    job = _accept(name, queue)
    _publish(job)
    codes, said = _why(job)
    assert codes == ["published", "workers-busy"]
    assert f"report rfm {busy.id} for " in said
    assert f"on w@{queue[:12]}" in said


def test_a_broker_that_is_away_is_named(name: str, queue: str) -> None:
    told = _json("jobs", "why", str(_accept(name, queue).id))
    assert "broker-away" in [cause["code"] for cause in told["causes"]]


def test_a_running_job_says_where_and_how_far(name: str, queue: str) -> None:
    worker = _worker(queue, slots=1)
    job = _claim(_accept(name, queue), worker)
    with session.transaction() as db:
        transitions.report_progress(db, job.id, attempt=1, progress={"phase": "compute", "done": 1, "total": 3})
    codes, said = _why(job)
    assert codes == ["running", "leased"]
    assert f"on w@{queue[:12]}, process 4242" in said
    assert "; compute 1 of 3." in said
    assert _call("jobs", "cancel", str(job.id)).exit_code == 0
    assert _why(job)[0] == ["running", "cancelling", "leased"]
    assert OPERATOR in _why(job)[1]
    _update(job, lease_until=sa.func.now() - sa.text("interval '8 s'"))
    assert _why(job)[0] == ["running", "cancelling", "lease-expired"]


def test_a_finished_job_says_how_it_ended(name: str, queue: str) -> None:
    good, bad = _claim(_accept(name, queue)), _claim(_accept(name, queue))
    with session.transaction() as db:
        transitions.succeed(db, good.id, attempt=1, outcome=None, keep_result=None, max_in_flight=1)
        transitions.fail(db, bad.id, attempt=1, reason=Reason.PERMANENT_ERROR, error=PROBLEM)
    assert _why(good)[0] == ["succeeded"]
    assert _why(bad)[0] == ["failed"]
    assert "Something went wrong in the worker. ValueError." in _why(bad)[1]


def test_cancelling_one_job_keeps_who_and_why(name: str, queue: str) -> None:
    job = _accept(name, queue)
    assert _call("jobs", "cancel", str(job.id), "--reason", "a mistake").stdout == "cancelled\n"
    event = _json("jobs", "events", str(job.id))[-1]
    assert (event["to_status"], event["actor"], event["note"]) == ("cancelled", OPERATOR, "a mistake")
    codes, said = _why(job)
    assert codes == ["cancelled"]
    assert f"by {OPERATOR}" in said
    assert said.rstrip().endswith(": a mistake")
    again = _call("jobs", "cancel", str(job.id))
    assert again.exit_code == 1
    assert "already cancelled" in again.stderr


def test_cancelling_many_asks_and_can_be_tried_first(name: str, queue: str) -> None:
    waiting = [_accept(name, queue) for _ in range(3)]
    running = _claim(_accept(name, queue))
    others = _accept(f"{name} too", queue)
    meant = ["jobs", "cancel", "--organisation", name, "--queue", queue]

    def statuses() -> list[str]:
        return [_now(job).status for job in waiting]

    assert _json(*meant, "--dry-run") == {"would_cancel": 4}
    assert "would cancel 4 jobs" in _call(*meant, "--dry-run").stdout
    assert _call(*meant, typed="n\n").exit_code == 1
    unasked = _call(*meant, "--json")
    assert unasked.exit_code == 2
    assert json.loads(unasked.stderr)["jobs"] == 4
    assert statuses() == ["queued"] * 3

    done = _call(*meant, "--reason", "wrong month", typed="y\n")
    assert "Cancel 4 jobs?" in done.stdout
    assert "3 cancelled; 1 running ones have been told to stop" in done.stdout
    assert statuses() == ["cancelled"] * 3
    assert _now(running).cancelled_by == OPERATOR
    assert _now(running).cancel_reason == "wrong month"
    assert _now(others).status == "queued"
    assert _json(*meant, "--status", "queued", "--yes") == {"would_cancel": 0}


@pytest.mark.parametrize("arguments", [[], [str(new_id()), "--queue", "reports"]])
def test_cancelling_needs_either_a_job_or_options(arguments: list[str]) -> None:
    assert _call("jobs", "cancel", *arguments, "--yes").exit_code == 2


def test_a_finished_job_is_run_again_as_a_new_one(name: str) -> None:
    job = _claim(_accept(name))
    params = {"bins": 3, "timezone": "UTC", "currency": "GBP"}
    _update(job, dataset_versions={"orders": 3}, params=params)
    with session.transaction() as db:
        version = {"dataset": "orders", "version": 3, "row_count": 1, "columns": {}}
        dataset.record(db, DatasetVersion(organisation_id=job.organisation_id, job_id=job.id, **version))
    too_early = _call("jobs", "rerun", str(job.id))
    assert too_early.exit_code == 1
    assert "only a finished job" in too_early.stderr
    with session.transaction() as db:
        transitions.fail(db, job.id, attempt=1, reason=Reason.PERMANENT_ERROR, error=PROBLEM)
    made = _json("jobs", "rerun", str(job.id), "--pinned")
    with session.transaction() as db:
        new = jobs.find(db, uuid.UUID(made["id"]))
    assert new is not None
    assert new.id != job.id
    assert (new.status, new.type, new.params, new.dataset_versions) == ("queued", "rfm", params, {"orders": 3})
    assert _now(job).status == JobStatus.FAILED


def test_a_finished_report_is_deleted_and_who_did_it_is_kept(name: str) -> None:
    job = _accept(name)
    _update(job, reuse_key=b"\x01" * 32)
    unfinished = _call("jobs", "delete", str(job.id), "--yes")
    assert (unfinished.exit_code, "cancel it first" in unfinished.stderr) == (1, True)
    assert _json("jobs", "show", str(job.id))["reuse_key"] == "01" * 32
    _json("jobs", "cancel", str(job.id))
    assert _call("jobs", "delete", str(job.id), "--json").exit_code == 2
    assert _json("jobs", "delete", str(job.id), "--yes") == {"id": str(job.id), "deleted": True}
    shown = _json("jobs", "show", str(job.id))
    assert (shown["deleted_by"], shown["reuse_key"], shown["status"]) == (OPERATOR, None, "cancelled")
    assert (shown["events"][-1]["reason"], shown["events"][-1]["actor"]) == ("deleted", OPERATOR)
    kept = _accept(name, kind=JobKind.IMPORT)
    refused = _call("jobs", "delete", str(kept.id), "--yes")
    assert (refused.exit_code, "is no report" in refused.stderr) == (1, True)


def test_limits_of_an_organisation_are_set_one_by_one(name: str) -> None:
    limit = ("organisations", "limit", name)
    assert _json(*limit, "--requests-per-minute", "70", "--max-unfinished", "8")["requests_per_minute"] == 70
    changed = _json(*limit, "--max-upload-bytes", "90")
    assert (changed["requests_per_minute"], changed["max_unfinished"], changed["max_upload_bytes"]) == (70, 8, 90)
    assert changed["max_in_flight"] == settings.load().max_in_flight
    back = _json(*limit, "--requests-per-minute", "default", "--max-unfinished", "default")
    assert (back["requests_per_minute"], back["own_limit"]) == (settings.load().requests_per_minute, True)
    assert _json(*limit, "--max-upload-bytes", "default")["own_limit"] is False


def test_the_share_of_an_organisation_is_set_and_taken_back(name: str) -> None:
    standard = settings.load().max_in_flight

    def listed() -> tuple[int, bool]:
        (one,) = (one for one in _json("organisations", "list") if one["name"] == name)
        return one["max_in_flight"], one["own_limit"]

    assert listed() == (standard, False)
    assert _json("organisations", "limit", name, "--max-in-flight", "3")["max_in_flight"] == 3
    assert listed() == (3, True)
    assert _call("organisations", "limit", name, "--max-in-flight", "default").exit_code == 0
    assert listed() == (standard, False)
    assert _call("organisations", "limit", name, "--max-in-flight", "0").exit_code == 2
    assert _call("organisations", "limit", name).exit_code == 2
    assert _call("organisations", "limit", "nobody", "--max-in-flight", "3").exit_code == 1


def test_who_is_told_of_failures_is_set_and_taken_back(name: str) -> None:
    def listed() -> str | None:
        (one,) = (one for one in _json("organisations", "list") if one["name"] == name)
        address: str | None = one["contact_email"]
        return address

    assert listed() is None
    assert _json("organisations", "contact", name, "ops@example.org") == {
        "name": name,
        "contact_email": "ops@example.org",
    }
    assert listed() == "ops@example.org"
    for wrong in ("ops", "a@b@c", "Ops <ops@example.org>", "a@example.org,b@example.org", "a@example.org\nBcc: x@y"):
        assert _call("organisations", "contact", name, wrong).exit_code == 2
    assert _call("organisations", "contact", "nobody", "ops@example.org").exit_code == 1
    assert listed() == "ops@example.org"
    assert _call("organisations", "contact", name, "none").exit_code == 0
    assert listed() is None
