"""S36: hours of random faults, with an eye on what grows: memory, tables, lists."""

import dataclasses
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.chaos.harness import mix, suite
from tests.chaos.harness.running import ChaosStack
from tests.chaos.harness.scenario import Run, Scenario, play
from tests.chaos.harness.suite import Pool

FAULT_EVERY_SECONDS = 60.0
RATE = 5.0
SAMPLE_EVERY_SECONDS = 30.0
# The product's own lease: in a soak there is time enough.
PLAN = dataclasses.replace(mix.QUICK, environment={}, without=())
MOST_GROWTH_BYTES_PER_HOUR = 1024 * 1024
MEGABYTE = 1024 * 1024
# Shorter than this a slope says nothing: caches are still being filled.
SHORTEST_JUDGED_HOURS = 2.0


@dataclass(frozen=True, slots=True)
class Sample:
    """How much memory a process of a name has at a moment since its own start."""

    name: str
    pid: int
    at: float
    bytes: int


def run(*, hours: float, seed: int, folder: Path) -> int:
    """Soak a stack, print what came of it, and return an exit code."""
    print(f"soak of {hours:g} hours, seed {seed}, histories in {folder}", flush=True)
    pool = Pool(folder)
    whole = Scenario("S36", f"{hours:g} hours of random faults", lambda run: _soak(run, hours), PLAN)
    try:
        outcome = play(whole, pool.get(PLAN), seed=seed, scale=1.0, folder=folder / "S36")
    finally:
        pool.close()
    print(f"{suite.short(outcome)}\n\n{suite.table([outcome])}")
    suite.write_json(folder / "outcomes.json", [outcome], pool.points, seed=seed, scale=1.0)
    return 1 if outcome.failure else 0


def _soak(run: Run, hours: float) -> None:
    samples: list[Sample] = []
    mix.play(
        run,
        seconds=hours * 3600,
        every=FAULT_EVERY_SECONDS,
        rate=RATE,
        sample=lambda: samples.extend(_memory(run.stack)),
        sample_every=SAMPLE_EVERY_SECONDS,
    )
    slopes = growth(samples)
    run.note("memory per hour: " + ", ".join(f"{name} {slope / MEGABYTE:+.2f} MB" for name, slope in slopes.items()))
    run.note(f"database {run.stack.one('SELECT pg_database_size(current_database())') // MEGABYTE} MB")
    if hours >= SHORTEST_JUDGED_HOURS:
        assert max(slopes.values(), default=0.0) < MOST_GROWTH_BYTES_PER_HOUR, slopes


def _memory(stack: ChaosStack) -> list[Sample]:
    samples = []
    for name, pid in stack.pids.items():
        try:
            samples.append(Sample(name, pid, time.monotonic(), psutil.Process(pid).memory_info().rss))
        except psutil.NoSuchProcess:
            continue
    return samples


def growth(samples: list[Sample]) -> dict[str, float]:
    """Return by how many bytes an hour each process of the stack grew: the slope over the longest life of one of its pids.

    The first third of a life is left out: imports and caches are no leak.
    """
    lives: dict[tuple[str, int], list[Sample]] = {}
    for sample in samples:
        lives.setdefault((sample.name, sample.pid), []).append(sample)
    longest: dict[str, list[Sample]] = {}
    for (name, _), life in lives.items():
        if len(life) > len(longest.get(name, [])):
            longest[name] = life
    slopes = {}
    for name, life in sorted(longest.items()):
        settled = life[len(life) // 3 :]
        if len(settled) > 2:
            line = statistics.linear_regression([one.at for one in settled], [one.bytes for one in settled])
            slopes[name] = line.slope * 3600
    return slopes
