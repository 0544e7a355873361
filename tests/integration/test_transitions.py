"""How a job may change, against a real PostgreSQL: claims, fences, leases, back-offs, and what the database itself refuses."""

import json
import threading
import uuid
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, ProgrammingError

from models import dataset, heartbeat, jobs, organisations, result, session, transitions
from models.job import Job, JobEvent
from models.job_states import TRANSITIONS, WRITES_LAKE, JobKind, JobStatus, Reason
from workers import rescue

pytestmark = pytest.mark.usefixtures("database")

WORKER = uuid.uuid4()
PROBLEM = {"type": "x", "title": "x", "detail": "x"}


@pytest.fixture
def organisation_id() -> uuid.UUID:
    with session.transaction() as db:
        return organisations.ensure(db, f"org {uuid.uuid4()}").id


@pytest.fixture
def queued(organisation_id: uuid.UUID) -> Job:
    return _accept(organisation_id)


def _accept(organisation_id: uuid.UUID, kind: JobKind = JobKind.REPORT) -> Job:
    new = transitions.NewJob(organisation_id=organisation_id, kind=kind, type="rfm", params={}, queue="reports")
    with session.transaction() as db:
        return transitions.accept(db, new)


def _claim(job: Job, *, worker: uuid.UUID = WORKER, lease_seconds: int = 30) -> Job | None:
    with session.transaction() as db:
        return transitions.claim(db, job.id, worker_id=worker, pid=1, lease_seconds=lease_seconds)


def _claimed(job: Job, *, lease_seconds: int = 30, worker: uuid.UUID = WORKER) -> Job:
    claimed = _claim(job, lease_seconds=lease_seconds, worker=worker)
    assert claimed is not None
    return claimed


def _now(job: Job) -> Job:
    with session.transaction() as db:
        found = jobs.find(db, job.id)
    assert found is not None
    return found


def _events(job: Job) -> list[tuple[str | None, str, str, int]]:
    with session.transaction() as db:
        return [(e.from_status, e.to_status, e.reason, e.attempt) for e in jobs.events(db, job.id)]


def _all_events(job: Job) -> list[JobEvent]:
    with session.transaction() as db:
        return jobs.events(db, job.id)


def _bury_expired() -> None:
    rescue.bury_expired(rescue.Sweep())


def _make_due(job: Job) -> None:
    with session.transaction() as db:
        db.execute(sa.update(Job).where(Job.id == job.id).values(run_at=sa.func.now()))


def _expire(job: Job) -> None:
    with session.transaction() as db:
        db.execute(sa.update(Job).where(Job.id == job.id).values(lease_until=sa.func.now() - sa.text("interval '1 s'")))


def test_one_of_many_claims_wins(queued: Job) -> None:
    barrier = threading.Barrier(8)
    won: list[Job] = []

    def race() -> None:
        barrier.wait()
        claimed = _claim(queued)
        if claimed is not None:
            won.append(claimed)

    threads = [threading.Thread(target=race, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [job.attempt for job in won] == [1]
    assert _events(queued)[1:] == [("queued", "running", "claimed", 1)]


def test_a_worker_that_was_given_up_cannot_write_anything(queued: Job) -> None:
    first = _claimed(queued)
    _expire(first)
    _bury_expired()
    assert _now(first).status == JobStatus.QUEUED
    second = _claimed(queued)
    assert second.attempt == 2
    with session.transaction() as db:
        assert not transitions.hold(db, first.id, first.attempt)
        assert not transitions.report_progress(db, first.id, attempt=1, progress={})
        assert not transitions.succeed(db, first.id, attempt=1, outcome=None, keep_result=None, max_in_flight=1)
        assert not transitions.fail(db, first.id, attempt=1, reason=Reason.PERMANENT_ERROR, error=PROBLEM)
        assert transitions.retry_or_fail(db, first, error=PROBLEM) is None
        assert transitions.give_up_lost(db, first, reason=Reason.WORKER_LOST) is None
    assert _now(queued).status == JobStatus.RUNNING
    with session.transaction() as db:
        assert (
            transitions.succeed(db, second.id, attempt=2, outcome={"a": 1}, keep_result=None, max_in_flight=1)
            is not None
        )
    assert _now(queued).status == JobStatus.SUCCEEDED


def test_errors_are_retried_later_and_then_fail(queued: Job) -> None:
    for expected in (JobStatus.QUEUED, JobStatus.QUEUED, JobStatus.FAILED):
        job = _claimed(queued)
        with session.transaction() as db:
            assert transitions.retry_or_fail(db, job, error=PROBLEM) is expected
        if expected is JobStatus.QUEUED:
            assert _claim(queued) is None, "not before its back-off"
            _make_due(queued)
    assert _now(queued).errors == 3
    assert _events(queued)[-1] == ("running", "failed", "errors-used-up", 3)


def test_a_job_that_kills_its_workers_is_given_up(queued: Job) -> None:
    for expected in ("queued", "queued", "failed"):
        job = _claimed(queued)
        _expire(job)
        _bury_expired()
        assert _now(queued).status == expected
        _make_due(queued)
    failed = _now(queued)
    assert failed.crashes == 3
    assert failed.errors == 0
    assert failed.error is not None
    assert failed.error["type"] == "worker-crashed"


def test_a_job_that_was_killed_for_taking_too_long_is_not_tried_again(queued: Job) -> None:
    job = _claimed(queued)
    with session.transaction() as db:
        hours_ago = sa.func.now() - sa.text("interval '3 h'")
        db.execute(sa.update(Job).where(Job.id == job.id).values(claimed_at=hours_ago, lease_until=hours_ago))
    _bury_expired()
    assert _events(queued)[-1][1:3] == ("failed", "timed-out")


def _lease(job: Job) -> datetime:
    lease = _now(job).lease_until
    assert lease is not None
    return lease


def test_renewing_extends_only_ones_own_and_passes_over_what_is_being_finished(organisation_id: uuid.UUID) -> None:
    worker = uuid.uuid4()
    mine, fresh, finishing = (
        _claimed(_accept(organisation_id), worker=worker, lease_seconds=seconds) for seconds in (5, 29, 5)
    )
    others = _claimed(_accept(organisation_id), lease_seconds=5)
    before = {job.id: _lease(job) for job in (mine, fresh, finishing, others)}
    with session.transaction() as finisher:
        assert transitions.hold(finisher, finishing.id, finishing.attempt)
        with session.transaction() as db:
            transitions.renew(db, worker, [mine.id, fresh.id, finishing.id, others.id], lease_seconds=30)
        with session.transaction() as db:
            assert transitions.hold_unless_finishing(db, mine) is not None
            assert transitions.hold_unless_finishing(db, finishing) is None
    extended = {job.id for job in (mine, fresh, finishing, others) if _lease(job) > before[job.id]}
    assert extended == {mine.id}
    with session.transaction() as db:
        assert {job.id for job in transitions.running_of(db, worker)} == {mine.id, fresh.id, finishing.id}


def test_the_sweep_passes_over_a_job_that_is_being_finished(queued: Job) -> None:
    job = _claimed(queued)
    _expire(job)
    with session.transaction() as finisher:
        assert transitions.hold(finisher, job.id, job.attempt)
        _bury_expired()
        assert transitions.succeed(
            finisher, job.id, attempt=job.attempt, outcome=None, keep_result=None, max_in_flight=1
        )
    assert _now(queued).status == JobStatus.SUCCEEDED


@pytest.mark.parametrize("kind", [JobKind.REPORT, JobKind.IMPORT])
def test_a_cancelled_job_whose_worker_died(organisation_id: uuid.UUID, kind: JobKind) -> None:
    job = _claimed(_accept(organisation_id, kind))
    with session.transaction() as db:
        assert not transitions.cancel_queued(db, job.id, by="a test")
        assert transitions.request_cancel(db, job.id, by="a test", why="it took too long")
        assert transitions.request_cancel(db, job.id, by="another", why="no")
    asked = [event for event in _all_events(job) if event.reason == Reason.CANCEL_REQUESTED]
    assert [(event.actor, event.note, event.to_status) for event in asked] == [
        ("a test", "it took too long", "running")
    ]
    _expire(job)
    _bury_expired()
    # An import may have reached the lake: its next attempt looks, and finishes or agrees.
    assert _now(job).status == ("queued" if kind in WRITES_LAKE else "cancelled")


def test_a_queued_job_is_cancelled_at_once_and_for_good(queued: Job) -> None:
    with session.transaction() as db:
        assert transitions.cancel_queued(db, queued.id, by="a test", why="not needed")
    assert _claim(queued) is None
    with session.transaction() as db:
        assert not transitions.cancel_queued(db, queued.id, by="another")
        assert not transitions.request_cancel(db, queued.id, by="another")
    last = _all_events(queued)[-1]
    assert (last.reason, last.actor, last.note) == (Reason.CANCELLED, "a test", "not needed")


def test_what_was_interrupted_is_run_again_however_often(queued: Job) -> None:
    for attempt in range(1, 8):
        job = _claimed(queued)
        with session.transaction() as db:
            assert transitions.release(db, job, error=PROBLEM) is JobStatus.QUEUED
        _make_due(queued)
        now = _now(queued)
        assert (now.attempt, now.errors, now.crashes) == (attempt, 0, 0)
    assert {reason for *_, reason, _ in _events(queued)} == {"accepted", "claimed", "interrupted"}


def _statuses() -> list[tuple[JobStatus, JobStatus]]:
    return [(a, b) for a in JobStatus for b in JobStatus if a is not b]


@pytest.mark.parametrize(("before", "after"), _statuses())
def test_the_database_allows_exactly_the_declared_transitions(queued: Job, before: JobStatus, after: JobStatus) -> None:
    def go(status: JobStatus) -> None:
        lease = sa.func.now() if status is JobStatus.RUNNING else None
        finished = sa.func.now() if status.is_final else None
        with session.transaction() as db:
            db.execute(
                sa.update(Job).where(Job.id == queued.id).values(status=status, lease_until=lease, finished_at=finished)
            )

    if before is not JobStatus.QUEUED:
        if before is JobStatus.SUCCEEDED:
            go(JobStatus.RUNNING)
        go(before)
    if after in TRANSITIONS[before]:
        go(after)
    else:
        with pytest.raises(IntegrityError, match="cannot go from"):
            go(after)


@pytest.mark.parametrize("values", [{"lease_until": None}, {"finished_at": sa.func.now()}, {"status": "sleeping"}])
def test_the_database_refuses_states_that_make_no_sense(queued: Job, values: dict[str, object]) -> None:
    job = _claimed(queued)
    with pytest.raises(IntegrityError), session.transaction() as db:
        db.execute(sa.update(Job).where(Job.id == job.id).values(**values))


def test_events_cannot_be_changed(queued: Job) -> None:
    with pytest.raises(ProgrammingError, match="append-only"), session.transaction() as db:
        db.execute(sa.text("UPDATE job_events SET reason = 'x' WHERE job_id = :id"), {"id": queued.id})


def test_a_result_comes_back_chunk_by_chunk_and_goes_when_its_time_is_over(queued: Job) -> None:
    header = {"summary": {"revenue": "2.00", "customers": 1, "as_of": None}, "columns": []}
    stored = result.StoredResult(job_id=queued.id, header=header, manifest={}, row_count=3, byte_count=2, sha256="x")
    chunks = [result.Chunk(0, 2, b"a"), result.Chunk(2, 1, b"b")]
    with session.transaction() as db:
        result.store(db, stored, chunks, keep_for=timedelta(days=1))
    with session.transaction() as db:
        assert [result.read_chunk(db, queued.id, position) for position in range(3)] == [*chunks, None]
        found = result.find(db, queued.id)
        assert found is not None
        assert json.dumps(found.header) == json.dumps(header), "in the order in which the report said it"
        assert result.remove_expired(db, limit=10) == 0
        own = sa.update(result.StoredResult).where(result.StoredResult.job_id == queued.id)
        db.execute(own.values(expires_at=sa.func.now() - sa.text("interval '1 s'")))
    with session.transaction() as db:
        assert result.remove_expired(db, limit=10) == 1
    with session.transaction() as db:
        assert result.find(db, queued.id) is None
        assert result.read_chunk(db, queued.id, 0) is None


def test_the_newest_version_of_a_dataset_is_the_current_one(queued: Job) -> None:
    def record(version: int) -> None:
        with session.transaction() as db:
            row = dataset.DatasetVersion(
                organisation_id=queued.organisation_id,
                dataset="orders",
                version=version,
                row_count=version * 10,
                columns={},
                job_id=queued.id,
            )
            dataset.record(db, row)

    for version in (0, 1, 1, 2):
        record(version)
    with session.transaction() as db:
        assert dataset.current(db, queued.organisation_id)["orders"].row_count == 20
        assert [made.version.version for made in dataset.page(db, queued.organisation_id, "orders", limit=10)] == [
            2,
            1,
            0,
        ]


def test_a_heartbeat_is_one_row_per_process() -> None:
    process = heartbeat.Process(id=uuid.uuid4(), kind=heartbeat.ProcessKind.BEAT, name="beat", pid=1)
    for _ in range(2):
        with session.transaction() as db:
            heartbeat.beat(db, process)
    with session.transaction() as db:
        age = heartbeat.seconds_since_last(db, heartbeat.ProcessKind.BEAT)
        rows = db.scalar(sa.select(sa.func.count()).where(heartbeat.Heartbeat.process_id == process.id))
    assert age is not None
    assert age < 5
    assert rows == 1
