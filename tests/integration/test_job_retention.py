"""Finished jobs past their time go, with all that hangs on them; what makes a version or has a result stays."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from models import dataset, idempotency, job_retention, jobs, organisations, session, settings, tally, transitions
from models.base import new_id
from models.job import Job, JobEvent
from models.job_states import JobKind, Reason
from models.tally import Count
from workers import retention

pytestmark = pytest.mark.usefixtures("database")

PROBLEM = {"type": "x", "title": "x", "detail": "x"}
OLD = sa.func.now() - sa.text("interval '91 days'")


@pytest.fixture
def organisation_id() -> uuid.UUID:
    with session.transaction() as db:
        return organisations.ensure(db, f"org {uuid.uuid4()}").id


def _finished(organisation_id: uuid.UUID, *, kind: JobKind = JobKind.REPORT, **values: Any) -> uuid.UUID:
    """Make a job that was tried twice and failed, long ago unless the values say something else."""
    with session.transaction() as db:
        new = transitions.NewJob(organisation_id=organisation_id, kind=kind, type="rfm", params={}, queue="reports")
        job = transitions.accept(db, new)
        for _ in range(2):
            db.execute(sa.update(Job).where(Job.id == job.id).values(run_at=sa.func.now()))
            claimed = transitions.claim(db, job.id, worker_id=uuid.uuid4(), pid=1, lease_seconds=30)
            assert claimed is not None
            if claimed.attempt == 1:
                transitions.retry_or_fail(db, claimed, error=PROBLEM)
            else:
                transitions.fail(db, job.id, attempt=2, reason=Reason.PERMANENT_ERROR, error=PROBLEM)
        db.execute(sa.update(Job).where(Job.id == job.id).values({"finished_at": OLD} | values))
    return job.id


def _exists(job_id: uuid.UUID) -> bool:
    with session.transaction() as db:
        return jobs.find(db, job_id) is not None


def _tallies() -> dict[tuple[str, str], int]:
    with session.transaction() as db:
        return tally.all_(db)


def _grown(before: dict[tuple[str, str], int], name: Count) -> dict[str, int]:
    return {
        label: value - before.get((counted, label), 0)
        for (counted, label), value in _tallies().items()
        if counted == name and value != before.get((counted, label), 0)
    }


def test_old_jobs_go_and_their_counts_stay(organisation_id: uuid.UUID, database: settings.Settings) -> None:
    old = [_finished(organisation_id) for _ in range(3)]
    young = _finished(organisation_id, finished_at=sa.func.now() - sa.text("interval '89 days'"))
    with session.transaction() as db:
        assert idempotency.take(db, organisation_id, "k", request_sha256=b"d", job_id=old[0])
    before = _tallies()
    assert retention.remove_expired().jobs == 3
    assert [_exists(job_id) for job_id in old] == [False] * 3
    assert _exists(young)
    with session.transaction() as db:
        assert db.scalar(sa.select(sa.func.count()).where(JobEvent.job_id.in_(old))) == 0
    assert _grown(before, Count.FORGOTTEN_JOBS) == {"report/reports/failed": 3}
    assert _grown(before, Count.FORGOTTEN_EVENTS) == {
        "accepted": 3,
        "claimed": 6,
        "transient-error": 3,
        "permanent-error": 3,
    }
    assert retention.remove_expired().jobs == 0


def test_a_job_that_made_a_version_or_has_a_result_stays(organisation_id: uuid.UUID) -> None:
    import_, with_result = (
        _finished(organisation_id, kind=JobKind.IMPORT),
        _finished(organisation_id, expires_at=sa.func.now() + sa.text("interval '1 day'")),
    )
    expired = _finished(organisation_id, expires_at=OLD)
    with session.transaction() as db:
        version = dataset.DatasetVersion(
            organisation_id=organisation_id, dataset="orders", version=0, row_count=1, columns={}, job_id=import_
        )
        dataset.record(db, version)
    retention.remove_expired()
    assert (_exists(import_), _exists(with_result), _exists(expired)) == (True, True, False)


def test_batches_go_on_where_the_last_one_ended(organisation_id: uuid.UUID) -> None:
    days = [200 + number for number in range(5)]
    made = [
        _finished(organisation_id, finished_at=sa.func.now() - sa.text(f"interval '{number} days'")) for number in days
    ]
    since = None
    sizes = []
    while True:
        with session.transaction() as db:
            batch = job_retention.forget(db, keep_for=timedelta(days=150), limit=2, since=since)
        sizes.append(batch.jobs)
        if batch.finished_at is None:
            break
        assert since is None or batch.finished_at > since
        since = batch.finished_at
    assert sizes == [2, 2, 1, 0]
    assert not any(_exists(job_id) for job_id in made)


def test_two_at_once_remove_each_job_once(organisation_id: uuid.UUID) -> None:
    made = [_finished(organisation_id) for _ in range(40)]
    before = _tallies()
    barrier = threading.Barrier(2)

    def forget() -> int:
        forgotten = 0
        barrier.wait()
        for _ in made:
            with session.transaction() as db:
                forgotten += job_retention.forget(db, keep_for=timedelta(days=90), limit=5).jobs
        return forgotten

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(forget) for _ in range(2)]
        assert sum(one.result() for one in both) == len(made)
    assert _grown(before, Count.FORGOTTEN_JOBS) == {"report/reports/failed": len(made)}
    assert _grown(before, Count.FORGOTTEN_EVENTS)["permanent-error"] == len(made)


def test_an_unfinished_job_is_never_removed(organisation_id: uuid.UUID) -> None:
    with session.transaction() as db:
        new = transitions.NewJob(
            id=new_id(), organisation_id=organisation_id, kind=JobKind.REPORT, type="rfm", params={}, queue="reports"
        )
        job_id = transitions.accept(db, new).id
        db.execute(sa.update(Job).where(Job.id == job_id).values(created_at=OLD, run_at=OLD))
    before = _tallies()
    with session.transaction() as db:
        job_retention.remove(db, [job_id])
    retention.remove_expired()
    assert _exists(job_id)
    assert _tallies() == before
