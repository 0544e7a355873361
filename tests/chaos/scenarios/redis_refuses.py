"""Redis is up and refuses: full, read-only, unable to write, reading its file, asking for a password; or set up to forget."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import redis

from tests.chaos.harness import faults, requests
from tests.chaos.harness.running import ChaosStack
from tests.chaos.harness.scenario import Run, scenario
from tests.chaos.scenarios import redis_dies
from tests.client import ROOT, wait_for

WORKERS = ("worker-reports", "worker-imports", "worker-heavy", "worker-upkeep")
START_SECONDS = 60.0
UNSAFE = 78
# So many keys and microseconds for each make it read its file for ten seconds.
SLOW_KEYS = 2_000
KEY_MICROSECONDS = 5_000
# It answers, by saying that it is loading, after each two megabytes that it has read.
KEY_BYTES = 4_000

Refusal = Callable[[ChaosStack], AbstractContextManager[None]]


@scenario("S15", "Redis reaches its `maxmemory`; and is set up to evict", plan=redis_dies.APART)
def fill_redis(run: Run) -> None:
    _refuse_for(run, [("full", _full)], seconds=30.0)
    with faults.redis_configured(run.stack, maxmemory_policy="allkeys-lru"):
        run.injected()
        doctor = _run(run.stack, "-m", "workers.doctor", "servers")
        worker = _run(run.stack, *_UPKEEP_WORKER)
    assert (doctor.returncode, worker.returncode) == (UNSAFE, UNSAFE), doctor.stdout + worker.stdout
    assert "maxmemory-policy" in doctor.stdout, doctor.stdout
    healthy = _run(run.stack, "-m", "workers.doctor", "servers")
    assert healthy.returncode == 0, healthy.stdout
    run.note("with allkeys-lru the doctor and a worker end at their start with exit code 78")


@scenario(
    "S16",
    "Redis is read-only, cannot write its file, reads it, or asks for a password and does no longer",
    plan=redis_dies.APART,
)
def refuse(run: Run) -> None:
    refusals: list[tuple[str, Refusal]] = [
        ("READONLY", _read_only),
        ("MISCONF", _cannot_write),
        ("NOAUTH", _asks_for_password),
        ("LOADING", _loading),
    ]
    before = run.stack.pids
    _refuse_for(run, refusals, seconds=10.0)
    assert run.stack.pids == before, f"restarted: {set(run.stack.pids.items()) ^ set(before.items())}"


def _refuse_for(run: Run, refusals: list[tuple[str, Refusal]], *, seconds: float) -> None:
    """Let Redis refuse in each of these ways for so long under load: accepted all the same, said by readiness, done after."""
    spans = []
    before = run.stack.pids
    with run.load(redis_dies.on_two_queues, rate=8) as ledger:
        for name, refusal in refusals:
            time.sleep(2)
            since = time.time()
            with refusal(run.stack):
                run.injected()
                requests.wait_until_degraded(run.stack, "broker-away", seconds=8)
                time.sleep(max(0.0, since + max(5.0, seconds * run.scale) - time.time()))
            until = time.time()
            spans.append((name, since, until))
            redis_dies.wait_until_newer_is_claimed(run.stack, ledger, until)
    run.settle(ledger, within=redis_dies.DRAINED_SECONDS)
    for name, since, until in spans:
        took = redis_dies.seconds_to_drain(run.stack, ledger, until)
        run.recoveries.append(took)
        run.note(f"{name}: {requests.in_words(requests.during(ledger, [(since, until)]))}; drained {took:.1f} s after")
    requests.assert_all_accepted(ledger)
    survived = [name for name in WORKERS if run.stack.pids.get(name) == before[name]]
    run.note(f"{len(survived)} of {len(WORKERS)} workers went on without a restart")


# --- The ways to refuse ---


@contextlib.contextmanager
def _full(stack: ChaosStack) -> Iterator[None]:
    with faults.redis_configured(stack, maxmemory="1mb"):
        yield


@contextlib.contextmanager
def _read_only(stack: ChaosStack) -> Iterator[None]:
    """Make it the replica of a server that is not there: it keeps what it has, and takes nothing."""
    with stack.redis() as connection:
        connection.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            yield
        finally:
            connection.execute_command("REPLICAOF", "NO", "ONE")


@contextlib.contextmanager
def _cannot_write(stack: ChaosStack) -> Iterator[None]:
    """Put a folder where it wants to write its snapshot: from the first failure on it takes nothing."""
    in_the_way = stack.redis_apart.folder / "dump.rdb" / "in the way"
    in_the_way.mkdir(parents=True)
    with stack.redis() as connection, faults.redis_configured(stack, save="1 1"):
        try:
            # It may have begun by itself.
            with contextlib.suppress(redis.ResponseError):
                connection.bgsave()
            wait_for(lambda: connection.info("persistence")["rdb_last_bgsave_status"] == "err", seconds=10)
            yield
        finally:
            in_the_way.rmdir()
            in_the_way.parent.rmdir()
            # It takes messages again when a snapshot has succeeded, or when it is told to make none.
            connection.config_set("save", "")


@contextlib.contextmanager
def _asks_for_password(stack: ChaosStack) -> Iterator[None]:
    """Change the password under connections that are open, and end them; later change it back."""
    with stack.redis() as connection:
        # This connection was let in before, and stays so.
        connection.config_set("requirepass", "another")
        try:
            connection.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            yield
        finally:
            connection.config_set("requirepass", "")


@contextlib.contextmanager
def _loading(stack: ChaosStack) -> Iterator[None]:
    """Start it again with so much to read, and so slowly, that it refuses everything meanwhile."""
    with stack.redis() as connection:
        connection.mset({f"filler:{number}": os.urandom(KEY_BYTES) for number in range(SLOW_KEYS)})
        connection.bgrewriteaof()
        wait_for(lambda: connection.info("persistence")["aof_rewrite_in_progress"] == 0, seconds=20)
    stack.redis_apart.kill()
    stack.redis_apart.start("--key-load-delay", str(KEY_MICROSECONDS), wait=False)
    yield
    stack.redis_apart.wait_until_ready()
    with stack.redis() as connection:
        connection.delete(*(f"filler:{number}" for number in range(SLOW_KEYS)))


_UPKEEP_WORKER = (
    "-m",
    "celery",
    "-A",
    "tests.chaos.stack.workers",
    "worker",
    "-Q",
    "upkeep",
    "-n",
    "refused@%h",
    "-c",
    "1",
)


def _run(stack: ChaosStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the project against this stack's servers until it ends by itself."""
    environment = {**os.environ, "RECKONER_HOME": str(stack.home), "REDIS_URL": stack.redis_apart.url}
    environment.pop("DATABASE_URL", None)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
