"""Redis cannot be reached: from the first moment of every process, or by one worker whose network swallows everything."""

import time

import psutil

from tests.chaos.harness import requests
from tests.chaos.harness.ledger import Ledger, mixed
from tests.chaos.harness.running import ChaosStack, Plan
from tests.chaos.harness.scenario import Run, scenario
from tests.chaos.scenarios import redis_dies
from tests.client import wait_for

CUT_OFF = "worker-reports"
# Of a worker that is cut off: until it knows, and until another does what it held.
MOST_SECONDS_TO_NOTICE = 60.0
MOST_SECONDS_TO_CLAIM = 45.0
# Celery looks for its broker in growing intervals; this is the longest.
LONGEST_RETRY_SECONDS = 30.0


@scenario("S17", "Redis is down when everything starts", plan=Plan(redis_apart=True, redis_at_start=False))
def boot_without_redis(run: Run) -> None:
    run.injected()
    # Workers and beat give signs of life without it, so that its absence is all there is to say.
    wait_for(lambda: requests.reasons(run.stack) == {"broker-away"}, seconds=60, pause=0.5)
    started = run.stack.pids
    with run.load(mixed, rate=6) as ledger:
        time.sleep(max(15.0, 60.0 * run.scale))
        assert run.stack.pids == started, "a process was started again while Redis was down"
        run.stack.redis_apart.start()
        at = time.time()
        redis_dies.wait_until_newer_is_claimed(run.stack, ledger, at)
    run.settle(ledger, within=redis_dies.DRAINED_SECONDS)
    run.recoveries.append(redis_dies.seconds_to_drain(run.stack, ledger, at))
    requests.assert_all_accepted(ledger)
    wait_for(lambda: requests.readiness(run.stack)["status"] == "ready", seconds=LONGEST_RETRY_SECONDS, pause=0.5)
    assert run.stack.pids == started, "a process was started again"
    run.note(
        f"without Redis since the start: {requests.in_words(ledger.latencies(until=at))}; no process was restarted"
    )


@scenario(
    "S18",
    "The network between one worker and Redis swallows everything for 90 s",
    plan=Plan(links=(CUT_OFF,), twice=(CUT_OFF,)),
)
def black_hole(run: Run) -> None:
    stack, link = run.stack, run.stack.links[CUT_OFF].broker
    with run.load(mixed, rate=8) as ledger:
        time.sleep(5)
        pid, since = stack.pids[CUT_OFF], time.time()
        before = _connections(pid, link.port)
        link.black_hole()
        run.injected()
        # Celery does not say so in its log: its event loop stands still until it has a connection that answers.
        wait_for(lambda: before - _connections(pid, link.port), seconds=MOST_SECONDS_TO_NOTICE)
        noticed = time.time() - since
        time.sleep(max(0.0, since + max(25.0, 90.0 * run.scale) - time.time()))
        link.heal()
        healed = time.time()
        wait_for(lambda: _claims(stack, pid, healed), seconds=2 * LONGEST_RETRY_SECONDS)
        back = time.time() - healed
    made = run.settle(ledger, within=redis_dies.DRAINED_SECONDS)
    waits = _waits(stack, ledger, since, healed)
    run.recoveries += waits[-1:]
    requests.assert_all_accepted(ledger)
    assert set(made.statuses) == {"succeeded"}, made.statuses
    assert waits[-1] <= MOST_SECONDS_TO_CLAIM, waits[-5:]
    assert stack.pids[CUT_OFF] == pid, "the worker was started again"
    run.note(
        f"gave a connection up after {noticed:.1f} s, took work {back:.1f} s after the network was back, without a restart"
    )
    run.note(
        f"of {len(waits)} jobs accepted meanwhile the median waited {requests.percentile(waits, 0.5):.2f} s for its claim, "
        f"{sum(wait > 5 for wait in waits)} more than 5 s"
    )


def _connections(pid: int, port: int) -> set[int]:
    """Return the local ports of a process's connections to this one: nobody else ends them while the network is silent."""
    connections = psutil.Process(pid).net_connections("tcp")
    return {one.laddr.port for one in connections if one.raddr and one.raddr.port == port}


def _claims(stack: ChaosStack, pid: int, since: float) -> bool:
    """Tell whether this worker has claimed a job since then."""
    query = (
        "SELECT EXISTS (SELECT FROM job_events AS e JOIN heartbeats AS h ON h.process_id = e.worker_id"
        " WHERE h.pid = %(pid)s AND e.reason = 'claimed' AND e.at > to_timestamp(%(since)s))"
    )
    return bool(stack.one(query, {"pid": pid, "since": since}))


def _waits(stack: ChaosStack, ledger: Ledger, since: float, until: float) -> list[float]:
    """Return how long each job accepted between these moments waited for its first claim, in order of size."""
    query = (
        "SELECT extract(epoch FROM min(e.at) - j.created_at)::float8 AS wait FROM jobs AS j"
        " JOIN job_events AS e ON e.job_id = j.id AND e.reason = 'claimed' WHERE j.organisation_id = ANY(%(organisations)s)"
        " AND j.created_at BETWEEN to_timestamp(%(since)s) AND to_timestamp(%(until)s) GROUP BY j.id ORDER BY wait"
    )
    organisations = [one.id for one in ledger.organisations]
    return [
        float(row[0]) for row in stack.rows(query, {"organisations": organisations, "since": since, "until": until})
    ]
