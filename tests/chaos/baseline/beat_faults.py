"""What plain Celery's scheduler does when two of it run, as a deploy or a failover brings about."""

import time

from tests.benchmarks.peers import processes
from tests.chaos.baseline.lab import Lab
from tests.chaos.baseline.outcome import Outcome

TICKS = 6


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
