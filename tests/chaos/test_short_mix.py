"""Random kills under a steady stream of jobs, from a printed seed, then the accounts: nothing lost, nothing twice."""

import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from cli.stack import Stack
from tests import generated
from tests.client import Client, Json, database, wait_for

pytestmark = pytest.mark.stack

SECONDS = 45.0
# Long enough for what died to be back, short enough that the next thing dies while jobs are being made up for.
KILL_EVERY_SECONDS = 1.5
PROCESSES = ("web", "worker-reports", "worker-imports", "worker-upkeep", "beat", "flower", "postgres", "redis")
TYPES = ("rfm", "revenue_trend", "cohort_retention")
DRAIN_SECONDS = 120.0


class Ledger:
    """What the client was told: accepted with an id, refused with a status, or nothing at all."""

    def __init__(self) -> None:
        self.accepted: list[Json] = []
        self.refused: Counter[int] = Counter()
        self.unknown = 0


def _submit_until(stop: threading.Event, client: Client, ledger: Ledger) -> None:
    number = 0
    while not stop.wait(0.15):
        body = {"type": TYPES[number % len(TYPES)], "params": {}}
        number += 1
        try:
            answer = client.http.post("/v1/reports", json=body, timeout=20)
        except httpx.TransportError:
            ledger.unknown += 1
            continue
        if answer.status_code == 202:
            ledger.accepted.append(answer.json())
        else:
            ledger.refused[answer.status_code] += 1


def _victim(stack: Stack, chance: random.Random) -> int | None:
    """Choose a process of the stack, or the child of one that computes or serves."""
    name = chance.choice(PROCESSES)
    pid = stack.pids.get(name)
    if pid is None:
        return None
    if name in {"worker-reports", "web"} and chance.random() < 0.5:
        try:
            children = psutil.Process(pid).children()
        except psutil.NoSuchProcess:
            return None
        return chance.choice(children).pid if children else None
    return pid


def _kill_for(seconds: float, stack: Stack, chance: random.Random) -> int:
    kills = 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        time.sleep(KILL_EVERY_SECONDS * chance.uniform(0.5, 1.5))
        pid = _victim(stack, chance)
        if pid is None:
            continue
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        kills += 1
    return kills


def test_random_kills_lose_nothing_and_double_nothing(
    stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = time.time_ns() % 1_000_000
    chance = random.Random(seed)
    ledger, stop = Ledger(), threading.Event()
    with Client.of_new_organisation(stack) as client:
        assert client.import_("orders", generated.orders(tmp_path, customers=2_000))["status"] == "succeeded"
        submitter = threading.Thread(target=_submit_until, args=(stop, client, ledger))
        submitter.start()
        kills = _kill_for(SECONDS, stack, chance)
        stop.set()
        submitter.join()
        wait_for(lambda: _all_final(stack, ledger) or None, seconds=DRAIN_SECONDS, pause=0.5)
    statuses, doubled = _accounts(stack, ledger)
    with capsys.disabled():
        print(
            f"\nseed {seed}: {kills} kills, {len(ledger.accepted)} accepted, {sum(ledger.refused.values())} refused, "
            f"{ledger.unknown} unknown; ended {dict(statuses)}, doubled {doubled}"
        )
    assert kills >= 15
    assert len(ledger.accepted) >= 50
    # While PostgreSQL is down nothing can be kept, so nothing is accepted; there is no other reason to refuse.
    assert set(ledger.refused) <= {503}
    assert statuses == {"succeeded": len(ledger.accepted)}, f"seed {seed}"
    assert doubled == 0, f"seed {seed}"


def _all_final(stack: Stack, ledger: Ledger) -> bool:
    try:
        with database(stack) as connection:
            row = connection.execute(
                "SELECT count(*) FROM jobs WHERE id = ANY(%s::uuid[]) AND finished_at IS NOT NULL",
                [[job["id"] for job in ledger.accepted]],
            ).fetchone()
    except psycopg.OperationalError:  # it may be coming back from its last kill
        return False
    return row is not None and row[0] == len(ledger.accepted)


def _accounts(stack: Stack, ledger: Ledger) -> tuple[Counter[str], int]:
    """Return how many accepted jobs ended how, and how many of them took effect more than once."""
    ids = [[job["id"] for job in ledger.accepted]]
    with database(stack) as connection:
        statuses = connection.execute(
            "SELECT status, count(*) FROM jobs WHERE id = ANY(%s::uuid[]) GROUP BY status", ids
        ).fetchall()
        doubled = connection.execute(
            "SELECT count(*) FROM (SELECT job_id FROM job_events WHERE job_id = ANY(%s::uuid[])"
            " AND to_status = 'succeeded' GROUP BY job_id HAVING count(*) > 1)",
            ids,
        ).fetchone()
    assert doubled is not None
    return Counter(dict(statuses)), doubled[0]
