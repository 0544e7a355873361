"""Workers die: their children, themselves, by our hand or by their own jobs'."""

import itertools
import json
import random
import signal
import statistics
import time

import psutil

from tests.chaos.harness import faults, looks
from tests.chaos.harness.faults import Hit
from tests.chaos.harness.ledger import Ledger, Work, mixed
from tests.chaos.harness.running import ChaosStack, Plan
from tests.chaos.harness.scenario import Run, scenario
from tests.chaos.stack.probes import ProbeType
from tests.client import Json, wait_for

WORKERS = ("worker-reports", "worker-imports", "worker-heavy")
# The restart of a job whose child died; its parent sees that within a second.
MOST_SECONDS_AFTER_CHILD = 2.0
MOST_SECONDS_AFTER_MACHINE = 45.0
# kombu asks Redis anew every second: within this time the message is swallowed, or it will not be.
SWALLOW_SECONDS = 0.9
STARTS_OF_POISON = 3
# A quarter of jitter below the five seconds after the second crash.
LEAST_SECOND_PAUSE = 3.7
MOST_IDLE_CPU = 0.10
LONGEST_KEPT_ERROR = 4_000
MOST_LOG_BYTES = 2_000_000


def everywhere(chance: random.Random) -> Work:
    """The mixed load, on all queues; the one with a single slot gets the least."""
    work = mixed(chance)
    (queue,) = chance.choices(("reports", "imports", "heavy"), (8, 3, 1))
    return Work(work.path, work.body | {"queue": queue})


@scenario("S1", "`kill -9` of a worker's child in the middle of a job")
def kill_children(run: Run) -> None:
    with run.load(mixed, rate=6) as ledger:
        for hit in run.strikes(200, lambda: faults.kill_running_child(run.stack, run.chance)):
            # One at a time: with every slot dying what is measured is the length of the queue.
            run.recovered(hit)
    made = run.settle(ledger)
    assert set(made.statuses) == {"succeeded"}, made.statuses
    late = [each for each in run.recoveries if each > MOST_SECONDS_AFTER_CHILD]
    run.note(f"{len(late)} restarts later than {MOST_SECONDS_AFTER_CHILD:g} s")


@scenario("S2", "`kill -9` of a worker, idle or in the middle of jobs", plan=Plan(twice=("worker-reports",)))
def kill_parents(run: Run) -> None:
    # In turn, so that the supervisor has no reason to wait longer and longer before it starts one again.
    names = itertools.cycle((*WORKERS, "worker-reports-2", "worker-upkeep"))

    def kill_one() -> Hit | None:
        # Where one more crash would make a job count as poison, this test would prove only that.
        if any(job.crashes >= faults.MOST_CRASHES for job in faults.running(run.stack)):
            return None
        return faults.kill(run.stack, next(names))

    with run.load(everywhere, rate=6) as ledger:
        hits = list(run.strikes(200, kill_one, pause=(2.0, 3.5)))
    made = run.settle(ledger, within=240)
    assert set(made.statuses) == {"succeeded"}, made.statuses
    # When a job starts again depends on which workers are up between two kills; when it may, on the lease and the sweep.
    ends = [(hit.at, looks.given_up_after(run.stack, job_id, hit.at)) for hit in hits for job_id in hit.job_ids]
    given_up = [at - killed for killed, at in ends if at is not None]
    assert max(given_up) <= MOST_SECONDS_AFTER_MACHINE, given_up
    run.note(f"queued again {statistics.median(given_up):.0f} s after the death, {max(given_up):.0f} s at most")


@scenario("S3", "A worker frozen while it waits for Redis is handed a message, and killed")
def swallow_a_message(run: Run) -> None:
    ledger = run.ledger(organisations=1)
    for _ in run.times(20):
        hit = wait_for(lambda: _swallowed(run.stack, ledger), seconds=120, pause=0.5)
        run.injected(kill=True)
        run.recovered(hit)
    run.settle(ledger)
    assert max(run.recoveries) <= MOST_SECONDS_AFTER_MACHINE, run.recoveries


def _swallowed(stack: ChaosStack, ledger: Ledger) -> Hit | None:
    """Let Redis hand a message to a frozen worker and kill that; None: it was not waiting at that moment."""
    pid = stack.pids.get("worker-reports")
    if pid is None or faults.running(stack) or not faults.children_of(pid):
        return None
    with faults.frozen(pid):
        job_id = ledger.submit(Work.probe(ProbeType.CREDIT))
        published = "SELECT 1 FROM jobs WHERE id = %(id)s AND published_at IS NOT NULL"
        deadline = time.monotonic() + SWALLOW_SECONDS
        while time.monotonic() < deadline:
            # Published first, seen nowhere afterwards: it is in the buffer of a connection to a process that is frozen.
            if stack.one(published, {"id": job_id}) and looks.is_nowhere(stack, "reports", job_id):
                at = time.time()
                faults.send(pid, signal.SIGKILL)
                return Hit(at, pid, (job_id,))
            time.sleep(0.02)
    return None


@scenario("S4", "A job takes memory until the system kills its process")
def bomb(run: Run) -> None:
    _play_poison(run, ProbeType.BOMB, number=5)


@scenario("S5", "A job kills its own process, every time")
def poison(run: Run) -> None:
    # So few that what is measured is a worker at rest, not the forks that replace its children.
    _play_poison(run, ProbeType.POISON, number=3)


def _play_poison(run: Run, kind: ProbeType, *, number: int) -> None:
    """Submit jobs that cannot end well among others, and follow them to their third crash."""
    parents = {name: run.stack.pids[name] for name in WORKERS}
    ledger = run.ledger()
    at = time.time()
    bad = [ledger.submit(Work.probe(kind)) for _ in run.times(number)]
    with run.load(rate=4, ledger=ledger):
        time.sleep(5)
    cpu = _cpu_share(parents["worker-reports"], seconds=10)
    made = run.settle(ledger, within=240)
    pauses = []
    for job_id in bad:
        ended, claims = looks.state_of(run.stack, job_id), looks.claims_of(run.stack, job_id)
        assert ended["status"] == "failed", ended
        assert ended["error"]["type"] == "worker-crashed", ended
        assert ended["crashes"] == len(claims) == STARTS_OF_POISON, (ended, claims)
        pauses.append(claims[2] - claims[1])
        run.injections += STARTS_OF_POISON
        run.kills += STARTS_OF_POISON
    assert min(pauses) >= LEAST_SECOND_PAUSE, pauses
    assert made.statuses == {"failed": len(bad), "succeeded": made.acked - len(bad)}, made.statuses
    assert {name: run.stack.pids.get(name) for name in WORKERS} == parents, "a worker ended"
    assert cpu < MOST_IDLE_CPU, f"the worker took {cpu:.0%} of a core"
    run.note(
        f"{STARTS_OF_POISON} starts each, worker at {cpu:.0%} of a core meanwhile, {time.time() - at:.0f} s in all"
    )


def _cpu_share(pid: int, *, seconds: float) -> float:
    """Return how much of one core a worker's parent takes."""
    process = psutil.Process(pid)
    before = process.cpu_times()
    time.sleep(seconds)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / seconds


CRASHING = (ProbeType.EXIT, ProbeType.SEGV)
RAISING = (ProbeType.RAISE_UNPICKLABLE, ProbeType.RAISE_HUGE, ProbeType.RECURSE)


@scenario(
    "S6", "`sys.exit`, a segmentation fault, exceptions that cannot be pickled, are of 50 MB, or of endless recursion"
)
def misbehave(run: Run) -> None:
    parents = {name: run.stack.pids[name] for name in WORKERS}
    logged = run.stack.stack.log_path.stat().st_size
    ledger = run.ledger()
    jobs = [
        (kind, ledger.submit(Work.probe(kind)))
        for _ in run.times(5)
        for kind in (*CRASHING, *RAISING, ProbeType.PERMANENT)
    ]
    passing = [
        ledger.submit(Work.probe(kind, times=1, n=7))
        for _ in run.times(5)
        for kind in (ProbeType.TRANSIENT, ProbeType.DISK_FULL)
    ]
    with run.load(rate=4, ledger=ledger):
        time.sleep(5)
    run.settle(ledger, within=240)
    for kind, job_id in jobs:
        _check_end(kind, looks.state_of(run.stack, job_id))
        run.injected(kill=kind in CRASHING)
    for job_id in passing:
        ended = looks.state_of(run.stack, job_id)
        assert ended["status"] == "succeeded", ended
        run.injected()
    assert {name: run.stack.pids.get(name) for name in WORKERS} == parents, "a worker ended"
    grown = run.stack.stack.log_path.stat().st_size - logged
    assert grown < MOST_LOG_BYTES, f"the log grew by {grown:,} bytes"
    run.note(f"the log grew by {grown // 1000} kB")


def _check_end(kind: ProbeType, ended: Json) -> None:
    assert ended["status"] == "failed", (kind, ended)
    assert len(json.dumps(ended["error"])) < LONGEST_KEPT_ERROR, kind
    expected = {**dict.fromkeys(CRASHING, "worker-crashed"), ProbeType.PERMANENT: "missing-columns"}
    assert ended["error"]["type"] == expected.get(kind, "internal-error"), (kind, ended)
    counted = ended["crashes"] if kind in CRASHING else ended["errors"]
    assert counted == (1 if kind is ProbeType.PERMANENT else STARTS_OF_POISON), (kind, ended)
