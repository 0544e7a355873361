"""One organisation has ten thousand jobs waiting; another's single job must not wait for them."""

import statistics
import time
from collections.abc import Callable

from tests.chaos.harness.ledger import Ledger, Work
from tests.chaos.harness.running import ChaosStack, Organisation
from tests.chaos.harness.scenario import Run, scenario
from tests.chaos.stack.probes import ProbeType
from tests.client import reckoner, wait_for

BACKLOG = 10_000
# What the backlog's jobs take at most: a slot is free again within this time, and it goes to whoever has least.
LONGEST_JOB_SECONDS = 1.5
# From the acceptance to the list in Redis, and from there to the claim.
DISPATCH_SECONDS = 1.5
ALONE_SECONDS = 10.0

# As the load of the other scenarios: three of ten take between a fifth of a second and one and a half.
_FILL = """
INSERT INTO jobs (id, organisation_id, kind, type, queue, params)
SELECT gen_random_uuid(), %(organisation)s, 'probe', type, 'reports',
    jsonb_build_object('type', type, 'n', 1, 'seconds', CASE WHEN type = 'slow' THEN 0.2 + 1.3 * random() ELSE 0 END)
FROM (SELECT CASE WHEN i %% 10 < 3 THEN 'slow' ELSE 'credit' END AS type FROM generate_series(1, %(number)s) AS i) AS chosen
RETURNING 1
"""
# How long each of the other's jobs waited for its claim, and how many of the backlog were claimed meanwhile.
_WAITS = """
SELECT extract(epoch FROM mine.at - j.created_at)::float8 AS wait, (
    SELECT count(*) FROM job_events AS theirs JOIN jobs AS k ON k.id = theirs.job_id
    WHERE k.organisation_id = %(backlog)s AND theirs.reason = 'claimed' AND theirs.at BETWEEN j.created_at AND mine.at
) AS overtook
FROM jobs AS j JOIN job_events AS mine ON mine.job_id = j.id AND mine.reason = 'claimed'
WHERE j.id = ANY(%(ids)s::uuid[]) ORDER BY wait
"""
_WRONG = """
SELECT j.id FROM jobs AS j LEFT JOIN effect_log AS e ON e.job_id = j.id WHERE j.organisation_id = %(organisation)s
GROUP BY j.id HAVING j.finished_at IS NULL OR count(e.job_id) <> (j.status = 'succeeded')::int
"""


@scenario("FAIR", "One organisation has 10,000 jobs queued, another submits single ones")
def fair_share(run: Run) -> None:
    stack = run.stack
    big, ledger = stack.new_organisation(), run.ledger(organisations=1)
    number = max(500, len(run.times(BACKLOG)))
    stack.rows(_FILL, {"organisation": big.id, "number": number})
    run.injected()
    wait_for(lambda: _finished(stack, big), seconds=30)
    alone = _rate(stack, big, lambda: time.sleep(max(5.0, ALONE_SECONDS * run.scale)))
    beside = _rate(stack, big, lambda: _submit_single(run, ledger))
    left = number - _finished(stack, big)
    _cancel_rest(stack, big)
    run.settle(ledger)
    found = stack.rows(_WAITS, {"backlog": big.id, "ids": ledger.job_ids})
    waits, overtook = [float(wait) for wait, _ in found], sorted(int(number) for _, number in found)
    run.recoveries += waits
    run.note(f"recovery: from acceptance to claim, with {number:,} jobs of another queued before and {left:,} after")
    run.note(f"overtaken by {statistics.median(overtook):g} jobs in the median, {overtook[-1]} at most")
    run.note(f"the backlog went on with {beside:.1f} jobs a second, {alone:.1f} without the others")
    wrong = stack.rows(_WRONG, {"organisation": big.id})
    assert not wrong, f"{len(wrong)} of the backlog unfinished, or without exactly their effect: {wrong[:5]}"
    assert left > 0, "the backlog was done before the others had submitted"
    assert waits[-1] <= LONGEST_JOB_SECONDS + DISPATCH_SECONDS, waits[-5:]


def _submit_single(run: Run, ledger: Ledger) -> None:
    """Submit one job at a time, each once the one before is done."""
    for _ in run.times(60):
        time.sleep(run.chance.uniform(0.0, 0.5))
        _wait_until_done(run.stack, ledger.submit(Work.probe(ProbeType.CREDIT, n=run.chance.randint(1, 1_000))))


def _wait_until_done(stack: ChaosStack, job_id: str) -> None:
    query = "SELECT finished_at IS NOT NULL FROM jobs WHERE id = %(id)s"
    wait_for(lambda: bool(stack.one(query, {"id": job_id})), seconds=60)


def _finished(stack: ChaosStack, organisation: Organisation) -> int:
    query = "SELECT count(*) FROM jobs WHERE organisation_id = %(id)s AND finished_at IS NOT NULL"
    return int(stack.one(query, {"id": organisation.id}))


def _rate(stack: ChaosStack, organisation: Organisation, meanwhile: Callable[[], None]) -> float:
    """Return how many jobs of an organisation are finished a second while something else happens."""
    done, started = _finished(stack, organisation), time.monotonic()
    meanwhile()
    return (_finished(stack, organisation) - done) / (time.monotonic() - started)


def _cancel_rest(stack: ChaosStack, organisation: Organisation) -> None:
    """Cancel what still waits, as an operator would, and wait for what runs."""
    options = ("--organisation", organisation.name, "--reason", "enough of it", "--yes")
    done = reckoner(stack.stack, "jobs", "cancel", "--status", "queued", *options)
    assert done.returncode == 0, done.stderr
    query = "SELECT count(*) = 0 FROM jobs WHERE organisation_id = %(id)s AND finished_at IS NULL"
    wait_for(lambda: bool(stack.one(query, {"id": organisation.id})), seconds=60)
