"""Who counts as stalled and who does not, against a real PostgreSQL: each case is one reason not to end a healthy worker."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from models import heartbeat, liveness, organisations, session, transitions
from models.heartbeat import Heartbeat, ProcessKind
from models.job import Job
from models.job_states import JobKind

pytestmark = pytest.mark.usefixtures("database")

STALL = 60.0
SILENT = 30.0


class Scene:
    """A queue of its own, and one worker that serves it; times are given as seconds before now."""

    def __init__(self) -> None:
        self.queue = f"queue-{uuid.uuid4()}"
        self.worker = heartbeat.Process(
            id=uuid.uuid4(),
            kind=ProcessKind.WORKER,
            name=f"worker-{uuid.uuid4()}",
            pid=4242,
            host=f"host-{uuid.uuid4()}",
            queues=("another", self.queue),
            slots=2,
        )
        with session.transaction() as db:
            self.organisation_id = organisations.ensure(db, f"org {uuid.uuid4()}").id
            heartbeat.beat(db, self.worker)
        self.set_worker(started_at=3600)

    def set_worker(self, **ages: float) -> None:
        self._change(sa.update(Heartbeat).where(Heartbeat.process_id == self.worker.id), ages)

    def job(self, **ages: float | None) -> Job:
        new = transitions.NewJob(
            organisation_id=self.organisation_id, kind=JobKind.REPORT, type="rfm", params={}, queue=self.queue
        )
        with session.transaction() as db:
            job = transitions.accept(db, new)
        self._change(sa.update(Job).where(Job.id == job.id), {"published_at": 300.0, "run_at": 300.0} | ages)
        return job

    def running_job(self) -> Job:
        job = self.job()
        with session.transaction() as db:
            claimed = transitions.claim(db, job.id, worker_id=self.worker.id, pid=1, lease_seconds=30)
        assert claimed is not None
        with session.transaction() as db:
            # Its events are made to have happened long ago as well, past the trigger that keeps them.
            db.execute(sa.text("SET LOCAL session_replication_role = replica"))
            age = sa.text("UPDATE job_events SET at = at - interval '1 hour' WHERE job_id = :id")
            db.execute(age, {"id": job.id})
        return claimed

    def stalled(self) -> list[liveness.Stalled]:
        with session.transaction() as db:
            found = liveness.stalled_workers(db, stall_seconds=STALL, silent_seconds=SILENT)
        return [stalled for stalled in found if stalled.id == self.worker.id]

    def _change(self, statement: sa.Update, ages: dict[str, Any]) -> None:
        moments = {name: None if age is None else sa.func.now() - timedelta(seconds=age) for name, age in ages.items()}
        with session.transaction() as db:
            db.execute(statement.values(**moments))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_work_waits_and_nobody_takes_it(scene: Scene) -> None:
    scene.job()
    scene.job(published_at=500.0, run_at=400.0)
    (found,) = scene.stalled()
    assert (found.name, found.pid, found.host) == (scene.worker.name, 4242, scene.worker.host)
    assert found.queue == scene.queue
    assert found.waiting_for == pytest.approx(400, abs=20)
    assert "takes no work although a job has waited" in found.sentence


def test_a_worker_that_took_work_an_hour_ago_is_stalled_too(scene: Scene) -> None:
    scene.job()
    scene.set_worker(claimed_at=3000)
    assert scene.stalled()


def test_no_work_no_stall(scene: Scene) -> None:
    assert not scene.stalled()


def test_work_of_another_queue_is_none_of_its_business(scene: Scene) -> None:
    Scene().job()
    assert not scene.stalled()


def test_a_job_that_waits_a_little_says_nothing(scene: Scene) -> None:
    scene.job(published_at=STALL - 10, run_at=300)
    assert not scene.stalled()


def test_a_job_whose_time_came_just_now_says_nothing(scene: Scene) -> None:
    scene.job(published_at=300, run_at=STALL - 10)
    scene.job(published_at=300, run_at=-3600)
    assert not scene.stalled()


def test_a_job_without_a_message_says_nothing(scene: Scene) -> None:
    scene.job(published_at=None)
    assert not scene.stalled()


def test_a_worker_that_has_just_started_is_given_time(scene: Scene) -> None:
    scene.job()
    scene.set_worker(started_at=STALL - 10)
    assert not scene.stalled()


def test_a_worker_that_took_work_just_now_is_well(scene: Scene) -> None:
    scene.job()
    scene.set_worker(claimed_at=STALL - 10)
    assert not scene.stalled()


def test_a_worker_whose_slots_are_all_busy_for_an_hour_is_well(scene: Scene) -> None:
    scene.job()
    scene.running_job()
    scene.set_worker(claimed_at=3600)
    (found,) = scene.stalled()
    assert found.running == 1, "one of two slots is free"
    scene.running_job()
    assert not scene.stalled()


def test_a_worker_that_has_just_finished_a_long_job_is_given_time(scene: Scene) -> None:
    scene.job()
    running = [scene.running_job(), scene.running_job()]
    scene.set_worker(claimed_at=3600)
    with session.transaction() as db:
        assert transitions.succeed(db, running[0].id, attempt=1, outcome=None, keep_result=None, max_in_flight=1)
    assert not scene.stalled()


def test_a_silent_worker_is_not_called_stalled(scene: Scene) -> None:
    scene.job()
    scene.set_worker(beat_at=SILENT + 10)
    assert not scene.stalled()


def test_the_last_sign_of_each_process_of_a_host(scene: Scene) -> None:
    """The number of an earlier process is given out again: only the newer start under it counts."""
    scene.set_worker(beat_at=100, started_at=200)
    newer = heartbeat.Process(id=uuid.uuid4(), kind=ProcessKind.BEAT, name="beat", pid=4242, host=scene.worker.host)
    with session.transaction() as db:
        (only,) = liveness.seen(db, host=scene.worker.host)
        assert only.silent_for == pytest.approx(100, abs=20)
        assert only.started == pytest.approx(200, abs=20)
        assert only.queues == scene.worker.queues
        heartbeat.beat(db, newer)
        (only,) = liveness.seen(db, host=scene.worker.host)
    assert (only.id, only.kind) == (newer.id, ProcessKind.BEAT)
    assert only.silent_for == pytest.approx(0, abs=20)
