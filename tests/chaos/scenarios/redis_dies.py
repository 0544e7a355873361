"""Redis dies, forgets, or freezes. It holds hints only: nothing is lost, and nobody who submits notices."""

import concurrent.futures
import itertools
import random
import time
from collections.abc import Sequence

from tests.chaos.harness import faults, looks, requests
from tests.chaos.harness.ledger import Ledger, Work, mixed
from tests.chaos.harness.redis_apart import Outage
from tests.chaos.harness.running import ChaosStack, Organisation, Plan
from tests.chaos.harness.scenario import Run, scenario
from tests.chaos.stack.probes import ProbeType
from tests.client import wait_for

# Ten children and more, so that ten jobs can run at once.
APART = Plan(redis_apart=True, environment={"WORKER_CONCURRENCY": "5"})
# Celery looks again after two seconds, and then after four more: some return before it looks, some after.
DOWN_SECONDS = (0.5, 3.0)
DRAINED_SECONDS = 60.0
# By how much requests may be slower while Redis is away.
MOST_EXTRA_SECONDS = 0.3
LONGEST_REQUEST_SECONDS = 1.0
QUEUES = ("reports", "imports")
SUBMITTERS = 8


def on_two_queues(chance: random.Random) -> Work:
    """The mixed load, on the queues that have several slots."""
    work = mixed(chance)
    return Work(work.path, work.body | {"queue": chance.choice(QUEUES)})


@scenario("S11", "`kill -9` of Redis, which comes back within 3 s with its append-only file", plan=APART)
def kill_redis(run: Run) -> None:
    _kill_often(run, number=50, wiped=False)


@scenario("S12", "`kill -9` of Redis, whose data are gone when it comes back", plan=APART)
def wipe_redis(run: Run) -> None:
    _kill_often(run, number=10, wiped=True)


def _kill_often(run: Run, *, number: int, wiped: bool) -> None:
    """Take Redis away again and again under load, each time once workers have taken work from it since the last time."""
    outages: list[Outage] = []
    with run.load(on_two_queues, rate=8) as ledger:
        for _ in run.times(number):
            time.sleep(run.chance.uniform(0.5, 1.5))
            outages.append(run.stack.redis_apart.take_down(run.chance.uniform(*DOWN_SECONDS), wiped=wiped))
            run.injected(kill=True)
            # What was in a worker's hands is claimed at once; only what is published after the return needs Redis.
            wait_until_newer_is_claimed(run.stack, ledger, outages[-1].until)
    run.settle(ledger, within=DRAINED_SECONDS)
    run.recoveries += [seconds_to_drain(run.stack, ledger, outage.until) for outage in outages]
    requests.assert_all_accepted(ledger)
    _compare_requests(run, ledger, outages)
    assert max(run.recoveries) <= DRAINED_SECONDS, run.recoveries
    run.note("recovery: from Redis's return until everything accepted before is done")


def wait_until_newer_is_claimed(stack: ChaosStack, ledger: Ledger, at: float) -> None:
    """Wait until a job is claimed that was accepted after this moment, and so went through Redis as it is now."""
    query = (
        "SELECT EXISTS (SELECT FROM jobs WHERE organisation_id = ANY(%(organisations)s) AND created_at > to_timestamp(%(at)s)"
        " AND started_at IS NOT NULL)"
    )
    parameters = {"organisations": [one.id for one in ledger.organisations], "at": at}
    wait_for(lambda: bool(stack.one(query, parameters)), seconds=DRAINED_SECONDS)


def seconds_to_drain(stack: ChaosStack, ledger: Ledger, at: float) -> float:
    """Return how long after this moment the last job was done that had been accepted before it."""
    query = (
        "SELECT extract(epoch FROM max(finished_at))::float8 FROM jobs"
        " WHERE organisation_id = ANY(%(organisations)s) AND created_at < to_timestamp(%(at)s)"
    )
    last = stack.one(query, {"organisations": [one.id for one in ledger.organisations], "at": at})
    return max(0.0, float(last) - at)


def _compare_requests(run: Run, ledger: Ledger, outages: list[Outage]) -> None:
    """Compare the requests made while Redis was away with the others."""
    away = requests.during(ledger, [(outage.since, outage.until) for outage in outages])
    others = itertools.pairwise(outages)
    there = requests.during(ledger, [(0.0, outages[0].since), *((one.until, two.since) for one, two in others)])
    run.note(f"while Redis was away: {requests.in_words(away)}")
    run.note(f"while it was there: {requests.in_words(there)}")
    extra = requests.percentile(away, 0.99) - requests.percentile(there, 0.99)
    assert extra <= MOST_EXTRA_SECONDS, f"p99 is {extra:.2f} s longer without Redis"


@scenario("S13", "FLUSHALL with 1,000 jobs queued and 10 running", plan=APART)
def flush_redis(run: Run) -> None:
    number = len(run.times(1_000))
    ledger = run.ledger(organisations=5)
    _lift_shares(run.stack, ledger)
    # They hold every slot for as long as it takes to submit the rest.
    seconds = 5 + 20 * number / 1_000
    long = [
        ledger.submit(Work.probe(ProbeType.SLOW, seconds=seconds, queue=queue), organisation=organisation)
        for organisation in ledger.organisations
        for queue in QUEUES
    ]
    _submit(run, ledger, number)
    wait_for(lambda: _messages(run.stack) >= number, seconds=30)
    running = {job.job_id for job in faults.running(run.stack)}
    flushed, at = _messages(run.stack), time.time()
    faults.flush(run.stack)
    run.injected()
    run.settle(ledger, within=2 * DRAINED_SECONDS)
    run.recoveries.append(seconds_to_drain(run.stack, ledger, at))
    run.note(
        f"{flushed} messages flushed, {len(running)} jobs running; recovery: until all {number + len(long)} are done"
    )
    run.note(f"the last was published again {_seconds_to_publish(run.stack, ledger, at):.1f} s after the flush")
    assert flushed >= number, f"{flushed} messages were there to be flushed"
    assert set(long) <= running, f"{len(running)} were running"
    assert run.recoveries[-1] <= DRAINED_SECONDS, run.recoveries


def _lift_shares(stack: ChaosStack, ledger: Ledger) -> None:
    """Let all jobs of these organisations be in Redis at once: what waits in SQL cannot be flushed."""
    statement = "UPDATE organisations SET max_in_flight = 10000 WHERE id = ANY(%(ids)s) RETURNING id"
    stack.rows(statement, {"ids": [one.id for one in ledger.organisations]})


def _submit(run: Run, ledger: Ledger, number: int) -> None:
    """Submit so many small jobs at once, from several threads."""
    works = [(on_two_queues(run.chance), run.chance.choice(ledger.organisations)) for _ in range(number)]

    def submit(mine: Sequence[tuple[Work, Organisation]]) -> None:
        with ledger.clerk() as clerk:
            for work, organisation in mine:
                clerk.submit(work, organisation)

    with concurrent.futures.ThreadPoolExecutor(SUBMITTERS) as pool:
        list(pool.map(submit, [works[first::SUBMITTERS] for first in range(SUBMITTERS)]))


def _messages(stack: ChaosStack) -> int:
    with stack.redis() as connection:
        return sum(int(connection.llen(key)) for queue in QUEUES for key in looks.list_keys(queue))


def _seconds_to_publish(stack: ChaosStack, ledger: Ledger, at: float) -> float:
    """Return how long after this moment the last message of what was accepted before was sent."""
    query = (
        "SELECT extract(epoch FROM max(published_at))::float8 FROM jobs"
        " WHERE organisation_id = ANY(%(organisations)s) AND created_at < to_timestamp(%(at)s)"
    )
    last = stack.one(query, {"organisations": [one.id for one in ledger.organisations], "at": at})
    return max(0.0, float(last) - at)


@scenario("S14", "Redis is frozen for 60 s", plan=APART)
def freeze_redis(run: Run) -> None:
    seconds = max(12.0, 60.0 * run.scale)
    with run.load(on_two_queues, rate=10) as ledger:
        time.sleep(3)
        since = time.time()
        with faults.frozen(run.stack.redis_apart.pid):
            run.injected()
            time.sleep(seconds / 2)
            requests.wait_until_degraded(run.stack, "broker-away", seconds=5)
            time.sleep(max(0.0, since + seconds - time.time()))
        until = time.time()
        wait_until_newer_is_claimed(run.stack, ledger, until)
    run.settle(ledger, within=DRAINED_SECONDS)
    run.recoveries.append(seconds_to_drain(run.stack, ledger, until))
    requests.assert_all_accepted(ledger)
    _compare_requests(run, ledger, [Outage(since, until)])
    longest = ledger.latencies()[-1]
    assert longest <= LONGEST_REQUEST_SECONDS, f"a request took {longest:.2f} s"
