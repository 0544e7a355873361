"""A random mix of faults under a mixed load: the short one of every test run, and the soak of a night."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from models.failpoints import Point
from tests import generated
from tests.chaos.harness import accounts, faults
from tests.chaos.harness.ledger import Ledger, Work, mixed
from tests.chaos.harness.running import ChaosStack, Plan
from tests.chaos.harness.scenario import Run
from tests.chaos.stack.probes import ProbeType

# Leases so short that what waits for the end of one is over within the minutes of a test run.
QUICK = Plan(environment={"LEASE_SECONDS": "6", "RESCUE_SECONDS": "2"}, twice=("worker-reports",))
REPORTS = ("rfm", "revenue_trend", "cohort_retention")
WORKERS = ("worker-reports", "worker-reports-2", "worker-imports", "worker-heavy", "worker-upkeep")
LONGEST_FREEZE_SECONDS = 8.0
ARMED_SECONDS = 10.0
CUSTOMERS = 500


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault of the mix."""

    name: str
    weight: int
    strike: Callable[[Run], bool]
    """Returns whether anything was hit."""


def _kill(*names: str) -> Callable[[Run], bool]:
    return lambda run: run.hit(faults.kill(run.stack, run.chance.choice(names))) is not None


def _kill_child(run: Run) -> bool:
    return run.hit(faults.kill_running_child(run.stack, run.chance)) is not None


def _kill_web_child(run: Run) -> bool:
    return run.hit(faults.kill_web_child(run.stack)) is not None


def _wipe_redis(run: Run) -> bool:
    return run.hit(faults.wipe_redis(run.stack)) is not None


def _flush(run: Run) -> bool:
    faults.flush(run.stack)
    run.injected()
    return True


def _cut_database(run: Run) -> bool:
    run.injected()
    return faults.terminate_backends(run.stack) > 0


def _freeze(*names: str) -> Callable[[Run], bool]:
    def strike(run: Run) -> bool:
        pid = run.stack.pids.get(run.chance.choice(names))
        if pid is None:
            return False
        with faults.frozen(pid, *faults.children_of(pid)):
            time.sleep(run.chance.uniform(0.5, LONGEST_FREEZE_SECONDS))
        run.injected()
        return True

    return strike


def _fail_at_a_point(run: Run) -> bool:
    """Arm any point of the code that this load passes often."""
    point = run.chance.choice(tuple(Point))
    faults.arm(run.stack, point, run.chance.choice(("kill", "disconnect", "pause 1")))
    time.sleep(run.chance.uniform(0, ARMED_SECONDS / 4))
    struck = not faults.disarm(run.stack, point)
    faults.note_points(run.stack)
    if struck:
        run.injected()
    return struck


FAULTS = (
    Fault("child killed", 8, _kill_child),
    Fault("worker killed", 6, _kill(*WORKERS)),
    Fault("web killed", 3, _kill("web")),
    Fault("web's process killed", 2, _kill_web_child),
    Fault("beat killed", 2, _kill("beat")),
    Fault("Redis killed", 4, _kill("redis")),
    Fault("Redis wiped", 3, _wipe_redis),
    Fault("Redis flushed", 4, _flush),
    Fault("PostgreSQL killed", 3, _kill("postgres")),
    Fault("sessions terminated", 4, _cut_database),
    Fault("Redis frozen", 2, _freeze("redis")),
    Fault("worker frozen", 3, _freeze(*WORKERS)),
    Fault("failed at a step", 10, _fail_at_a_point),
)


def play(
    run: Run,
    *,
    seconds: float,
    every: float,
    rate: float,
    least_faults: int = 0,
    sample: Callable[[], None] = lambda: None,
    sample_every: float = float("inf"),
) -> None:
    """Set faults upon a loaded stack for so long, one every so many seconds, then make the accounts.

    On a busy machine, where each fault takes longer, it goes on for up to as long again until there were `least_faults`.
    """
    ledger = run.ledger(organisations=2)
    hashes = _undisturbed(run.stack, ledger)
    struck: Counter[str] = Counter()
    ends = time.monotonic() + seconds
    with run.load(_of_all_kinds, rate=rate, ledger=ledger):
        while time.monotonic() < ends + (seconds if struck.total() < least_faults else 0.0):
            _wait(every * run.chance.uniform(0.5, 1.5), sample, sample_every)
            (fault,) = run.chance.choices(FAULTS, [each.weight for each in FAULTS])
            if fault.strike(run):
                struck[fault.name] += 1
    run.note(", ".join(f"{name} {count}x" for name, count in sorted(struck.items())))
    made = run.settle(ledger, within=240, hashes=hashes)
    run.note(f"answers {ledger.statuses()}, ends {dict(made.statuses)}")


def _wait(seconds: float, sample: Callable[[], None], sample_every: float) -> None:
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        time.sleep(min(left, sample_every))
        sample()


def _undisturbed(stack: ChaosStack, ledger: Ledger) -> dict[str, str]:
    """Give every organisation the same data, and return what each report says of them while nothing is broken."""
    with TemporaryDirectory(prefix="chaos-") as folder:
        file = generated.orders(Path(folder), customers=CUSTOMERS).read_bytes()
    for organisation in ledger.organisations:
        ledger.submit(Work.import_("orders", file), organisation=organisation)
    accounts.wait_until_drained(ledger, seconds=120)
    ids = {kind: ledger.submit(Work.report(kind)) for kind in REPORTS}
    accounts.wait_until_drained(ledger, seconds=120)
    query = "SELECT sha256 FROM results WHERE job_id = %(id)s"
    hashes = {kind: stack.one(query, {"id": job_id}) for kind, job_id in ids.items()}
    assert all(hashes.values()), hashes
    return hashes


def _of_all_kinds(chance: random.Random) -> Work:
    draw = chance.random()
    if draw < 0.10:
        return Work.report(chance.choice(REPORTS))
    if draw < 0.15:
        return Work.probe(ProbeType.TRANSIENT, times=1, n=chance.randint(1, 100))
    if draw < 0.17:
        return Work.probe(ProbeType.PERMANENT)
    (queue,) = chance.choices(("reports", "imports", "heavy"), (8, 3, 1))
    work = mixed(chance)
    return Work(work.path, work.body | {"queue": queue})
