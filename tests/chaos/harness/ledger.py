"""The load client's book: every attempt and what came of it, written before the next one is made.

What a client does not know (a time-out, a reset) it tries again with the same key until it does. The accounts are made from this
book and from SQL, never from logs.
"""

import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import httpx

from tests.chaos.harness.running import ChaosStack, Organisation
from tests.chaos.stack.probes import Probe, ProbeType

REQUEST_SECONDS = 10.0
RETRY_SECONDS = 0.25
# How long a request that got no answer is tried again; every fault ends sooner.
PATIENCE_SECONDS = 180.0
# Answers after which the same request is sent again: the database is away, or another try with the same key is being decided.
UNDECIDED = frozenset({409, 429, 503})


class Answer(StrEnum):
    """What the client was told."""

    ACKED = "acked"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Work:
    """A request to be made."""

    path: str
    body: dict[str, Any]
    file: bytes | None = None
    """What an import uploads."""

    @classmethod
    def probe(cls, kind: ProbeType, **members: Any) -> "Work":
        """A request for a probe."""
        return cls("/v1/probes", Probe(type=kind, **members).model_dump(mode="json", exclude_defaults=True))

    @classmethod
    def report(cls, kind: str, **params: Any) -> "Work":
        """A request for a report of its own: the same one, asked for by another, is another job."""
        return cls("/v1/reports", {"type": kind, "params": params, "max_age": 0})

    @classmethod
    def import_(cls, dataset: str, file: bytes) -> "Work":
        return cls(f"/v1/imports?dataset={dataset}", {"type": dataset}, file)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of the book."""

    key: str
    organisation: str
    path: str
    type: str
    answer: Answer
    status: int | None
    job_id: str | None
    seconds: float
    at: float


Maker = Callable[[random.Random], Work]


def credits_only(chance: random.Random) -> Work:
    """The ordinary load: small jobs that change an account."""
    return Work.probe(ProbeType.CREDIT, n=chance.randint(1, 1_000))


def mixed(chance: random.Random) -> Work:
    """Small jobs, among them some that take a moment."""
    if chance.random() < 0.3:
        return Work.probe(ProbeType.SLOW, n=chance.randint(1, 1_000), seconds=round(chance.uniform(0.2, 1.5), 2))
    return credits_only(chance)


@dataclass
class Ledger:
    """The book of one scenario. Safe to be written by many threads: each has its own file."""

    stack: ChaosStack
    folder: Path
    organisations: Sequence[Organisation]
    attempts: list[Attempt] = field(default_factory=list)
    request_seconds: float = REQUEST_SECONDS
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def clerk(self) -> "Clerk":
        """Return one that submits from the calling thread."""
        return Clerk(self)

    def submit(self, work: Work, *, organisation: Organisation | None = None) -> str:
        """Submit once, with patience, and return the job's id."""
        with self.clerk() as clerk:
            job_id = clerk.submit(work, organisation or self.organisations[0])
        if job_id is None:
            raise AssertionError(f"was not accepted: {self.attempts[-1]}")
        return job_id

    def write(self, attempt: Attempt) -> None:
        with self._lock:
            self.attempts.append(attempt)

    @property
    def acked(self) -> dict[str, str]:
        """Job ids by key."""
        return {one.key: one.job_id for one in self._snapshot() if one.answer is Answer.ACKED and one.job_id}

    @property
    def job_ids(self) -> list[str]:
        return list(dict.fromkeys(self.acked.values()))

    @property
    def keys(self) -> set[str]:
        """Every key that was ever sent."""
        return {one.key for one in self._snapshot()}

    def unresolved(self) -> set[str]:
        """Keys of which it was never learnt whether they were accepted."""
        attempts = self._snapshot()
        unknown = {one.key for one in attempts if one.answer is Answer.UNKNOWN or one.status in UNDECIDED}
        return unknown - {one.key for one in attempts if one.answer is Answer.ACKED}

    def statuses(self) -> dict[str, int]:
        """How often each answer was given, by its status or `no answer`."""
        counts: dict[str, int] = {}
        for one in self._snapshot():
            name = str(one.status) if one.status is not None else "no answer"
            counts[name] = counts.get(name, 0) + 1
        return counts

    def latencies(self, *, since: float = 0.0, until: float = float("inf")) -> list[float]:
        """Seconds of each request made in this time, in order of size."""
        return sorted(one.seconds for one in self._snapshot() if since <= one.at <= until)

    def _snapshot(self) -> list[Attempt]:
        with self._lock:
            return list(self.attempts)


class Clerk:
    """Submits from one thread, and writes down each attempt in a file of its own."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._file = (ledger.folder / f"attempts-{uuid.uuid4().hex[:8]}.jsonl").open("a", encoding="utf-8")
        self._http = httpx.Client(base_url=ledger.stack.web_url, timeout=ledger.request_seconds, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self._file.close()

    def submit(
        self, work: Work, organisation: Organisation, *, key: str | None = None, patience: float = PATIENCE_SECONDS
    ) -> str | None:
        """Send a request until its fate is known; returns the job's id, or None where it was refused or never known."""
        key = key or uuid.uuid4().hex
        deadline = time.monotonic() + patience
        while True:
            attempt = self._attempt(work, organisation, key)
            again = attempt.answer is Answer.UNKNOWN or attempt.status in UNDECIDED
            if not again or time.monotonic() > deadline:
                return attempt.job_id
            time.sleep(RETRY_SECONDS)

    def _attempt(self, work: Work, organisation: Organisation, key: str) -> Attempt:
        headers = {"Authorization": f"Bearer {organisation.api_key}", "Idempotency-Key": key}
        at, started = time.time(), time.monotonic()
        status, job_id = None, None
        try:
            if work.file is None:
                response = self._http.post(work.path, json=work.body, headers=headers)
            else:
                response = self._http.post(work.path, content=work.file, headers=headers)
        except httpx.TransportError:
            answer = Answer.UNKNOWN
        else:
            status = response.status_code
            answer = Answer.ACKED if status in {200, 202} else Answer.REFUSED
            job_id = response.json()["id"] if answer is Answer.ACKED else None
        attempt = Attempt(
            key=key,
            organisation=str(organisation.id),
            path=work.path,
            type=str(work.body.get("type", "")),
            answer=answer,
            status=status,
            job_id=job_id,
            seconds=round(time.monotonic() - started, 4),
            at=at,
        )
        self._file.write(json.dumps(asdict(attempt)) + "\n")
        self._file.flush()
        self._ledger.write(attempt)
        return attempt


class Load:
    """A steady stream of requests, from several threads, for the length of a block."""

    def __init__(self, ledger: Ledger, make: Maker, *, rate: float, threads: int, seed: int) -> None:
        self._ledger = ledger
        self._make = make
        self._pause = threads / rate
        self._stop = threading.Event()
        self._failures: list[BaseException] = []
        self._threads = [
            threading.Thread(
                target=self._run, args=(random.Random(seed * 1_000 + number),), name=f"load {number}", daemon=True
            )
            for number in range(threads)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop submitting; what has no answer yet is tried again until it has one."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS + 2 * REQUEST_SECONDS)
        if any(thread.is_alive() for thread in self._threads):
            raise AssertionError("the load client hangs")
        if self._failures:
            raise self._failures[0]

    def _run(self, chance: random.Random) -> None:
        try:
            with self._ledger.clerk() as clerk:
                self._submit_all(clerk, chance)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that reads the accounts
            self._failures.append(error)

    def _submit_all(self, clerk: Clerk, chance: random.Random) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            clerk.submit(self._make(chance), chance.choice(self._ledger.organisations))
            # After a pause of the whole stack the lost requests are not made up for in one burst.
            due = max(due + self._pause, time.monotonic() - 1.0)
