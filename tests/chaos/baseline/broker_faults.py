"""What happens to the jobs of plain Celery when Redis is killed, wiped, flushed or frozen."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time

from tests.benchmarks.peers import processes
from tests.chaos.baseline import client
from tests.chaos.baseline.lab import Lab
from tests.chaos.baseline.outcome import Outcome

REDIS_KILLS = 3
DOWN_SECONDS = 3.0
FROZEN_SECONDS = 30.0


def redis_killed(lab: Lab) -> Outcome:
    """S11: Redis is killed with jobs queued and running, and started again with its append-only file."""
    lab.worker()
    recoveries = []
    for _ in range(REDIS_KILLS):
        lab.publish(30, job_seconds=0.2)
        time.sleep(lab.chance.uniform(0.2, 1.0))
        lab.broker.kill()
        # What a web application would be told meanwhile.
        lab.publish(2, job_seconds=0.05)
        time.sleep(DOWN_SECONDS)
        lab.broker.start()
        recoveries.append(_seconds_to_next_effect(lab))
        lab.drain(seconds=40)
    return Outcome(
        scenario="S11",
        fault="kill -9 of Redis with AOF, restart after 3 s",
        injections=REDIS_KILLS,
        acked=len(lab.ledger()),
        lost=lab.lost(),
        doubled=lab.doubled(),
        recoveries=recoveries,
        note=f"{len(lab.ledger(acked=False))} of {2 * REDIS_KILLS} requests made while Redis was down were refused; "
        "recovery: from Redis's return to the next effect",
    )


def redis_wiped(lab: Lab) -> Outcome:
    """S12: Redis is killed and its data are gone."""
    lab.worker()
    lab.publish(200, job_seconds=0.2)
    lab.wait_for_starts(10)
    lab.broker.kill()
    shutil.rmtree(lab.folder / "redis")
    lab.broker.start()
    recovery = _seconds_to_effect_of_new_job(lab)
    lab.drain(seconds=30)
    return Outcome(
        scenario="S12",
        fault="kill -9 of Redis, data folder wiped, 200 jobs published",
        injections=1,
        acked=len(lab.ledger()),
        lost=lab.lost(),
        doubled=lab.doubled(),
        recoveries=[recovery],
        note="recovery: of new jobs; nothing brings back the old ones",
    )


def flushed(lab: Lab) -> Outcome:
    """S13: FLUSHALL with jobs queued and running."""
    lab.worker()
    lab.publish(1_000, job_seconds=0.5)
    lab.wait_for_starts(10)
    with lab.connection() as opened:
        opened.flushall()
    recovery = _seconds_to_effect_of_new_job(lab)
    lab.drain(seconds=30)
    return Outcome(
        scenario="S13",
        fault="FLUSHALL, 1,000 jobs published",
        injections=1,
        acked=len(lab.ledger()),
        lost=lab.lost(),
        doubled=lab.doubled(),
        recoveries=[recovery],
        note="recovery: of new jobs; nothing brings back the old ones",
    )


def publish_against_frozen(lab: Lab) -> Outcome:
    """S14: `.delay()` while Redis is stopped by SIGSTOP."""
    os.kill(lab.broker.pid, signal.SIGSTOP)
    begun = time.monotonic()
    with contextlib.suppress(subprocess.TimeoutExpired):
        lab.client(1, job_seconds=0.01).wait(FROZEN_SECONDS)
    blocked = time.monotonic() - begun
    os.kill(lab.broker.pid, signal.SIGCONT)
    answered = (lab.folder / client.LEDGER_FILE).exists()
    lines = (lab.folder / client.LEDGER_FILE).read_text().splitlines() if answered else []
    said = (
        f"an error after {json.loads(lines[0])['seconds']:.1f} s" if lines else f"still blocked after {blocked:.0f} s"
    )
    return Outcome(
        scenario="S14",
        fault=f".delay() against a frozen Redis, socket_timeout={lab.options.socket_timeout or 'default'}",
        injections=1,
        acked=len(lab.ledger()),
        lost=None,
        doubled=None,
        note=said,
    )


def phantom_publish(lab: Lab) -> Outcome:
    """S14 on an open connection: whether what raised was published all the same."""
    load = lab.client(600, job_seconds=0.01, per_second=20)
    processes.wait_until(lambda: len(lab.ledger()) >= 5, what="the client publishes", seconds=30)
    os.kill(lab.broker.pid, signal.SIGSTOP)
    processes.wait_until(lambda: lab.ledger(acked=False), what="a publish raised", seconds=60)
    os.kill(load.pid, signal.SIGKILL)
    load.wait()
    refused = set(lab.ledger(acked=False))
    os.kill(lab.broker.pid, signal.SIGCONT)
    lab.worker()
    lab.drain(seconds=30)
    ran = sum(line.job_id in refused for line in lab.lines("effect"))
    return Outcome(
        scenario="S14",
        fault=f"the same on an open connection, socket_timeout={lab.options.socket_timeout:.0f}",
        injections=1,
        acked=len(lab.ledger()),
        lost=lab.lost(),
        doubled=lab.doubled(),
        note=f"of {len(refused)} refused with an error, {ran} effects happened all the same",
    )


def _seconds_to_next_effect(lab: Lab) -> float:
    begun, before = time.monotonic(), len(lab.lines("effect"))
    processes.wait_until(lambda: len(lab.lines("effect")) > before, what="the next effect", seconds=60)
    return time.monotonic() - begun


def _seconds_to_effect_of_new_job(lab: Lab) -> float:
    begun, job_id = time.monotonic(), lab.submit("work", 0.05)
    processes.wait_until(
        lambda: any(line.job_id == job_id for line in lab.lines("effect")), what="a new job's effect", seconds=60
    )
    return time.monotonic() - begun
