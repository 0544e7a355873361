"""Plays scenarios one after another, each on a stack of the kind it needs, and shows what came of them."""

import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from models.failpoints import Point
from tests.chaos import scenarios
from tests.chaos.harness import scenario
from tests.chaos.harness.running import ChaosStack, Plan
from tests.chaos.harness.scenario import Outcome, Scenario
from tests.client import ROOT

RESULTS = ROOT / "var" / "chaos"


class Pool:
    """One stack at a time: kept while the next scenario needs the same kind, replaced where it needs another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack: ChaosStack | None = None
        self._number = 0
        self.points: Counter[str] = Counter()

    def get(self, plan: Plan) -> ChaosStack:
        if self._stack is None or self._stack.plan != plan:
            self.close()
            self._number += 1
            stack = ChaosStack(self._folder / f"stack-{self._number}", plan)
            stack.start()
            self._stack = stack
        return self._stack

    def close(self) -> None:
        """Stop the stack that runs. Its log stays."""
        stack, self._stack = self._stack, None
        if stack is not None:
            self.points.update(stack.points)
            stack.stop()
            stack.remove()


def registry() -> dict[str, Scenario]:
    """Return every scenario by name."""
    scenarios.load()
    return scenario.REGISTRY


def play_all(
    names: Sequence[str], *, seed: int, scale: float, folder: Path, say: Callable[[str], None] = print
) -> tuple[list[Outcome], Counter[str]]:
    """Play these scenarios; those with equal plans follow one another on one stack."""
    pool = Pool(folder)
    outcomes = []
    try:
        for chosen in _grouped([registry()[name] for name in scenario.in_order(names)]):
            say(f"{chosen.name}: {chosen.title} (seed {seed}, scale {scale:g})")
            stack = pool.get(chosen.plan)
            outcome = scenario.play(chosen, stack, seed=seed, scale=scale, folder=folder / chosen.name)
            outcomes.append(outcome)
            say(f"    {short(outcome)}")
            if outcome.failure is not None:
                # What went wrong may have left the stack in a state that would fail the next one for no reason of its own.
                pool.close()
    finally:
        pool.close()
    return outcomes, pool.points


def _grouped(chosen: Iterable[Scenario]) -> list[Scenario]:
    groups: dict[Plan, list[Scenario]] = {}
    for one in chosen:
        groups.setdefault(one.plan, []).append(one)
    return [one for group in groups.values() for one in group]


def short(outcome: Outcome) -> str:
    """Return an outcome in words."""
    recovery = (
        "" if outcome.median is None else f", recovery {outcome.median:.2f} s median, {outcome.longest:.2f} s at most"
    )
    text = (
        f"{outcome.injections} injections, {outcome.kills} kills, {outcome.jobs} jobs, {outcome.lost} lost, "
        f"{outcome.doubled} doubled{recovery}, {outcome.seconds:.0f} s"
    )
    notes = "".join(f"\n    - {note}" for note in outcome.notes)
    failure = f"\n    FAILED: {outcome.failure}" if outcome.failure else ""
    return text + notes + failure


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes as a Markdown table."""
    lines = [
        "| Scenario | Fault | Injections | Jobs | Lost | Doubled | Recovery median (s) | Recovery max (s) | Notes |",
        "|---|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for one in sorted(outcomes, key=lambda one: scenario.in_order([o.name for o in outcomes]).index(one.name)):
        median = "" if one.median is None else f"{one.median:.2f}"
        longest = "" if one.longest is None else f"{one.longest:.2f}"
        notes = "; ".join((*one.notes, *(("**failed**",) if one.failure else ())))
        lines.append(
            f"| {one.name} | {one.title} | {one.injections} | {one.jobs} | {one.lost} | {one.doubled}"
            f" | {median} | {longest} | {notes} |"
        )
    recoveries = [each for one in outcomes for each in one.recoveries]
    median = f"{statistics.median(recoveries):.2f}" if recoveries else ""
    lines.append(
        f"| **All** | {sum(one.kills for one in outcomes)} kills | {sum(one.injections for one in outcomes)}"
        f" | {sum(one.jobs for one in outcomes)} | {sum(one.lost for one in outcomes)}"
        f" | {sum(one.doubled for one in outcomes)} | {median} | {max(recoveries, default=0):.2f} | |"
    )
    return "\n".join(lines)


def points_table(points: Counter[str]) -> str:
    """Return how often each failpoint was reached while armed."""
    return "\n".join(
        ["| Failpoint | Hits |", "|---|---:|", *(f"| `{point}` | {points[point.value]} |" for point in Point)]
    )


def write_json(path: Path, outcomes: Sequence[Outcome], points: Counter[str], *, seed: int, scale: float) -> None:
    content = {
        "seed": seed,
        "scale": scale,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "points": dict(points),
        "outcomes": [asdict(one) for one in outcomes],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
