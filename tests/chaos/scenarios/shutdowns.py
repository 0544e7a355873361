"""Workers are told to end: in good time, in too little time, inside a commit, and by a newer release."""

import functools
import itertools
import json
import random
import signal
import statistics
import time
import uuid

from models.failpoints import Point
from tests.chaos.harness import faults, looks
from tests.chaos.harness.faults import Hit
from tests.chaos.harness.ledger import Work
from tests.chaos.harness.running import ChaosStack, Plan
from tests.chaos.harness.scenario import Run, scenario
from tests.chaos.stack import rolling
from tests.chaos.stack.probes import ProbeType
from tests.client import wait_for

TWO_WORKERS = Plan(twice=("worker-reports",))
NAMES = ("worker-reports", "worker-reports-2")
# Between the signal and the moment when the worker has told Redis that it wants no more.
LAST_CLAIM_SECONDS = 1.5
TOO_SHORT_A_GRACE = 5.0
MOST_SECONDS_AFTER_MACHINE = 45.0
STARTED_SECONDS = 30.0


def _busy_worker(stack: ChaosStack, name: str) -> tuple[int, ...]:
    """Return the pids of a worker's children that run something."""
    children = set(faults.children_of(stack.pids.get(name, 0)))
    return tuple(job.pid for job in faults.running(stack) if job.pid in children)


def _long(seconds: float) -> Work:
    return Work.probe(ProbeType.SLOW, seconds=seconds, n=3)


@scenario("S7", "SIGTERM in the middle of jobs, with time enough to finish them", plan=TWO_WORKERS)
def end_in_good_time(run: Run) -> None:
    def some(chance: random.Random) -> Work:
        return _long(chance.uniform(1, 4))

    names = itertools.cycle(NAMES)
    with run.load(some, rate=1.5, threads=2) as ledger:
        for _ in run.times(30):
            name = next(names)
            wait_for(functools.partial(_busy_worker, run.stack, name), seconds=STARTED_SECONDS)
            late = _end_softly(run, name)
            assert not late, f"claimed after SIGTERM: {late}"
    made = run.settle(ledger)
    assert made.statuses == {"succeeded": made.acked}, made.statuses
    again = "SELECT count(*) FROM jobs WHERE id = ANY(%(ids)s::uuid[]) AND attempt > 1"
    restarted = run.stack.one(again, {"ids": ledger.job_ids})
    assert restarted == 0, f"{restarted} jobs were started again"


def _end_softly(run: Run, name: str) -> list[str]:
    """End a worker and wait for the next one; returns what the old one claimed although it knew that it was to end."""
    who = "SELECT process_id FROM heartbeats WHERE pid = %(pid)s AND kind = 'worker' ORDER BY started_at DESC LIMIT 1"
    hit = faults.kill(run.stack, name, signal.SIGTERM)
    assert hit is not None
    run.injected()
    worker_id = run.stack.one(who, {"pid": hit.pid})
    faults.wait_for_restart(run.stack, name, hit.pid, seconds=STARTED_SECONDS)
    run.recoveries.append(time.time() - hit.at)
    faults.wait_for_children(run.stack, name)
    claimed = (
        "SELECT job_id::text FROM job_events WHERE reason = 'claimed' AND worker_id = %(worker)s"
        " AND at > to_timestamp(%(at)s)"
    )
    after = {"worker": worker_id, "at": hit.at + LAST_CLAIM_SECONDS}
    return [row[0] for row in run.stack.rows(claimed, after)]


@scenario("S8", "SIGTERM, and SIGKILL before the jobs are done", plan=TWO_WORKERS)
def end_too_soon(run: Run) -> None:
    ledger = run.ledger(organisations=2)
    names = itertools.cycle(NAMES)
    hits: list[Hit] = []
    for _ in run.times(20):
        name = next(names)
        for _ in range(3):
            ledger.submit(_long(TOO_SHORT_A_GRACE * 2))
        wait_for(functools.partial(_busy_worker, run.stack, name), seconds=STARTED_SECONDS)
        told = faults.kill(run.stack, name, signal.SIGTERM)
        assert told is not None
        time.sleep(TOO_SHORT_A_GRACE)
        killed = _kill_if_still_there(run.stack, told)
        run.hit(killed)
        hits += [killed] if killed is not None else []
        faults.wait_for_restart(run.stack, name, told.pid)
    made = run.settle(ledger, within=240)
    assert made.statuses == {"succeeded": made.acked}, made.statuses
    # When they start again depends on the other long jobs; when they may, on nothing but the lease and the sweep.
    ends = [(hit.at, looks.given_up_after(run.stack, job_id, hit.at)) for hit in hits for job_id in hit.job_ids]
    given_up = [at - killed for killed, at in ends if at is not None]
    assert max(given_up) <= MOST_SECONDS_AFTER_MACHINE, given_up
    run.note(f"queued again {statistics.median(given_up):.0f} s after the death, {max(given_up):.0f} s at most")


def _kill_if_still_there(stack: ChaosStack, told: Hit) -> Hit | None:
    children = set(faults.children_of(told.pid))
    jobs = tuple(job.job_id for job in faults.running(stack) if job.pid in children)
    at = time.time()
    return Hit(at, told.pid, jobs) if jobs and faults.send(told.pid, signal.SIGKILL) else None


INSIDE = tuple(
    itertools.product(
        (Point.CLAIM_BEFORE_COMMIT, Point.CLAIM_AFTER_COMMIT, Point.FINISH_BEFORE_COMMIT, Point.FINISH_AFTER_COMMIT),
        ("kill", "exit 1", "disconnect"),
    )
)
SETTLING = tuple((Point.SETTLE_BEFORE_COMMIT, action) for action in ("kill", "exit 1", "disconnect"))
# Longer than a cold shutdown leaves to what it ends.
PAUSE_SECONDS = 2.0


@scenario("S9", "A worker's process ends, or loses the database, exactly before or after a commit; SIGQUIT inside it")
def end_inside_a_commit(run: Run) -> None:
    with run.load(rate=4) as ledger:
        for number, (point, action) in zip(run.times(100), itertools.cycle(INSIDE + SETTLING), strict=False):
            faults.arm(run.stack, point, action)
            if point is Point.SETTLE_BEFORE_COMMIT:
                ledger.submit(Work.probe(ProbeType.TRANSIENT, times=1, n=5))
            faults.wait_until_hit(run.stack, point)
            run.injected(kill=action != "disconnect")
            if number % 10 == 0:
                _quit_inside_a_commit(run)
    made = run.settle(ledger, within=240)
    assert made.statuses == {"succeeded": made.acked}, made.statuses


def _quit_inside_a_commit(run: Run) -> None:
    """Have a child stand between its effect and its commit, and end its worker coldly meanwhile."""
    faults.arm(run.stack, Point.FINISH_BEFORE_COMMIT, f"pause {PAUSE_SECONDS:g}")
    child = faults.wait_until_hit(run.stack, Point.FINISH_BEFORE_COMMIT)
    owner = next((name for name, pid in run.stack.pids.items() if child in faults.children_of(pid)), None)
    if owner is None:
        return
    hit = faults.kill(run.stack, owner, signal.SIGQUIT)
    if hit is not None:
        run.injected(kill=True)
        faults.wait_for_restart(run.stack, owner, hit.pid)


# Two workers of the last release; the second is replaced by one of the next.
ROLLING = Plan(twice=("worker-reports",), apps={"worker-reports": "tests.chaos.stack.rolling"})


@scenario(
    "S10", "A worker of the last release is sent jobs it does not know, and messages no release sends", plan=ROLLING
)
def roll_out(run: Run) -> None:
    deployed = run.stack.home / rolling.DEPLOYED
    ledger = run.ledger(organisations=2)
    with run.load(rate=4, threads=2, ledger=ledger):
        for _ in run.times(20):
            _send_nonsense(run)
        time.sleep(max(10.0, 30.0 * run.scale))
        untouched = "SELECT count(*) FROM jobs WHERE id = ANY(%(ids)s::uuid[]) AND status <> 'queued'"
        assert run.stack.one(untouched, {"ids": ledger.job_ids}) == 0, "a worker without the task ran it"
        deployed.touch()
        at = time.time()
        replaced = faults.kill(run.stack, "worker-reports-2", signal.SIGTERM)
        assert replaced is not None
        run.recoveries.append(faults.seconds_to_first_done(run.stack, at))
        # For a while the old release and the new one take messages from the same queue.
        time.sleep(max(5.0, 20.0 * run.scale))
        replaced = faults.kill(run.stack, "worker-reports", signal.SIGTERM)
        assert replaced is not None
    made = run.settle(ledger, within=180)
    deployed.unlink()
    assert made.statuses == {"succeeded": made.acked}, made.statuses


def _send_nonsense(run: Run) -> None:
    """Put messages in the broker's lists that are whole as messages, but not what a worker of today expects."""
    headers = {"lang": "py", "task": "reports.run", "id": str(uuid.uuid4()), "retries": 0}
    bodies = (
        [[str(uuid.uuid4()), "another argument"], {}, {}],
        [["no id at all"], {}, {}],
        [[], {"job_id": str(uuid.uuid4())}, {}],
        {"args": [str(uuid.uuid4())], "kwargs": {}},
        "a text",
    )
    for body in bodies:
        for task in ("reports.run", "reports.of_another_time"):
            _push(run.stack, headers | {"task": task, "id": str(uuid.uuid4())}, json.dumps(body))
            run.injected()


def _push(stack: ChaosStack, headers: dict[str, object], body: str) -> None:
    tag = str(uuid.uuid4())
    message = {
        "body": body,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": {
            "correlation_id": headers["id"],
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "reports"},
            "priority": 0,
            "body_encoding": None,
            "delivery_tag": tag,
        },
    }
    with stack.redis() as connection:
        connection.lpush("reports", json.dumps(message))
