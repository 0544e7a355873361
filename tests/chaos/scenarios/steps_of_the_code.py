"""Processes die at named steps of the code: the API's while it accepts and publishes, and then every step there is."""

import random
import time
import uuid
from collections import Counter
from contextlib import suppress

from models.failpoints import Point
from tests.chaos.harness import faults
from tests.chaos.harness.ledger import Ledger, Maker, Work, credits_only
from tests.chaos.harness.running import ChaosStack, Plan
from tests.chaos.harness.scenario import Run, scenario
from tests.chaos.stack.probes import ProbeType
from tests.client import wait_for

# A short lease, so that what waits for the end of leases can happen often; and a second worker that takes over.
QUICK = Plan(
    environment={"LEASE_SECONDS": "6", "RESCUE_SECONDS": "2", "STALL_SECONDS": "15"}, twice=("worker-reports",)
)
POINTS_OF_API = (
    Point.ACCEPT_BEFORE_COMMIT,
    Point.ACCEPT_AFTER_COMMIT,
    Point.PUBLISH_BEFORE_MARK,
    Point.PUBLISH_BEFORE_SEND,
    Point.PUBLISH_AFTER_SEND,
    Point.RESPOND,
)
POINTS_OF_SWEEP = frozenset({Point.BURY_BEFORE_COMMIT, Point.BURY_AFTER_COMMIT})
# Only jobs that tidy the lake come there, which this load does not make; tests/integration/test_lake_sweeping.py stops there.
POINTS_OF_TIDYING = frozenset({Point.SWEEP_BEFORE_REMOVAL, Point.SWEEP_AFTER_REMOVAL})
# Only schedules and what is told of their jobs come there: the scenario DELIVERPOINT has such.
POINTS_OF_SCHEDULES = frozenset(
    point for point in Point if point.value.partition("-")[0] in {"schedule", "alert", "deliver"}
)
POINTS_OF_LOAD = tuple(point for point in Point if point not in POINTS_OF_TIDYING | POINTS_OF_SCHEDULES)
HIT_SECONDS = 60.0
WORKERS_OF_REPORTS = ("worker-reports", "worker-reports-2")
ORDERS_HEADER = "order_id,customer_id,ordered_at,amount\n"


def an_import(chance: random.Random) -> Work:
    """A file with one order of its own: each import that takes effect makes the table one row longer."""
    row = f"{uuid.uuid4().hex},customer-{chance.randint(1, 50)},2024-03-{chance.randint(1, 28):02}T12:00:00Z,9.50\n"
    return Work.import_("orders", (ORDERS_HEADER + row).encode())


def with_imports(share: float, otherwise: Maker = credits_only) -> Maker:
    """Return a load of which this share are imports."""

    def make(chance: random.Random) -> Work:
        return an_import(chance) if chance.random() < share else otherwise(chance)

    return make


def of_every_kind(chance: random.Random) -> Work:
    """Jobs that end in every way and wait in every queue, so that every step is reached."""
    work = chance.choices(
        (
            credits_only(chance),
            Work.probe(ProbeType.SLOW, n=chance.randint(1, 1_000), seconds=round(chance.uniform(0.2, 2.0), 2)),
            Work.probe(ProbeType.TRANSIENT, n=5, times=1),
            Work.probe(ProbeType.PERMANENT),
        ),
        weights=(70, 20, 5, 5),
    )[0]
    return Work(work.path, work.body | {"queue": chance.choice(("reports", "reports", "imports", "heavy"))})


@scenario("S35", "`kill -9` of the API at every step between a request and its answer")
def kill_api(run: Run) -> None:
    where: Counter[str] = Counter()
    with run.load(with_imports(0.1), rate=24, threads=6) as ledger:
        for _ in run.times(15):
            for point in POINTS_OF_API:
                children = faults.wait_for_children(run.stack, "web", seconds=HIT_SECONDS)
                pid = _kill_at(run, point)
                where["in the API" if pid in children else "elsewhere"] += 1
                _wait_for_api(run.stack, since=time.time(), ledger=ledger)
    orphans = _uploads_without_jobs(run.stack)
    made = run.settle(ledger)
    assert set(made.statuses) == {"succeeded"}, made.statuses
    assert where["in the API"] >= 0.8 * sum(where.values()), where
    _check_imports(run, ledger)
    run.note(", ".join(f"{count} kills {place}" for place, count in sorted(where.items())))
    run.note(f"{orphans} uploads of jobs that were never accepted, all removed; answers {ledger.statuses()}")


def _kill_at(run: Run, point: Point) -> int:
    """Kill the next process that comes to this step; returns which."""
    faults.arm(run.stack, point)
    try:
        pid = faults.wait_until_hit(run.stack, point, seconds=HIT_SECONDS)
    except AssertionError as error:
        faults.disarm(run.stack, point)
        raise AssertionError(f"nobody came to {point} within {HIT_SECONDS:g} s") from error
    run.injected(kill=True)
    return pid


def _wait_for_api(stack: ChaosStack, *, since: float, ledger: Ledger) -> None:
    """Wait until the API accepts again, and write nothing down: the load's own requests tell."""

    def look() -> bool:
        return any(one.at > since and one.job_id for one in list(ledger.attempts))

    with suppress(AssertionError):
        wait_for(look, seconds=20)
    assert stack.pids.get("web"), "the API is gone"


def _uploads_without_jobs(stack: ChaosStack) -> int:
    folder = stack.settings.upload_folder
    names = [entry.name.strip(".").removesuffix(".part") for entry in folder.iterdir()] if folder.is_dir() else []
    known = {row[0] for row in stack.rows("SELECT id::text FROM jobs WHERE kind = 'import'")}
    return len(set(names) - known)


def _check_imports(run: Run, ledger: Ledger) -> None:
    """Each import that succeeded made exactly one version of its table, one row longer than the one before."""
    query = """
        SELECT o.id::text,
            (SELECT count(*) FROM jobs WHERE organisation_id = o.id AND kind = 'import' AND status = 'succeeded'),
            count(d.version), coalesce(max(d.row_count), 0), coalesce(max(d.version) + 1, 0)
        FROM organisations AS o LEFT JOIN dataset_versions AS d ON d.organisation_id = o.id AND d.dataset = 'orders'
        WHERE o.id = ANY(%(organisations)s) GROUP BY o.id
    """
    rows = run.stack.rows(query, {"organisations": [one.id for one in ledger.organisations]})
    wrong = [row for row in rows if len({*row[1:]}) != 1]
    assert not wrong, f"imports, versions, rows and newest version + 1 differ: {wrong}"
    run.note(f"{sum(row[1] for row in rows)} imports, as many rows and versions")


@scenario("EVERYPOINT", "`kill -9` at every named step of the code, under load", plan=QUICK)
def kill_at_every_point(run: Run) -> None:
    hit: Counter[Point] = Counter()
    with run.load(with_imports(0.08, of_every_kind), rate=14, threads=6) as ledger:
        for _ in run.times(5):
            for point in POINTS_OF_LOAD:
                if point in POINTS_OF_SWEEP:
                    _leave_leases_behind(run)
                _kill_at(run, point)
                hit[point] += 1
                time.sleep(run.chance.uniform(0.2, 0.8))
    made = run.settle(ledger, within=240)
    assert set(hit) == set(POINTS_OF_LOAD)
    _check_imports(run, ledger)
    run.note(f"every one of {len(hit)} steps {min(hit.values())} times; ends {dict(made.statuses)}")


def _leave_leases_behind(run: Run) -> None:
    """Kill a worker in the middle of jobs, so that a sweep finds their leases run out."""

    def kill_busy() -> bool:
        for name in run.chance.sample(WORKERS_OF_REPORTS, 2):
            hit = faults.kill(run.stack, name) if _is_busy(run.stack, name) else None
            if run.hit(hit) is not None:
                return True
        return False

    wait_for(kill_busy, seconds=HIT_SECONDS)


def _is_busy(stack: ChaosStack, name: str) -> bool:
    children = set(faults.children_of(stack.pids.get(name, 0)))
    return any(job.pid in children for job in faults.running(stack))
