"""Messages come twice, in disorder, too late, too early, and for jobs that nobody knows."""

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import httpx
from prometheus_client import parser

from models.tally import Count
from tests.chaos.harness import faults
from tests.chaos.harness.forger import Forger
from tests.chaos.harness.ledger import Ledger, Work, credits_only, mixed
from tests.chaos.harness.running import ChaosStack, Plan
from tests.chaos.harness.scenario import Run, scenario
from tests.chaos.stack.probes import ProbeType
from tests.client import ROOT, wait_for

DRAIN_SECONDS = 120.0
LATEST_COPY_SECONDS = 20.0
MOST_COPIES = 4
REPLAYS = 2
UNKNOWN_IDS = 500
RESTORED_JOBS = 100
RESTORED_ORGANISATIONS = 20
# So many of an organisation's jobs at least are given to Redis at once.
MESSAGES_OF_LANE = 4
SHORT_VISIBILITY = "tests.chaos.stack.short_visibility"
REFUSED = 78
MISCONFIGURED = Plan(
    environment={"ALLOW_UNSAFE": "true"},
    apps={"worker-reports": SHORT_VISIBILITY},
    twice=("worker-reports",),
)
# What a small job may wait for a slot among long ones that are handed out again and again.
LONGEST_WAIT_SECONDS = 30.0


def counted(stack: ChaosStack, name: Count) -> int:
    return int(stack.one("SELECT coalesce(sum(value), 0) FROM tallies WHERE name = %(name)s", {"name": name.value}))


def in_metrics(stack: ChaosStack, name: str) -> int:
    """Return the sum of a counter in `/metrics`."""
    text = httpx.get(f"{stack.web_url}/metrics", timeout=10, trust_env=False).text
    samples = (sample for family in parser.text_string_to_metric_families(text) for sample in family.samples)
    return int(sum(sample.value for sample in samples if sample.name == f"reckoner_{name}_total"))


class Copier(threading.Thread):
    """Sends each acknowledged job's message again, several times: at once, late, and in disorder."""

    def __init__(self, ledger: Ledger, forger: Forger, chance: random.Random) -> None:
        super().__init__(name="copier")
        self._ledger, self._forger, self._chance = ledger, forger, chance
        self._stopped = threading.Event()
        self._due: list[tuple[float, str]] = []
        self._known: set[str] = set()
        self.sent = 0

    def run(self) -> None:
        while not self._stopped.wait(0.05):
            self._copy_new()
            self._send(before=time.monotonic())
        self._copy_new()
        self._send(before=float("inf"))

    def stop(self) -> None:
        self._stopped.set()
        self.join()

    def replay(self) -> None:
        """Send the messages of all jobs once more, in any order."""
        ids = list(self._known)
        self._chance.shuffle(ids)
        self._due += [(0.0, job_id) for job_id in ids]
        self._send(before=1.0)

    def _copy_new(self) -> None:
        now = time.monotonic()
        for job_id in self._ledger.job_ids:
            if job_id in self._known:
                continue
            self._known.add(job_id)
            for _ in range(self._chance.randint(1, MOST_COPIES)):
                late = 0.0 if self._chance.random() < 0.5 else self._chance.uniform(0, LATEST_COPY_SECONDS)
                self._due.append((now + late, job_id))

    def _send(self, *, before: float) -> None:
        ready = [job_id for at, job_id in self._due if at <= before]
        self._due = [entry for entry in self._due if entry[0] > before]
        self._chance.shuffle(ready)
        for job_id in ready:
            self._forger.send(job_id, express=self._chance.random() < 0.5)
            self.sent += 1


@scenario("S29", "Every message is delivered two to five times, in disorder, late, and again after its job is done")
def duplicate(run: Run) -> None:
    forger = Forger(run.stack)
    before = _books(run.stack)
    ledger = run.ledger()
    copier = Copier(ledger, forger, run.chance)
    copier.start()
    try:
        with run.load(mixed, rate=20, threads=6, ledger=ledger):
            time.sleep(60 * run.scale)
    finally:
        copier.stop()
    made = run.settle(ledger)
    for _ in range(REPLAYS):
        copier.replay()
    wait_for(lambda: forger.left() == 0, seconds=DRAIN_SECONDS)
    run.injections += copier.sent
    # Everything again, now that a second effect of any of them would have been seen.
    assert run.settle(ledger).statuses == made.statuses == {"succeeded": made.acked}, made.statuses
    run.settled.pop()
    published, claims, refused = (after - was for after, was in zip(_books(run.stack), before, strict=True))
    assert claims == made.acked, f"{made.acked} jobs were claimed {claims} times"
    assert refused == published + copier.sent - claims, (published, copier.sent, claims, refused)
    assert in_metrics(run.stack, Count.DUPLICATES_REFUSED) == counted(run.stack, Count.DUPLICATES_REFUSED)
    run.note(f"{copier.sent} second messages, {refused} refused and counted")


def _books(stack: ChaosStack) -> tuple[int, int, int]:
    """Return how many messages were published by the product, led to a claim, and were refused."""
    published = int(stack.one("SELECT coalesce(sum(publishes), 0) FROM jobs"))
    claims = int(stack.one("SELECT count(*) FROM job_events WHERE reason = 'claimed'"))
    return published, claims, counted(stack, Count.DUPLICATES_REFUSED)


@scenario("S30", "Redis hands messages out again before their jobs are done", plan=MISCONFIGURED)
def short_visibility(run: Run) -> None:
    _check_refusal(run.stack)
    refused = counted(run.stack, Count.DUPLICATES_REFUSED)
    ledger = run.ledger()
    at = time.time()
    long = [ledger.submit(Work.probe(ProbeType.SLOW, n=3, seconds=12)) for _ in range(4)]
    with run.load(credits_only, rate=10, ledger=ledger):
        time.sleep(max(15, 30 * run.scale))
    made = run.settle(ledger)
    assert made.statuses == {"succeeded": made.acked}, made.statuses
    attempts = run.stack.one("SELECT max(attempt) FROM jobs WHERE id = ANY(%(ids)s::uuid[])", {"ids": ledger.job_ids})
    assert attempts == 1, f"a job was started {attempts} times"
    refused = counted(run.stack, Count.DUPLICATES_REFUSED) - refused
    assert refused >= len(long), f"only {refused} messages came again: nothing was tested"
    run.injections += refused
    longest = float(
        run.stack.one(
            "SELECT max(extract(epoch FROM finished_at - created_at)) FROM jobs WHERE type = 'credit'"
            " AND created_at >= to_timestamp(%(at)s) AND id = ANY(%(ids)s::uuid[])",
            {"at": at, "ids": ledger.job_ids},
        )
    )
    assert longest <= LONGEST_WAIT_SECONDS, f"a small job waited {longest:.1f} s"
    run.note(f"refused to start with exit code {REFUSED}; forced: {refused} messages refused, no job started twice")
    run.note(f"the longest any small job took beside them: {longest:.1f} s")


def _check_refusal(stack: ChaosStack) -> None:
    """A worker so configured does not start, unless it is forced to."""
    environment = {**os.environ, "RECKONER_HOME": str(stack.home), "ALLOW_UNSAFE": "false"}
    command = [sys.executable, "-m", "celery", "-A", SHORT_VISIBILITY, "worker", "-Q", "reports", "-n", "refused@%h"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == REFUSED, (done.returncode, done.stderr[-2000:])
    assert "visibility" in done.stdout + done.stderr, done.stdout + done.stderr


@scenario("S38", "The database is restored from a backup that is older than the messages in Redis")
def restore(run: Run) -> None:
    forger = Forger(run.stack)
    unknown = counted(run.stack, Count.UNKNOWN_JOBS)
    parents = {name: run.stack.pids[name] for name in ("worker-reports", "worker-imports", "worker-heavy")}
    with run.load(mixed, rate=10) as ledger:
        ids = [forged_id(run.chance) for _ in run.times(UNKNOWN_IDS)]
        for job_id in ids:
            forger.send(job_id, queue=run.chance.choice(("reports", "imports", "heavy")))
        forgotten = _forget_newest(run)
        wait_for(lambda: counted(run.stack, Count.UNKNOWN_JOBS) - unknown >= len(ids) + forgotten, seconds=60)
    run.injections += len(ids) + forgotten
    made = run.settle(ledger)
    wait_for(lambda: forger.left() == 0, seconds=DRAIN_SECONDS)
    assert made.statuses == {"succeeded": made.acked}, made.statuses
    found = counted(run.stack, Count.UNKNOWN_JOBS) - unknown
    assert found == len(ids) + forgotten, (found, len(ids), forgotten)
    assert in_metrics(run.stack, Count.UNKNOWN_JOBS) == counted(run.stack, Count.UNKNOWN_JOBS)
    assert {name: run.stack.pids.get(name) for name in parents} == parents, "a worker ended"
    run.note(
        f"{found} messages of unknown jobs acknowledged and counted, {forgotten} of them of jobs the backup had not"
    )
    run.note("what was accepted after the backup is gone: a restore loses it, and nothing here can bring it back")


def forged_id(chance: random.Random) -> str:
    """Return an id such as a job has, of a job that never was."""
    text = f"{chance.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-7{text[13:16]}-8{text[17:20]}-{text[20:]}"


def _forget_newest(run: Run) -> int:
    """Accept jobs whose messages nobody takes, and remove their rows, as if the backup were older than they are."""
    ledger = run.ledger(organisations=RESTORED_ORGANISATIONS)
    number = len(run.times(RESTORED_JOBS))
    with _nobody_takes_heavy(run.stack), ledger.clerk() as clerk:
        for each in range(number):
            organisation = ledger.organisations[each % RESTORED_ORGANISATIONS]
            clerk.submit(Work.probe(ProbeType.CREDIT, queue="heavy"), organisation)
        published = "SELECT count(*) FROM jobs WHERE id = ANY(%(ids)s::uuid[]) AND published_at IS NOT NULL"
        enough = min(number, RESTORED_ORGANISATIONS * MESSAGES_OF_LANE)
        wait_for(lambda: run.stack.one(published, {"ids": ledger.job_ids}) >= enough, seconds=25)
        removed = "DELETE FROM jobs WHERE id = ANY(%(ids)s::uuid[]) RETURNING published_at IS NOT NULL"
        return sum(row[0] for row in run.stack.rows(removed, {"ids": ledger.job_ids}))


@contextlib.contextmanager
def _nobody_takes_heavy(stack: ChaosStack) -> Iterator[None]:
    with faults.frozen(stack.pids["worker-heavy"]):
        yield
