"""Processes of a real stack that live and do nothing: each is found, ended and started again, and its jobs are done."""

import contextlib
import uuid
from collections.abc import Iterator

import celery
import httpx
import psutil
import pytest

from cli import watchdog
from cli.stack import Stack
from models import settings
from models.liveness import Stalled
from models.settings import Settings
from tests import client as clients
from tests.client import Client
from workers import broker

pytestmark = pytest.mark.stack

ORDERS = b"order_id,customer_id,ordered_at,amount\n1,a,2026-01-05,10.00\n2,b,2026-01-06,20.00\n"


@pytest.fixture(scope="module")
def restless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that has little patience with idle workers."""
    environment = {"LEASE_SECONDS": "10", "RESCUE_SECONDS": "2", "STALL_SECONDS": "10", "WORKER_CONCURRENCY": "1"}
    with Stack(home=tmp_path_factory.mktemp("restless"), environment=environment) as running:
        yield running


def counted(stack: Stack) -> int:
    with clients.database(stack) as connection:
        row = connection.execute(
            "SELECT coalesce(sum(value), 0) FROM tallies WHERE name = 'stalled_workers'"
        ).fetchone()
    assert row is not None
    return int(row[0])


@contextlib.contextmanager
def frozen(*processes: psutil.Process) -> Iterator[None]:
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


def why_killed(stack: Stack, pid: int) -> str:
    lines = stack.log_path.read_text().splitlines()
    return next(line for line in lines if line.startswith("watchdog") and f"(pid {pid}): it" in line)


def test_frozen_processes_are_replaced(restless: Stack) -> None:
    """All at once: each takes half a minute of silence to be noticed."""
    silent = ("worker-upkeep", "beat")
    before, tallied = {name: restless.pid_of(name) for name in (*silent, "web")}, counted(restless)
    arbiter = psutil.Process(before["web"])
    with frozen(*(psutil.Process(before[name]) for name in silent), arbiter, *arbiter.children()):
        with pytest.raises(httpx.TimeoutException):
            httpx.get(restless.web_url + "/healthz", timeout=2)
        after = {name: restless.pid_of(name, other_than=pid, seconds=90) for name, pid in before.items()}
    assert all(psutil.Process(pid).status() != psutil.STATUS_STOPPED for pid in after.values())
    assert httpx.get(restless.web_url + "/healthz", timeout=60).status_code == 200
    for name in silent:
        assert "has given no sign of life for" in why_killed(restless, before[name])
    assert "its arbiter has not moved" in why_killed(restless, before["web"])
    clients.wait_for(lambda: counted(restless) == tallied + len(before), seconds=5)


def test_a_worker_that_consumes_nothing_is_replaced_and_its_jobs_are_done(restless: Stack) -> None:
    """As after a lost connection that Celery did not notice: alive, beating, and deaf."""
    before, tallied = restless.pid_of("worker-imports"), counted(restless)
    broker_url = Settings(reckoner_home=restless.home, redis_url=None).broker_url
    with celery.Celery(broker=broker_url) as app, Client.of_new_organisation(restless) as program:
        assert program.import_("orders", ORDERS)["status"] == "succeeded"
        answers = app.control.cancel_consumer("imports", reply=True, timeout=5)
        assert any("no longer consuming from imports" in str(answer) for answer in answers)
        answer = program.post_import("orders", ORDERS.replace(b"10.00", b"30.00"))
        job = program.finish(answer.json(), seconds=120)
    assert job["status"] == "succeeded"
    assert job["attempt"] == 1
    assert restless.pid_of("worker-imports", other_than=before) != before
    assert counted(restless) == tallied + 1


def test_health_follows_what_is_seen(restless: Stack) -> None:
    """The same judgement for other process managers, while nobody has restarted anything yet."""
    for role in ("worker", "beat", "web"):
        assert clients.reckoner(restless, "health", role).returncode == 0
    assert clients.reckoner(restless, "health", "worker", "--queue", "imports").returncode == 0
    assert clients.reckoner(restless, "health", "worker", "--name", "reports").returncode == 0
    unknown = clients.reckoner(restless, "health", "worker", "--queue", "nothing")
    assert unknown.returncode == 1
    # The watchdog must not be faster.
    with frozen(psutil.Process(restless.pid_of("watchdog")), psutil.Process(restless.pid_of("beat"))):

        def unwell() -> str | None:
            answer = clients.reckoner(restless, "health", "beat")
            return answer.stdout if answer.returncode == 1 else None

        assert "beat has given no sign of life for" in clients.wait_for(unwell, seconds=60, pause=1)
    clients.wait_for(lambda: clients.reckoner(restless, "health", "beat").returncode == 0, seconds=20, pause=1)


def test_a_stalled_worker_that_does_not_end_itself_is_ended_once_its_jobs_are_done(
    restless: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decided(*, running: int) -> str | None:
        stalled = Stalled(
            id=uuid.uuid4(), name="w", host="h", pid=1, queue="imports", waiting_for=99.0, running=running
        )
        watched = watchdog.Watchdog({})
        assert watched._why_stalled(stalled, 0) is None
        assert watched._why_stalled(stalled, watchdog.STALL_BACKSTOP_SECONDS) is None
        return watched._why_stalled(stalled, watchdog.STALL_BACKSTOP_SECONDS + 1)

    monkeypatch.setenv("REDIS_URL", Settings(reckoner_home=restless.home).redis_client_url)
    settings.load.cache_clear()
    broker._client_of_process.cache_clear()
    assert decided(running=0) is not None
    assert decided(running=1) is None
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    settings.load.cache_clear()
    broker._client_of_process.cache_clear()
    assert decided(running=0) is None, "there is nothing to take while the broker is away"
    monkeypatch.undo()
    settings.load.cache_clear()
    broker._client_of_process.cache_clear()
