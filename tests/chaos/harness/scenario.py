"""Scenarios by name, what one is given, and what comes of it."""

import contextlib
import json
import random
import statistics
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.chaos.harness import accounts, faults
from tests.chaos.harness.accounts import Accounts, Hashes
from tests.chaos.harness.faults import Hit
from tests.chaos.harness.ledger import Ledger, Load, Maker, credits_only
from tests.chaos.harness.running import DEFAULT, ChaosStack, Plan
from tests.client import wait_for

DRAIN_SECONDS = 120.0
ORGANISATIONS = 3
# How long a fault may find nothing to strike at while there is load.
VICTIM_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row of the table in docs/reliability.md."""

    name: str
    title: str
    seed: int
    injections: int
    kills: int
    jobs: int
    lost: int
    doubled: int
    recoveries: tuple[float, ...]
    seconds: float
    notes: tuple[str, ...]
    failure: str | None = None

    @property
    def median(self) -> float | None:
        return statistics.median(self.recoveries) if self.recoveries else None

    @property
    def longest(self) -> float | None:
        return max(self.recoveries, default=None)


@dataclass
class Run:
    """What a scenario works with: its stack, its chance, its size; and what it writes down."""

    stack: ChaosStack
    seed: int
    scale: float
    folder: Path
    injections: int = 0
    kills: int = 0
    recoveries: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    settled: list[Accounts] = field(default_factory=list)
    _struck: list[Hit] = field(default_factory=list)
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def times(self, number: int) -> range:
        """So many times at full scale, at least once."""
        return range(max(1, round(number * self.scale)))

    def ledger(self, *, organisations: int = ORGANISATIONS) -> Ledger:
        """Open a book, for organisations that are its own."""
        name = f"ledger-{len(list(self.folder.glob('ledger-*')))}"
        return Ledger(self.stack, self.folder / name, [self.stack.new_organisation() for _ in range(organisations)])

    @contextlib.contextmanager
    def load(
        self, make: Maker = credits_only, *, rate: float = 8.0, threads: int = 4, ledger: Ledger | None = None
    ) -> Iterator[Ledger]:
        """Submit steadily for the length of the block. Every request has its answer when the block has ended."""
        book = ledger or self.ledger()
        with Load(book, make, rate=rate, threads=threads, seed=self.seed):
            yield book

    def injected(self, *, kill: bool = False) -> None:
        """Count a fault."""
        self.injections += 1
        self.kills += kill

    def hit(self, hit: Hit | None) -> Hit | None:
        """Count a kill, if it struck anything. How long its jobs waited for their next start is found out at the settling."""
        if hit is not None:
            self.injected(kill=True)
            self._struck.append(hit)
        return hit

    def strikes(
        self, number: int, fault: Callable[[], Hit | None], *, pause: tuple[float, float] = (0.1, 0.5)
    ) -> Iterator[Hit]:
        """Kill so often at full scale, a random moment apart. A fault that found no victim is tried again, within limits."""
        for _ in self.times(number):
            time.sleep(self.chance.uniform(*pause))
            yield wait_for(lambda: self.hit(fault()), seconds=VICTIM_SECONDS, pause=0.02)

    def recovered(self, hit: Hit) -> None:
        """Wait until every job that the kill hit is claimed again, and write down how long that took."""
        if hit in self._struck:
            self._struck.remove(hit)
        self.recoveries += faults.seconds_to_next_claim(self.stack, hit)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def settle(self, ledger: Ledger, *, within: float = DRAIN_SECONDS, hashes: Hashes | None = None) -> Accounts:
        """Let the backlog drain, make the accounts, and fail unless they are clean."""
        faults.note_points(self.stack)
        accounts.wait_until_drained(ledger, seconds=within)
        for hit in list(self._struck):
            self.recovered(hit)
        made = accounts.take(ledger, seed=self.seed, hashes=hashes)
        self.settled.append(made)
        made.assert_clean()
        return made

    def outcome(self, scenario: "Scenario", *, seconds: float, failure: str | None) -> Outcome:
        return Outcome(
            name=scenario.name,
            title=scenario.title,
            seed=self.seed,
            injections=self.injections,
            kills=self.kills,
            jobs=sum(made.acked for made in self.settled),
            lost=sum(len(made.lost) for made in self.settled),
            doubled=sum(len(made.doubled) for made in self.settled),
            recoveries=tuple(round(each, 2) for each in self.recoveries),
            seconds=round(seconds, 1),
            notes=tuple(self.notes),
            failure=failure,
        )


Play = Callable[[Run], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named fault and how it is played."""

    name: str
    title: str
    play: Play
    plan: Plan


REGISTRY: dict[str, Scenario] = {}


def scenario(name: str, title: str, *, plan: Plan = DEFAULT) -> Callable[[Play], Play]:
    """Register a scenario under its name (`S1`)."""

    def register(play: Play) -> Play:
        if name in REGISTRY:
            raise ValueError(f"there are two scenarios {name}")
        REGISTRY[name] = Scenario(name, title, play, plan)
        return play

    return register


def play(chosen: Scenario, stack: ChaosStack, *, seed: int, scale: float, folder: Path) -> Outcome:
    """Play a scenario on a running stack. Whatever goes wrong is part of the outcome: the suite goes on with the next."""
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(stack, seed, scale, folder)
    started, started_at = time.monotonic(), time.time()
    failure = None
    try:
        chosen.play(run)
    except AssertionError as error:
        failure = str(error) or "an assertion without words"
    except Exception:  # noqa: BLE001 - a night's run must not end with its first surprise
        failure = traceback.format_exc()
    _keep_history(stack, started_at, folder)
    return run.outcome(chosen, seconds=time.monotonic() - started, failure=failure)


def _keep_history(stack: ChaosStack, since: float, folder: Path) -> None:
    """Keep what happened to the jobs of a scenario beside its ledger: the stack's database goes."""
    query = (
        "SELECT row_to_json(e) FROM job_events AS e JOIN jobs AS j ON j.id = e.job_id"
        " WHERE j.created_at >= to_timestamp(%(since)s) ORDER BY e.id"
    )
    with contextlib.suppress(psycopg.OperationalError), (folder / "events.jsonl").open("w", encoding="utf-8") as file:
        for (event,) in stack.rows(query, {"since": since}):
            file.write(json.dumps(event) + "\n")


def in_order(names: Sequence[str]) -> list[str]:
    """Sort S2 before S10."""
    return sorted(names, key=lambda name: (int("".join(filter(str.isdigit, name)) or 0), name))
