"""What plain Celery's scheduler does when two of it run, as a deploy or a failover brings about, or Redis is down at a tick."""

import time

from tests.benchmarks.peers import processes
from tests.chaos.baseline.lab import Lab
from tests.chaos.baseline.outcome import Outcome

TICKS = 6
DOWN_SECONDS = 10.0
AFTERWARDS_SECONDS = 6.0


def two_beats(lab: Lab) -> Outcome:
    """S31: two beats with one schedule."""
    lab.worker()
    beats = [lab.beat(), lab.beat()]
    processes.wait_until(lambda: len(lab.lines("effect")) >= 2, what="both beats tick", seconds=30)
    before = len(lab.lines("effect"))
    time.sleep(TICKS * lab.options.tick_seconds)
    ticks = len(lab.lines("effect")) - before
    for beat in beats:
        processes.end(beat)
    return Outcome(
        scenario="S31",
        fault="two beats",
        injections=1,
        acked=TICKS,
        lost=max(0, TICKS - ticks),
        doubled=max(0, ticks - TICKS),
        note=f"{ticks} ticks ran where {TICKS} were due",
    )


def redis_down_at_tick(lab: Lab) -> Outcome:
    """S31: Redis is down for five ticks."""
    lab.worker()
    beat = lab.beat()
    processes.wait_until(lambda: len(lab.lines("effect")) >= 2, what="beat ticks", seconds=30)
    before, begun = len(lab.lines("effect")), time.monotonic()
    lab.broker.kill()
    time.sleep(DOWN_SECONDS)
    lab.broker.start()
    processes.wait_until(lambda: len(lab.lines("effect")) > before, what="beat ticks again", seconds=60)
    recovery = time.monotonic() - begun - DOWN_SECONDS
    time.sleep(AFTERWARDS_SECONDS)
    ran, due = len(lab.lines("effect")) - before, round((time.monotonic() - begun) / lab.options.tick_seconds)
    processes.end(beat)
    return Outcome(
        scenario="S31",
        fault=f"Redis down for {DOWN_SECONDS:.0f} s, a tick every {lab.options.tick_seconds:.0f} s",
        injections=1,
        acked=due,
        lost=max(0, due - ran),
        doubled=max(0, ran - due),
        recoveries=[recovery],
        note=f"{ran} ticks ran where {due} were due; those missed are not made up",
    )
