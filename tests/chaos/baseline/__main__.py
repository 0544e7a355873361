"""`python -m tests.chaos.baseline`: the faults of docs/reliability.md on plain Celery with its best settings.

Celery acknowledges late, takes one message at a time, never gives up on Redis and reads it with the stack's own settings.
A small visibility timeout stands where the scenario waits for it; the default is an hour.
"""

import argparse
import dataclasses
import json
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.chaos.baseline import beat_faults, broker_faults, outcome, worker_faults
from tests.chaos.baseline.lab import Lab
from tests.chaos.baseline.plain import Options

REJECTING = Options(visibility_timeout=60, reject_on_worker_lost=True)
SCENARIOS: tuple[tuple[str, Callable[[Lab], outcome.Outcome], Options], ...] = (
    ("S1", worker_faults.child_killed, Options(visibility_timeout=60)),
    ("S1", worker_faults.child_killed, REJECTING),
    ("S2", worker_faults.parent_killed, Options(visibility_timeout=10)),
    ("S3", worker_faults.killed_in_brpop, Options(visibility_timeout=5)),
    ("S5", worker_faults.poison, Options(visibility_timeout=60)),
    ("S5", worker_faults.poison, REJECTING),
    ("S11", broker_faults.redis_killed, Options(visibility_timeout=10)),
    ("S12", broker_faults.redis_wiped, Options(visibility_timeout=10)),
    ("S13", broker_faults.flushed, Options(visibility_timeout=10)),
    ("S14", broker_faults.publish_against_frozen, Options(socket_timeout=None)),
    ("S14", broker_faults.publish_against_frozen, Options(socket_timeout=2)),
    ("S14", broker_faults.phantom_publish, Options(socket_timeout=2)),
    ("S28", worker_faults.frozen_past_timeout, Options(visibility_timeout=5)),
    ("S30", worker_faults.longer_than_timeout, Options(visibility_timeout=3)),
    ("S30", worker_faults.starved_by_longer, Options(visibility_timeout=3)),
    ("S31", beat_faults.two_beats, Options(tick_seconds=2)),
    ("S31", beat_faults.redis_down_at_tick, Options(tick_seconds=2)),
)


def run(folder: Path, *, seed: int, only: frozenset[str] = frozenset()) -> Iterator[outcome.Outcome]:
    """Run the chosen scenarios one after the other, each with a Redis of its own."""
    for number, (name, scenario, options) in enumerate(SCENARIOS):
        if only and name not in only:
            continue
        # Of its own, so that a scenario's chances do not depend on which others are run.
        chance = random.Random(f"{seed}-{number}")
        with Lab(folder / f"{number}", options, chance) as lab:
            yield scenario(lab)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.baseline", description=__doc__)
    parser.add_argument("--only", default="", help="scenarios, for example S3,S13")
    parser.add_argument("--json", type=Path, help="also write the outcomes to this file")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    asked = parser.parse_args()
    only = frozenset(filter(None, asked.only.split(",")))
    if unknown := only - {name for name, _, _ in SCENARIOS}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    print(f"seed {asked.seed}", flush=True)
    found: list[outcome.Outcome] = []
    begun = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="reckoner-baseline-") as name:
            for one in run(Path(name), seed=asked.seed, only=only):
                found.append(one)
                print(f"{time.monotonic() - begun:.0f} s: {one.scenario}, {one.note}", file=sys.stderr, flush=True)
    finally:
        # What was found before a scenario failed is worth as much.
        print(outcome.table(found))
        if asked.json is not None:
            outcomes = [dataclasses.asdict(one) for one in found]
            asked.json.write_text(json.dumps({"seed": asked.seed, "outcomes": outcomes}, indent=2) + "\n")


if __name__ == "__main__":
    main()
