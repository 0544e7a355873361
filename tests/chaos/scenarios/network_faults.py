"""The network between the processes and PostgreSQL breaks: silent, slow, dripping, or cut where it hurts most."""

import threading
import time
from collections.abc import Callable

import httpx
import psutil

from models.failpoints import Point
from models.job_states import Reason
from models.tally import Count
from tests.chaos.harness import faults, looks
from tests.chaos.harness.faults import Hit
from tests.chaos.harness.ledger import Ledger, Work, mixed
from tests.chaos.harness.proxy import Direction, TcpProxy
from tests.chaos.harness.running import ChaosStack, Plan
from tests.chaos.harness.scenario import Run, scenario
from tests.chaos.stack.probes import ProbeType
from tests.client import wait_for

SICK, HEALTHY = "worker-reports", "worker-reports-2"
LINKED = Plan(
    links=("web", SICK, HEALTHY, "worker-imports", "worker-heavy", "worker-upkeep", "beat"),
    twice=(SICK,),
)
MOST_SECONDS_TO_TAKE_OVER = 45.0
# Longer than a lease and the sweep after it.
SHORT_HOLE_SECONDS = 40.0
LONG_HOLE_SECONDS = 90.0
# A lease that is seen to be lost three times, a second apart.
MOST_SECONDS_TO_END_A_STRAY = 15.0
# Redis answers a worker that waits for work after one second; a frozen one asks no more after that.
LAST_ANSWER_SECONDS = 1.5
# Long enough to see that the point was reached, and to set the trap.
PAUSE_BEFORE_COMMIT = "pause 0.1"


@scenario("S19", "The network between a worker and PostgreSQL swallows everything for 40 s and for 90 s", plan=LINKED)
def partition_worker(run: Run) -> None:
    ledger = run.ledger()
    # Without a watchdog, as on a machine whose process manager asks for no health, the worker lives to come back.
    with faults.frozen(run.stack.pids["watchdog"]):
        _swallow_and_heal(run, ledger)
    _swallow_for_long(run, ledger)
    run.settle(ledger, within=180)
    assert max(run.recoveries) <= MOST_SECONDS_TO_TAKE_OVER, run.recoveries


def _swallow_and_heal(run: Run, ledger: Ledger) -> None:
    """The worker comes back after its jobs were taken over: what it then wants to write is refused, what it still does is ended."""
    before = _leases_lost(run.stack)
    writing = Work.probe(ProbeType.SLOW, seconds=15)
    ending = Work.probe(ProbeType.GIL, seconds=20)
    working = Work.probe(ProbeType.GIL, seconds=SHORT_HOLE_SECONDS + 30)
    hit, at_work = _strike(run, ledger, writing, ending, working)
    with run.load(mixed, rate=4, ledger=ledger):
        run.recovered(hit)
        time.sleep(max(0.0, hit.at + SHORT_HOLE_SECONDS - time.time()))
    stray = at_work[hit.job_ids[-1]]
    assert psutil.pid_exists(stray), "the job that was to go on had ended"
    run.stack.links[SICK].database.heal()
    healed = time.monotonic()
    wait_for(lambda: not psutil.pid_exists(stray), seconds=MOST_SECONDS_TO_END_A_STRAY)
    run.note(f"the stray child was ended {time.monotonic() - healed:.1f} s after the network came back")
    # What was on its way into the database when the network fell silent arrives now, for a job that is another's.
    wait_for(lambda: _fenced(run.stack) > before.get("fence", 0), seconds=10)
    assert _leases_lost(run.stack).get("heart", 0) > before.get("heart", 0), "the stray child ended by itself"
    run.note(f"late writes refused: {_fenced(run.stack) - before.get('fence', 0)}")


def _swallow_for_long(run: Run, ledger: Ledger) -> None:
    """The worker stays away for so long that the watchdog puts another in its place, which does not reach PostgreSQL either."""
    sick = run.stack.pids[SICK]
    hit, _ = _strike(run, ledger, Work.probe(ProbeType.SLOW, seconds=10), Work.probe(ProbeType.GIL, seconds=20))
    hole = LONG_HOLE_SECONDS if run.scale >= 1 else SHORT_HOLE_SECONDS
    with run.load(mixed, rate=8, ledger=ledger):
        run.recovered(hit)
        time.sleep(max(0.0, hit.at + hole - time.time()))
        run.stack.links[SICK].database.heal()
        # The worker must work again, not only be there.
        _wait_until_takes_work(run.stack)
    if run.stack.pids.get(SICK) != sick:
        run.note(f"in a hole of {hole:.0f} s the watchdog replaced the silent worker")


def _strike(run: Run, ledger: Ledger, *works: Work) -> tuple[Hit, dict[str, int]]:
    """Let the sick worker start these jobs, and cut it off from PostgreSQL; returns the pids that work at them, too."""
    with faults.frozen(run.stack.pids[HEALTHY]):
        time.sleep(LAST_ANSWER_SECONDS)
        ids = tuple(ledger.submit(work) for work in works)
        at_work = wait_for(lambda: _at_work(run.stack, ids), seconds=30)
        # Until they have said how far they are, and so have a connection of their own that can fall silent.
        time.sleep(2)
    run.stack.links[SICK].database.black_hole()
    run.injected()
    return Hit(time.time(), run.stack.pids[SICK], ids), at_work


def _at_work(stack: ChaosStack, ids: tuple[str, ...]) -> dict[str, int] | None:
    """Return which child of the sick worker runs which job, once all of them run there."""
    children = faults.children_of(stack.pids[SICK])
    found = {job.job_id: job.pid for job in faults.running(stack) if job.job_id in ids and job.pid in children}
    return found if len(found) == len(ids) else None


def _wait_until_takes_work(stack: ChaosStack) -> None:
    at = time.time()
    query = (
        "SELECT 1 FROM jobs WHERE claimed_at > to_timestamp(%(at)s) AND worker_id IN"
        " (SELECT process_id FROM heartbeats WHERE pid = %(pid)s)"
    )
    wait_for(lambda: stack.one(query, {"at": at, "pid": stack.pids.get(SICK)}), seconds=60, pause=0.2)


def _leases_lost(stack: ChaosStack) -> dict[str, int]:
    """Return how often attempts went on without a lease, by how that was noticed."""
    return dict(stack.rows("SELECT label, value FROM tallies WHERE name = %(name)s", {"name": Count.LEASES_LOST.value}))


def _fenced(stack: ChaosStack) -> int:
    return _leases_lost(stack).get("fence", 0)


@scenario("S20", "The connection of web to PostgreSQL is cut between COMMIT and its answer", plan=LINKED)
def lose_answers(run: Run) -> None:
    ledger = run.ledger()
    wanted = len(run.times(200))
    unheard = 0
    while unheard < wanted:
        unheard += _lose_answer(run, ledger)
    run.settle(ledger)
    run.note(f"{unheard} jobs were committed and their clients not told; each found its job again by its key")


def _lose_answer(run: Run, ledger: Ledger) -> bool:
    """Cut the COMMIT of one request, see what its client is told, and that asking again gives the job that is there.

    False: another COMMIT of the same process was hit, such as that of the publisher.
    """
    link = run.stack.links["web"].database
    work = Work.probe(ProbeType.CREDIT, n=run.chance.randint(1, 1_000))
    key = f"unheard-{run.chance.getrandbits(64):x}"
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(_ask(run.stack, ledger, work, key)), daemon=True)
    faults.arm(run.stack, Point.ACCEPT_BEFORE_COMMIT, PAUSE_BEFORE_COMMIT)
    asking.start()
    faults.wait_until_hit(run.stack, Point.ACCEPT_BEFORE_COMMIT)
    link.cut_after_answer_to(b"COMMIT", times=1)
    asking.join()
    link.heal()
    run.injected()
    kept = run.stack.one("SELECT job_id::text FROM idempotency_keys WHERE key = %(key)s", {"key": key})
    assert kept, "the commit did not arrive"
    with ledger.clerk() as clerk:
        again = clerk.submit(work, ledger.organisations[0], key=key)
    assert again == kept, (again, kept)
    if answers[0].status_code == 202:
        return False
    assert answers[0].status_code == 503, answers[0].text
    assert "outcome-unknown" in answers[0].json()["type"], answers[0].text
    assert answers[0].headers["Retry-After"], answers[0].headers
    return True


def _ask(stack: ChaosStack, ledger: Ledger, work: Work, key: str) -> httpx.Response:
    """Ask once, without patience."""
    headers = {"Authorization": f"Bearer {ledger.organisations[0].api_key}", "Idempotency-Key": key}
    return httpx.post(f"{stack.web_url}{work.path}", json=work.body, headers=headers, timeout=10, trust_env=False)


LATENCY_SECONDS = 1.0
# Longer than a lease.
LATENCY_LASTS_SECONDS = 42.0
LONG_SECONDS = 37.0
LOSS_SECONDS = 10.0
DRIP_SECONDS = 15.0
DRIP_BYTES_PER_SECOND = 500.0


@scenario(
    "S21", "One-way loss, a round trip of 2 s, and single bytes on all links to PostgreSQL and Redis", plan=LINKED
)
def disturb_all_links(run: Run) -> None:
    proxies = [proxy for links in run.stack.links.values() for proxy in links.all()]
    ledger = run.ledger()
    with run.load(mixed, rate=6, ledger=ledger):
        _disturb(run, proxies, lambda one: one.black_hole(Direction.TO_SERVER), seconds=LOSS_SECONDS)
        _disturb(run, proxies, lambda one: one.black_hole(Direction.TO_CLIENT), seconds=LOSS_SECONDS)
        long_ones = _start_long_jobs(run, ledger)
        _disturb(run, proxies, lambda one: one.slow_down(latency=LATENCY_SECONDS), seconds=LATENCY_LASTS_SECONDS)
        _disturb(
            run,
            proxies,
            lambda one: one.slow_down(latency=0.0, bytes_per_second=DRIP_BYTES_PER_SECOND),
            seconds=DRIP_SECONDS,
        )
    made = run.settle(ledger, within=180)
    assert set(made.statuses) == {"succeeded"}, made.statuses
    lost = run.stack.rows(
        "SELECT job_id::text, e.reason, e.attempt FROM job_events AS e JOIN jobs ON jobs.id = job_id"
        " WHERE organisation_id = ANY(%(organisations)s) AND e.reason = ANY(%(reasons)s)",
        {
            "organisations": [one.id for one in ledger.organisations],
            "reasons": [Reason.LEASE_EXPIRED.value, Reason.WORKER_LOST.value],
        },
    )
    assert not lost, f"leases were lost although their workers were only slow: {lost}"
    attempts = [looks.state_of(run.stack, job_id)["attempt"] for job_id in long_ones]
    run.note(f"no lease lost; jobs of {LONG_SECONDS:.0f} s needed {attempts} attempts")


def _disturb(run: Run, proxies: list[TcpProxy], fault: Callable[[TcpProxy], None], *, seconds: float) -> None:
    """Disturb all links at once for a while, and wait until work is done again."""
    for proxy in proxies:
        fault(proxy)
        run.injected()
    time.sleep(seconds)
    for proxy in proxies:
        proxy.heal()
    run.recoveries.append(faults.seconds_to_first_done(run.stack, time.time()))


def _start_long_jobs(run: Run, ledger: Ledger) -> list[str]:
    """Start on each computing worker a job that takes longer than a lease and says nothing meanwhile."""
    queues = ("reports", "imports", "heavy")
    ids = [ledger.submit(Work.probe(ProbeType.GIL, seconds=LONG_SECONDS, queue=queue)) for queue in queues]
    wait_for(lambda: set(ids) <= {job.job_id for job in faults.running(run.stack)}, seconds=60)
    return ids
