"""Any one process of the stack is killed while a report runs: the report succeeds, once, with the same answer."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cli.stack import Stack
from tests import generated
from tests.client import Client, Json, as_dicts, database, wait_for

pytestmark = pytest.mark.stack

# Those whose death the child that computes survives.
BYSTANDERS = ["web", "worker-imports", "worker-upkeep", "beat", "flower", "postgres", "redis"]
MOST_TRIES = 20


@pytest.fixture(scope="module")
def shop(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with Client.of_new_organisation(stack) as client:
        file = generated.orders(tmp_path_factory.mktemp("shop"), customers=20_000, orders_=200_000)
        job = client.import_("orders", file)
        assert job["status"] == "succeeded", job
        yield client


@pytest.fixture(scope="module")
def undisturbed(shop: Client) -> Json:
    """The answer when nobody kills anything."""
    return shop.report("rfm")


@contextlib.contextmanager
def _caught_running(client: Client) -> Iterator[tuple[Json, int]]:
    """Submit a report and freeze the worker child that claimed it, so that it is running for as long as the block lasts."""
    for _ in range(MOST_TRIES):
        job = client.submit("rfm")
        pid = _freeze(client.stack, job)
        if pid is not None:
            try:
                yield job, pid
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            return
    raise AssertionError("every report was finished before it could be caught running")


def _freeze(stack: Stack, job: Json) -> int | None:
    query = "SELECT status, worker_pid FROM jobs WHERE id = %s"
    with database(stack) as connection:

        def look() -> tuple[str, int | None] | None:
            row = connection.execute(query, [job["id"]]).fetchone()
            return (row[0], row[1]) if row is not None and row[0] != "queued" else None

        status, pid = wait_for(look, seconds=30, pause=0.002)
        if status != "running" or pid is None:
            return None
        os.kill(pid, signal.SIGSTOP)
        # Stopped between its last commit and the end? Then it was too late.
        row = connection.execute(query, [job["id"]]).fetchone()
        if row is not None and row[0] == "running":
            return pid
        os.kill(pid, signal.SIGCONT)
        return None


def _replaced(stack: Stack, name: str, old: int) -> int | None:
    pid = stack.pids.get(name)
    return pid if pid is not None and pid != old and psutil.pid_exists(pid) else None


def _check(client: Client, job: Json, undisturbed: Json, *, attempts: range) -> None:
    finished = client.finish(job)
    assert finished["status"] == "succeeded", finished
    assert finished["attempt"] in attempts
    assert as_dicts(client.result(finished)) == as_dicts(undisturbed)
    with database(client.stack) as connection:
        events = connection.execute(
            "SELECT to_status FROM job_events WHERE job_id = %s ORDER BY id", [job["id"]]
        ).fetchall()
        results = connection.execute("SELECT count(*) FROM results WHERE job_id = %s", [job["id"]]).fetchone()
    assert [row[0] for row in events].count("succeeded") == 1
    assert results == (1,)


@pytest.mark.parametrize("name", BYSTANDERS)
def test_killing_a_bystander(name: str, shop: Client, undisturbed: Json) -> None:
    with _caught_running(shop) as (job, _):
        victim = shop.stack.pids[name]
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: _replaced(shop.stack, name, victim), seconds=30)
    _check(shop, job, undisturbed, attempts=range(1, 3))


def test_killing_the_child_that_computes(shop: Client, undisturbed: Json) -> None:
    with _caught_running(shop) as (job, pid):
        os.kill(pid, signal.SIGKILL)
    _check(shop, job, undisturbed, attempts=range(2, 3))


def test_killing_the_worker_that_computes(shop: Client, undisturbed: Json) -> None:
    with _caught_running(shop) as (job, pid):
        victim = shop.stack.pids["worker-reports"]
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: not psutil.pid_exists(pid), seconds=10)
    _check(shop, job, undisturbed, attempts=range(2, 3))


def test_flushing_redis_loses_no_queued_job(shop: Client) -> None:
    """With both children frozen the queue fills up; then everything in Redis goes."""
    with _caught_running(shop) as (first, _):
        waiting = [shop.submit("revenue_trend") for _ in range(5)]
        _flush_redis(shop.stack)
    assert {shop.finish(job)["status"] for job in [first, *waiting]} == {"succeeded"}


def test_a_cancelled_job_is_stopped_and_stays_cancelled(shop: Client) -> None:
    with _caught_running(shop) as (job, pid):
        answer = shop.http.post(f"/v1/reports/{job['id']}/cancel")
        assert answer.status_code == 202, answer.text
        wait_for(lambda: not psutil.pid_exists(pid), seconds=30)
    assert shop.finish(job)["status"] == "cancelled"
    again = shop.http.post(f"/v1/reports/{job['id']}/cancel")
    assert again.status_code == 409
    assert shop.report("revenue_trend")["row_count"] > 0


def test_killing_the_worker_during_an_import_leaves_all_or_nothing(shop: Client, tmp_path: Path) -> None:
    file = generated.orders(tmp_path, customers=20_000, orders_=200_000, seed=8)
    with Client.of_new_organisation(shop.stack) as client:
        answer = client.post_import("orders", file)
        assert answer.status_code == 202
        job = answer.json()
        pid = _freeze(shop.stack, job)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        finished = client.finish(job)
        assert finished["status"] == "succeeded", finished
        assert finished["attempt"] == 2
        rows = finished["rows"]
        assert rows["read"] == rows["inserted"] + rows["rejected"]
        versions = client.http.get("/v1/datasets/orders/versions").json()["data"]
        assert [version["rows"] for version in versions] == [rows["inserted"]]


def _flush_redis(stack: Stack) -> None:
    import redis  # noqa: PLC0415 - only this test speaks to Redis itself

    from models.settings import Settings  # noqa: PLC0415 - the settings of that stack, not of this process

    folder = Settings(reckoner_home=stack.home, redis_url=None).socket_folder
    with redis.Redis(unix_socket_path=str(folder / "redis.sock")) as connection:
        connection.flushall()
