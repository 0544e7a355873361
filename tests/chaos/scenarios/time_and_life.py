"""Clocks are wrong, processes are frozen, starved of the processor, or alive without doing anything."""

import contextlib
import email.utils
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import psutil

from models.tally import Count
from tests.chaos.harness import faults, looks
from tests.chaos.harness.forger import Forger
from tests.chaos.harness.ledger import Ledger, Work, mixed
from tests.chaos.harness.running import ChaosStack, Plan
from tests.chaos.harness.scenario import Run, scenario
from tests.chaos.scenarios.messages import counted
from tests.chaos.scenarios.steps_of_the_code import QUICK, WORKERS_OF_REPORTS
from tests.chaos.stack.probes import ProbeType
from tests.client import wait_for

LEASE_SECONDS = float(QUICK.environment["LEASE_SECONDS"])
STALL_SECONDS = float(QUICK.environment["STALL_SECONDS"])
HOUR = 3600
SHIFTED = ("web", "worker-reports", "worker-upkeep", "beat")
SHIFTS = (2 * HOUR, -2 * HOUR, 24 * HOUR, 365 * 24 * HOUR, 0)
LIBRARY = "wrong_clock"
SLACK_SECONDS = 60
OVERCOMMIT = 8
MOST_SECONDS_AFTER_FREEZE = 60.0


WRONG_CLOCKS = Plan(wrapped={name: f"sh tests/chaos/stack/wrong_clock.sh {name}" for name in SHIFTED})


@scenario(
    "S27", "The wall clock jumps by hours, a day and a year, in the API, a worker, upkeep or beat", plan=WRONG_CLOCKS
)
def wrong_clocks(run: Run) -> None:
    for name in SHIFTED:
        maps = Path(f"/proc/{run.stack.pids[name]}/maps").read_text(encoding="ascii", errors="replace")
        assert LIBRARY in maps, f"{name} runs with the clock of the machine"
    expired = _expired(run.stack)
    with run.load(mixed, rate=12) as ledger:
        for _ in run.times(2):
            for name in SHIFTED:
                for shift in SHIFTS:
                    _set_clock(run.stack, name, shift)
                    run.injections += shift != 0
                    time.sleep(run.chance.uniform(2.0, 3.0))
                    if name == "web" and shift != 0:
                        _check_that_it_believes_it(run.stack, shift)
    made = run.settle(ledger)
    assert made.statuses == {"succeeded": made.acked}, made.statuses
    assert _expired(run.stack) == expired, "a lease ran out early"
    wrong = run.stack.one(
        "SELECT count(*) FROM jobs WHERE id = ANY(%(ids)s::uuid[]) AND NOT (created_at <= claimed_at"
        " AND started_at <= finished_at AND claimed_at <= finished_at AND attempt = 1)",
        {"ids": ledger.job_ids},
    )
    assert wrong == 0, f"{wrong} jobs were started twice or took less than no time"
    run.note(
        "set by a library loaded before the C library, while the processes run; leases, due times and durations are the database's"
    )
    run.note("occurrences of schedules are not judged: there are none yet but upkeep's own")


def _set_clock(stack: ChaosStack, name: str, shift: int) -> None:
    path = stack.home / f"clock-{name}"
    unfinished = path.with_suffix(".new")
    unfinished.write_text(str(shift), encoding="ascii")
    unfinished.rename(path)


def _check_that_it_believes_it(stack: ChaosStack, shift: int) -> None:
    """The API's own answers say what time it thinks it is."""
    said = httpx.get(f"{stack.web_url}/livez", timeout=10, trust_env=False).headers["Date"]
    off = email.utils.parsedate_to_datetime(said).timestamp() - time.time()
    assert abs(off - shift) < SLACK_SECONDS, f"the clock is off by {off:.0f} s instead of {shift} s"


def _expired(stack: ChaosStack) -> int:
    return int(stack.one("SELECT count(*) FROM job_events WHERE reason = 'lease-expired'"))


@scenario(
    "S28",
    "A worker freezes for three leases, its jobs are done elsewhere, and it goes on as if nothing had been",
    plan=QUICK,
)
def zombies(run: Run) -> None:
    lost = counted(run.stack, Count.LEASES_LOST)
    taken_over = 0
    with run.load(mixed, rate=6) as ledger:
        for _ in run.times(10):
            # The watchdog is of the same machine, and freezes with it; otherwise it would end the worker.
            watchdog = run.stack.pids["watchdog"]
            name = run.chance.choice(WORKERS_OF_REPORTS)
            jobs = _busy_with_long_jobs(run, ledger, name)
            parent = run.stack.pids[name]
            with faults.frozen(parent, *faults.children_of(parent), watchdog):
                run.injected()
                at = time.time()
                wait_for(lambda jobs=jobs: _done(run.stack, jobs), seconds=3 * LEASE_SECONDS + 30)  # type: ignore[misc]
                run.recoveries.append(time.time() - at)
                time.sleep(max(0.0, at + 3 * LEASE_SECONDS - time.time()))
            # One that ended in the moment between the look and the freeze was nobody's to take over.
            taken_over += sum(looks.state_of(run.stack, job_id)["attempt"] > 1 for job_id in jobs)
            wait_for(lambda want=lost + taken_over: counted(run.stack, Count.LEASES_LOST) >= want, seconds=30)  # type: ignore[misc]
    made = run.settle(ledger)
    assert made.statuses == {"succeeded": made.acked}, made.statuses
    run.note(
        f"{taken_over} jobs taken over; {counted(run.stack, Count.LEASES_LOST) - lost} refused commits or ended zombies"
    )


def _busy_with_long_jobs(run: Run, ledger: Ledger, name: str) -> list[str]:
    """Submit jobs that take a while, and return those that this worker has taken: it has at least one."""
    for _ in range(6):
        ledger.submit(Work.probe(ProbeType.SLOW, n=11, seconds=4))

    def taken() -> list[str]:
        children = set(faults.children_of(run.stack.pids.get(name, 0)))
        return [job.job_id for job in faults.running(run.stack, type_="slow") if job.pid in children]

    return wait_for(taken, seconds=30)


def _done(stack: ChaosStack, jobs: Sequence[str]) -> bool:
    query = "SELECT count(*) FROM jobs WHERE id = ANY(%(ids)s::uuid[]) AND finished_at IS NULL"
    return bool(stack.one(query, {"ids": list(jobs)}) == 0)


@scenario(
    "S34",
    "A job holds Python's global lock for three leases, and the processors have eight times too much to do",
    plan=QUICK,
)
def starved(run: Run) -> None:
    expired, lost = _expired(run.stack), counted(run.stack, Count.LEASES_LOST)
    ledger = run.ledger()
    with _busy_processors(), run.load(mixed, rate=3, ledger=ledger):
        long = [ledger.submit(Work.probe(ProbeType.GIL, n=17, seconds=3 * LEASE_SECONDS)) for _ in run.times(6)]
        run.injections += len(long)
        wait_for(lambda: _done(run.stack, long), seconds=180)
    made = run.settle(ledger)
    assert made.statuses == {"succeeded": made.acked}, made.statuses
    attempts = [looks.state_of(run.stack, job_id)["attempt"] for job_id in long]
    assert set(attempts) == {1}, attempts
    assert (_expired(run.stack), counted(run.stack, Count.LEASES_LOST)) == (expired, lost), "a lease was lost"
    run.note(f"{OVERCOMMIT * (os.cpu_count() or 1)} busy loops beside it; swapping was not tried")


@contextlib.contextmanager
def _busy_processors() -> Iterator[None]:
    loops = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(OVERCOMMIT * (os.cpu_count() or 1))
    ]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
        for loop in loops:
            loop.wait()


@scenario(
    "LIVENESS",
    "A worker is alive and takes no work, or its parent is frozen: each is found and started again",
    plan=QUICK,
)
def liveness(run: Run) -> None:
    with run.load(mixed, rate=6) as ledger:
        for _ in run.times(3):
            _stop_consuming(run, ledger)
            _freeze_parent(run)
    made = run.settle(ledger)
    assert made.statuses == {"succeeded": made.acked}, made.statuses


def _stop_consuming(run: Run, ledger: Ledger) -> None:
    """The only worker of a queue is told to consume nothing: it is alive in every other way."""
    old = run.stack.pids["worker-imports"]
    ended = counted(run.stack, Count.STALLED_WORKERS)
    forger, name = Forger(run.stack), f"imports@{socket.gethostname()}"
    # Until it is heard, the worker may still be starting.
    wait_for(lambda: forger.cancel_consumer(name, "imports"), seconds=60)
    run.injected()
    at = time.time()
    with run.load(_of_imports, rate=2, ledger=ledger):
        faults.wait_for_restart(run.stack, "worker-imports", old, seconds=STALL_SECONDS + 60)
    run.recoveries.append(time.time() - at)
    run.note(f"a worker that consumed nothing was replaced after {time.time() - at:.1f} s")
    assert counted(run.stack, Count.STALLED_WORKERS) > ended, "it ended for another reason"


def _of_imports(chance: random.Random) -> Work:
    return Work.probe(ProbeType.CREDIT, n=chance.randint(1, 9), queue="imports")


def _freeze_parent(run: Run) -> None:
    old = run.stack.pids["worker-heavy"]
    children = faults.children_of(old)
    run.injected()
    at = time.time()
    with faults.frozen(old):
        faults.wait_for_restart(run.stack, "worker-heavy", old, seconds=MOST_SECONDS_AFTER_FREEZE)
    run.recoveries.append(time.time() - at)
    run.note(f"a frozen worker was replaced after {time.time() - at:.1f} s")
    wait_for(lambda: not [pid for pid in children if psutil.pid_exists(pid)], seconds=15)
