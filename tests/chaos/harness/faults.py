"""Faults: each a small function that does one thing to a running stack, and says when."""

import contextlib
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from models.failpoints import Point
from tests.chaos.harness.running import ChaosStack
from tests.client import wait_for

RESTART_SECONDS = 60.0
RECOVERY_SECONDS = 120.0
# Killed so often by us, a job would be taken for poison, and rightly.
MOST_CRASHES = 1


@dataclass(frozen=True, slots=True)
class Hit:
    """A fault that struck: when, by the clock that the database has too, and which jobs were running there."""

    at: float
    pid: int
    job_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Running:
    """A job that a child runs at this moment."""

    job_id: str
    pid: int
    attempt: int
    crashes: int


# --- Who runs what ---


def running(stack: ChaosStack, *, type_: str | None = None) -> list[Running]:
    """Return what is running, by the database's account."""
    rows = stack.rows(
        "SELECT id::text, worker_pid, attempt, crashes FROM jobs WHERE status = 'running' AND worker_pid IS NOT NULL"
        " AND (%(type)s::text IS NULL OR type = %(type)s)",
        {"type": type_},
    )
    return [Running(*row) for row in rows]


def children_of(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.NoSuchProcess:
        return []


# --- Processes: killed, frozen, told to end ---


def send(pid: int, number: signal.Signals) -> bool:
    """Send a signal; False: there is no such process any more."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def kill(stack: ChaosStack, name: str, number: signal.Signals = signal.SIGKILL) -> Hit | None:
    """Kill a process of the stack by its name in the Procfile (or `postgres`, `redis`); None: it is down already."""
    pid = stack.pids.get(name)
    if pid is None or not psutil.pid_exists(pid):
        return None
    children = set(children_of(pid))
    jobs = tuple(job.job_id for job in running(stack) if job.pid in children) if name.startswith("worker") else ()
    return Hit(time.time(), pid, jobs) if send(pid, number) else None


def kill_running_child(stack: ChaosStack, chance: random.Random, number: signal.Signals = signal.SIGKILL) -> Hit | None:
    """Kill a child in the middle of a job that has not lost many; None: there is none at this moment."""
    candidates = [job for job in running(stack) if job.crashes < MOST_CRASHES]
    if not candidates:
        return None
    victim = chance.choice(candidates)
    if not send(victim.pid, signal.SIGSTOP):
        return None
    # It may have finished the job between the look and the signal; a child that stands still does not.
    if victim not in running(stack):
        send(victim.pid, signal.SIGCONT)
        return None
    at = time.time()
    send(victim.pid, number)
    send(victim.pid, signal.SIGCONT)
    return Hit(at, victim.pid, (victim.job_id,))


def kill_web_child(stack: ChaosStack) -> Hit | None:
    """Kill the web server's process that serves; gunicorn's own stays."""
    children = children_of(stack.pids.get("web", 0))
    return Hit(time.time(), children[0]) if children and send(children[0], signal.SIGKILL) else None


def wait_for_restart(stack: ChaosStack, name: str, old: int, *, seconds: float = RESTART_SECONDS) -> int:
    """Wait until the supervisor has put another process in the place of this one; returns its pid."""

    def look() -> int | None:
        pid = stack.pids.get(name)
        return pid if pid is not None and pid != old and psutil.pid_exists(pid) else None

    return wait_for(look, seconds=seconds)


def wait_for_children(stack: ChaosStack, name: str, *, seconds: float = RESTART_SECONDS) -> list[int]:
    """Wait until a worker has children again; returns their pids."""
    return wait_for(lambda: children_of(stack.pids.get(name, 0)), seconds=seconds)


@contextlib.contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Stop processes for the length of the block, as a machine that swaps or a snapshot of it would."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            send(pid, signal.SIGCONT)


# --- Redis ---


def flush(stack: ChaosStack) -> None:
    with stack.redis() as connection:
        connection.flushall()


@contextlib.contextmanager
def redis_configured(stack: ChaosStack, **values: str) -> Iterator[None]:
    """Give Redis other settings for the length of the block (`maxmemory`, `requirepass` ...)."""
    named = {name.replace("_", "-"): value for name, value in values.items()}
    with stack.redis() as connection:
        before = {name: str(connection.config_get(name).get(name, "")) for name in named}
        for name, value in named.items():
            connection.config_set(name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                connection.config_set(name, value)


def wipe_redis(stack: ChaosStack) -> Hit | None:
    """Kill Redis and remove its data before the supervisor starts it again."""
    hit = kill(stack, "redis")
    if hit is not None:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            psutil.Process(hit.pid).wait(5)
        for entry in (stack.home / "redis").iterdir():
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)
    return hit


# --- PostgreSQL ---


def terminate_backends(stack: ChaosStack) -> int:
    """End every other session of PostgreSQL; returns how many."""
    query = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    return int(stack.one(query))


@contextlib.contextmanager
def locked(stack: ChaosStack, table: str = "jobs", mode: str = "ACCESS EXCLUSIVE") -> Iterator[None]:
    """Hold a lock on a table for the length of the block."""
    with contextlib.closing(stack.connect(autocommit=False)) as connection:
        connection.execute(psycopg.sql.SQL(f"LOCK TABLE {table} IN {mode} MODE"))
        yield
        connection.rollback()


# --- Failpoints ---


def arm(stack: ChaosStack, point: Point, action: str = "kill") -> None:
    """Make the first process that reaches this point of the code do this (`kill`, `stop`, `pause 5`, `disconnect` ...)."""
    unfinished = stack.failpoints / f".{point.value}"
    unfinished.write_text(action, encoding="ascii")
    unfinished.rename(stack.failpoints / point.value)


def disarm(stack: ChaosStack, point: Point) -> bool:
    """Take the arming back; False: it had struck already."""
    try:
        (stack.failpoints / point.value).unlink()
    except FileNotFoundError:
        return False
    return True


def hits(stack: ChaosStack, point: Point) -> list[Path]:
    """Return the proofs that this point was reached while armed, oldest first. The name ends with the pid that reached it."""
    return sorted(stack.failpoints.glob(f"{point.value}.hit.*"), key=lambda path: path.stat().st_mtime_ns)


def wait_until_hit(stack: ChaosStack, point: Point, *, seconds: float = RESTART_SECONDS) -> int:
    """Wait until an armed point has struck; returns the pid it struck in, and forgets the proof."""

    def look() -> list[Path]:
        # The file is renamed at once, but the arming must be gone as well: an older proof may lie beside it.
        return hits(stack, point) if not (stack.failpoints / point.value).exists() else []

    found = wait_for(look, seconds=seconds, pause=0.01)
    pid = int(found[-1].name.rpartition(".")[2])
    note_points(stack)
    return pid


def note_points(stack: ChaosStack) -> None:
    """Move the proofs of points that struck into the stack's count of them."""
    for point in Point:
        for proof in hits(stack, point):
            proof.unlink(missing_ok=True)
            stack.points[point.value] += 1


# --- How long recovery took ---


def seconds_to_next_claim(stack: ChaosStack, hit: Hit, *, seconds: float = RECOVERY_SECONDS) -> list[float]:
    """Wait until each job that the fault hit is claimed again; returns how long each waited.

    A job whose last commit was on its way when the fault struck needs no second claim, and is left out.
    """
    waits = [_seconds_to_claim(stack, job_id, hit.at, seconds=seconds) for job_id in hit.job_ids]
    return [wait for wait in waits if wait is not None]


def _seconds_to_claim(stack: ChaosStack, job_id: str, at: float, *, seconds: float) -> float | None:
    query = (
        "SELECT finished_at IS NOT NULL, (SELECT extract(epoch FROM min(at))::float8 FROM job_events"
        " WHERE job_id = jobs.id AND reason = 'claimed' AND at > to_timestamp(%(at)s)) FROM jobs WHERE id = %(id)s"
    )

    def look() -> tuple[float | None] | None:
        finished, claimed = stack.rows(query, {"id": job_id, "at": at})[0]
        return (claimed,) if finished or claimed is not None else None

    (claimed,) = wait_for(look, seconds=seconds)
    return None if claimed is None else claimed - at


def seconds_to_first_done(stack: ChaosStack, at: float, *, seconds: float = RECOVERY_SECONDS) -> float:
    """Wait until any job succeeds after this moment; returns how long that took."""
    query = (
        "SELECT extract(epoch FROM min(at)) FROM job_events WHERE to_status = 'succeeded' AND at > to_timestamp(%(at)s)"
    )
    return float(wait_for(lambda: stack.one(query, {"at": at}), seconds=seconds)) - at
