"""What happens to the jobs of plain Celery when its workers are killed, frozen, or slower than the visibility timeout."""

import os
import signal
import time

from tests.benchmarks.peers import processes
from tests.chaos.baseline.lab import Lab
from tests.chaos.baseline.outcome import Outcome

CHILD_KILLS = 15
PARENT_KILLS = 36
FREEZES_IN_BRPOP = 8
POISON_SECONDS = 20.0


def child_killed(lab: Lab) -> Outcome:
    """S1: the process that works is killed in the middle of a job."""
    lab.worker()
    for _ in range(CHILD_KILLS):
        job_id = lab.submit("work", 1.0)
        processes.wait_until(lambda: lab.starts_of(job_id), what="the job starts", seconds=20)  # noqa: B023 - ends within
        time.sleep(lab.chance.uniform(0, 0.5))
        os.kill(lab.starts_of(job_id)[-1].pid, signal.SIGKILL)
        processes.wait_until(lambda: lab.held() == (0, 0), what="the worker noticed", seconds=40)
    lab.publish(5, job_seconds=0.05)
    finished = lab.drain(seconds=30)
    way = (
        "redelivered at once" if lab.options.reject_on_worker_lost else "acknowledged as failed, recorded only in a log"
    )
    return Outcome(
        scenario="S1",
        fault=f"kill -9 of the child in a job, reject_on_worker_lost={lab.options.reject_on_worker_lost}",
        injections=CHILD_KILLS,
        acked=len(lab.ledger()),
        lost=lab.lost(),
        doubled=lab.doubled(),
        recoveries=lab.restarts(),
        note=f"{way}{'' if finished else '; not drained in time'}",
    )


def parent_killed(lab: Lab) -> Outcome:
    """S2: the worker's parent is killed again and again, under a steady load of short jobs."""
    load = lab.client(100_000, job_seconds=0.005, per_second=150)
    for _ in range(PARENT_KILLS):
        before = len(lab.lines("start"))
        worker = lab.worker(wait=False)
        lab.wait_for_starts(before + 1)
        time.sleep(lab.chance.uniform(0.1, 0.6))
        lab.kill_parent(worker)
    processes.end(load)
    lab.worker()
    finished = lab.drain(seconds=90)
    restarts = lab.restarts()
    return Outcome(
        scenario="S2",
        fault="kill -9 of the parent under 150 jobs/s",
        injections=PARENT_KILLS,
        acked=len(lab.ledger()),
        lost=lab.lost(),
        doubled=lab.doubled(),
        recoveries=restarts,
        note=f"visibility timeout {lab.options.visibility_timeout:.0f} s (default 3600); {len(restarts)} jobs ran again; "
        f"{lab.never_started()} were never started, and Redis holds {sum(lab.held())} messages at the end"
        f"{'' if finished else '; not drained in time'}",
    )


def killed_in_brpop(lab: Lab) -> Outcome:
    """S3: the parent is frozen while it waits in BRPOP; what is published then is popped for it; then it is killed."""
    for _ in range(FREEZES_IN_BRPOP):
        worker = lab.worker(slots=1)
        time.sleep(0.5)
        os.kill(worker.pid, signal.SIGSTOP)
        lab.submit("work", 0.01)
        lab.kill_parent(worker)
    lab.worker()
    # Longer than the visibility timeout and the look for abandoned messages.
    time.sleep(lab.options.visibility_timeout + 5)
    held = lab.held()
    return Outcome(
        scenario="S3",
        fault="parent frozen in BRPOP, one job published, kill -9",
        injections=FREEZES_IN_BRPOP,
        acked=len(lab.ledger()),
        lost=lab.lost(),
        doubled=lab.doubled(),
        note=f"afterwards Redis holds {held[0]} queued and {held[1]} unacknowledged messages",
    )


def poison(lab: Lab) -> Outcome:
    """S5: a job that kills its own process."""
    lab.worker()
    lab.submit("poison")
    lab.wait_for_starts(1)
    time.sleep(POISON_SECONDS)
    starts = len(lab.lines("start"))
    return Outcome(
        scenario="S5",
        fault=f"a job that kills its process, reject_on_worker_lost={lab.options.reject_on_worker_lost}",
        injections=1,
        acked=1,
        lost=None,
        doubled=None,
        note=f"started {starts} times in {POISON_SECONDS:.0f} s",
    )


def frozen_past_timeout(lab: Lab) -> Outcome:
    """S28: a worker is frozen past the visibility timeout, another finishes its jobs, then it thaws."""
    frozen = lab.worker()
    lab.publish(2, job_seconds=2)
    lab.wait_for_starts(2)
    processes.signal_family(frozen, signal.SIGSTOP)
    lab.worker()
    processes.wait_until(lambda: len(lab.lines("effect")) >= 2, what="the second worker finished", seconds=40)
    processes.signal_family(frozen, signal.SIGCONT)
    # Until the job that slept in the frozen child is over as well.
    time.sleep(4)
    return Outcome(
        scenario="S28",
        fault="worker frozen past the visibility timeout, then thawed",
        injections=1,
        acked=len(lab.ledger()),
        lost=lab.lost(),
        doubled=lab.doubled(),
        recoveries=lab.restarts(),
        note=f"visibility timeout {lab.options.visibility_timeout:.0f} s; the thawed worker completes its jobs once more",
    )


def longer_than_timeout(lab: Lab) -> Outcome:
    """S30: a job takes longer than the visibility timeout, on three slots."""
    lab.worker(slots=3)
    lab.publish(1, job_seconds=10)
    lab.wait_for_starts(1)
    time.sleep(30)
    starts, effects = len(lab.lines("start")), len(lab.lines("effect"))
    return Outcome(
        scenario="S30",
        fault=f"a 10 s job, visibility timeout {lab.options.visibility_timeout:.0f} s, 3 slots",
        injections=1,
        acked=1,
        lost=lab.lost(),
        doubled=lab.doubled(),
        recoveries=lab.restarts(),
        note=f"{starts} starts and {effects} completions of one job in 30 s",
    )


def starved_by_longer(lab: Lab) -> Outcome:
    """S30 with one slot: what is queued behind such a job."""
    lab.worker(slots=1)
    lab.publish(1, job_seconds=6)
    lab.wait_for_starts(1)
    lab.publish(5, job_seconds=0.05)
    time.sleep(30)
    done = {line.job_id for line in lab.lines("effect")}
    waiting = sum(job_id not in done for job_id in lab.ledger()[1:])
    return Outcome(
        scenario="S30",
        fault=f"a 6 s job, visibility timeout {lab.options.visibility_timeout:.0f} s, 1 slot, 5 short jobs behind it",
        injections=1,
        acked=6,
        lost=None,
        doubled=lab.doubled(),
        note=f"the long job was started {len(lab.lines('start')) - (5 - waiting)} times in 30 s; "
        f"{waiting} of 5 short jobs were still waiting",
    )
