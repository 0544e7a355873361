"""The accounts after a scenario, made from the ledger and SQL: Jepsen's total-queue classes, effects, states, leftovers."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from models.job_states import TRANSITIONS, JobStatus, Reason
from tests.chaos.harness import lake, metrics
from tests.chaos.harness.ledger import Ledger
from tests.chaos.harness.running import ChaosStack
from tests.chaos.stack.probes import CREDITING
from tests.client import ROOT

DRAIN_PAUSE_SECONDS = 0.25
SHOWN = 10

Hashes = Mapping[str, str]
"""The SHA-256 of a report's result in a run without faults, by report type."""


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """What was promised and what became of it. Every field after `statuses` must be empty."""

    acked: int
    statuses: Mapping[str, int]
    lost: tuple[str, ...] = ()
    """I1: acknowledged, and not in a final state."""
    doubled: tuple[str, ...] = ()
    """I2: jobs with more than one effect."""
    missing_effects: tuple[str, ...] = ()
    """I2: jobs that succeeded without their effect."""
    balances: tuple[str, ...] = ()
    """I2: organisations whose balance is not the sum of their credits, or whose tables are not the sum of their imports."""
    unexpected: tuple[str, ...] = ()
    """I3: effects of jobs that were not to have one (failed, cancelled, unknown), and jobs nobody asked for."""
    many_jobs: tuple[str, ...] = ()
    """I4: keys with more than one job, and keys whose job is not the one that was acknowledged."""
    unresolved: tuple[str, ...] = ()
    """I4: keys whose fate was never learnt."""
    wrong_events: tuple[str, ...] = ()
    """I5: changes of state that are not allowed, and histories with a gap."""
    many_commits: tuple[str, ...] = ()
    """I6: jobs with more than one success, or whose effect is not of the attempt that succeeded."""
    wrong_results: tuple[str, ...] = ()
    """I7: reports whose result differs from that of a run without faults."""
    leftovers: tuple[str, ...] = ()
    """I8: files and rows that upkeep did not remove."""
    wrong_metrics: tuple[str, ...] = ()
    """I9: counters that differ from SQL."""
    seed: int = field(default=0)

    def problems(self) -> dict[str, tuple[str, ...]]:
        """Return every field that ought to be empty and is not."""
        return {name: value for name, value in asdict(self).items() if isinstance(value, tuple) and value}

    def assert_clean(self) -> None:
        """Fail with the seed and the first of everything that is wrong."""
        wrong = {name: [len(ids), *ids[:SHOWN]] for name, ids in self.problems().items()}
        if wrong:
            raise AssertionError(
                f"seed {self.seed}: {self.acked} acked, {dict(self.statuses)}: {json.dumps(wrong, indent=1)}"
            )


def wait_until_drained(ledger: Ledger, *, seconds: float) -> float:
    """Wait until every acknowledged job is in a final state, or the time is over; returns how long that took."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        if not _unfinished(ledger):
            break
        time.sleep(DRAIN_PAUSE_SECONDS)
    return time.monotonic() - started


def take(ledger: Ledger, *, seed: int, hashes: Hashes | None = None) -> Accounts:
    """Make the accounts. The ledger's clients have stopped, and its jobs have had their time."""
    stack = ledger.stack
    return Accounts(
        acked=len(ledger.job_ids),
        statuses=_statuses(ledger),
        lost=tuple(_unfinished(ledger)),
        doubled=(*_doubled(ledger), *lake.doubled(stack)),
        missing_effects=_missing_effects(ledger),
        balances=(*_balances(ledger), *lake.wrong_sums(ledger)),
        unexpected=(*_unexpected_effects(ledger), *_unexpected_jobs(ledger)),
        many_jobs=_many_jobs(ledger),
        unresolved=tuple(sorted(ledger.unresolved())),
        wrong_events=(*_wrong_transitions(ledger), *_gaps(ledger)),
        many_commits=(*_many_successes(ledger), *_effects_of_other_attempts(ledger)),
        wrong_results=_wrong_results(ledger, hashes or {}),
        leftovers=_leftovers(stack),
        wrong_metrics=metrics.differences(stack),
        seed=seed,
    )


def _texts(ledger: Ledger, query: str, **more: Any) -> tuple[str, ...]:
    """Ask for one column of texts about the scenario's organisations."""
    parameters = {"organisations": [one.id for one in ledger.organisations], **more}
    return tuple(str(row[0]) for row in ledger.stack.rows(query, parameters))


def _unfinished(ledger: Ledger) -> list[str]:
    """Return acknowledged ids that are not in a final state, and those that SQL does not know at all."""
    final = "SELECT id FROM jobs WHERE id = ANY(%(ids)s::uuid[]) AND finished_at IS NOT NULL"
    ids = ledger.job_ids
    done = {str(row[0]) for row in ledger.stack.rows(final, {"ids": ids})}
    return [job_id for job_id in ids if job_id not in done]


def _statuses(ledger: Ledger) -> dict[str, int]:
    query = "SELECT status, count(*) FROM jobs WHERE id = ANY(%(ids)s::uuid[]) GROUP BY status ORDER BY status"
    return {str(status): int(count) for status, count in ledger.stack.rows(query, {"ids": ledger.job_ids})}


def _doubled(ledger: Ledger) -> tuple[str, ...]:
    return _texts(
        ledger,
        "SELECT job_id FROM effect_log WHERE organisation_id = ANY(%(organisations)s)"
        " GROUP BY job_id HAVING count(*) > 1",
    )


def _missing_effects(ledger: Ledger) -> tuple[str, ...]:
    return _texts(
        ledger,
        "SELECT id FROM jobs WHERE organisation_id = ANY(%(organisations)s) AND kind = 'probe' AND status = 'succeeded'"
        " AND type = ANY(%(crediting)s) AND NOT EXISTS (SELECT FROM effect_log WHERE job_id = jobs.id)",
        crediting=[kind.value for kind in CREDITING],
    )


def _balances(ledger: Ledger) -> tuple[str, ...]:
    return _texts(
        ledger,
        """
        SELECT format('%%s: %%s instead of %%s', o.id, coalesce(a.balance, 0), coalesce(j.total, 0))
        FROM organisations AS o
        LEFT JOIN account AS a ON a.organisation_id = o.id
        LEFT JOIN (
            SELECT organisation_id, sum((params->>'n')::bigint) AS total FROM jobs
            WHERE kind = 'probe' AND status = 'succeeded' AND type = ANY(%(crediting)s) GROUP BY organisation_id
        ) AS j ON j.organisation_id = o.id
        WHERE o.id = ANY(%(organisations)s) AND coalesce(a.balance, 0) <> coalesce(j.total, 0)
        """,
        crediting=[kind.value for kind in CREDITING],
    )


def _unexpected_effects(ledger: Ledger) -> tuple[str, ...]:
    return _texts(
        ledger,
        "SELECT format('effect of %%s, which is %%s', e.job_id, coalesce(j.status, 'unknown')) FROM effect_log AS e"
        " LEFT JOIN jobs AS j ON j.id = e.job_id"
        " WHERE e.organisation_id = ANY(%(organisations)s) AND j.status IS DISTINCT FROM 'succeeded'",
    )


def _unexpected_jobs(ledger: Ledger) -> tuple[str, ...]:
    return _texts(
        ledger,
        "SELECT format('job %%s, asked for by nobody', id) FROM jobs WHERE organisation_id = ANY(%(organisations)s)"
        " AND NOT EXISTS (SELECT FROM idempotency_keys AS k WHERE k.job_id = jobs.id AND k.key = ANY(%(keys)s))",
        keys=sorted(ledger.keys),
    )


def _many_jobs(ledger: Ledger) -> tuple[str, ...]:
    """A key is a primary key with one job; what remains to be seen is that it is the job that was acknowledged, each time."""
    told: dict[str, set[str]] = {}
    for attempt in ledger.attempts:
        if attempt.job_id is not None:
            told.setdefault(attempt.key, set()).add(attempt.job_id)
    kept: dict[str, str] = dict(
        ledger.stack.rows(
            "SELECT key, job_id::text FROM idempotency_keys WHERE organisation_id = ANY(%(organisations)s)",
            {"organisations": [one.id for one in ledger.organisations]},
        )
    )
    return tuple(
        f"{key}: told {sorted(ids)}, kept {kept.get(key)}" for key, ids in told.items() if ids != {kept.get(key)}
    )


def _wrong_transitions(ledger: Ledger) -> tuple[str, ...]:
    allowed = {(start.value, end.value) for start, ends in TRANSITIONS.items() for end in ends}
    found = ledger.stack.rows(
        "SELECT from_status, to_status, e.reason, count(*), min(job_id::text) FROM job_events AS e JOIN jobs ON jobs.id = job_id"
        " WHERE organisation_id = ANY(%(organisations)s) GROUP BY 1, 2, 3",
        {"organisations": [one.id for one in ledger.organisations]},
    )
    wrong = []
    for start, end, reason, count, example in found:
        first = start is None and end == JobStatus.QUEUED and reason == Reason.ACCEPTED
        asked = start == end == JobStatus.RUNNING and reason == Reason.CANCEL_REQUESTED
        if not (first or asked or (start, end) in allowed):
            wrong.append(f"{count} times {start} -> {end} ({reason}), such as {example}")
    return tuple(wrong)


def _gaps(ledger: Ledger) -> tuple[str, ...]:
    """Jobs with an event that does not begin where the one before ended, or whose last event is not their state."""
    return _texts(
        ledger,
        """
        SELECT job_id FROM (
            SELECT e.job_id, e.from_status, j.status, e.to_status,
                lag(e.to_status) OVER ahead AS before, lead(e.id) OVER ahead IS NULL AS is_last
            FROM job_events AS e JOIN jobs AS j ON j.id = e.job_id
            WHERE j.organisation_id = ANY(%(organisations)s)
            WINDOW ahead AS (PARTITION BY e.job_id ORDER BY e.id)
        ) AS history
        WHERE from_status IS DISTINCT FROM before OR (is_last AND to_status <> status)
        """,
    )


def _many_successes(ledger: Ledger) -> tuple[str, ...]:
    return _texts(
        ledger,
        "SELECT job_id FROM job_events JOIN jobs ON jobs.id = job_id WHERE organisation_id = ANY(%(organisations)s)"
        " AND to_status = 'succeeded' GROUP BY job_id HAVING count(*) > 1",
    )


def _effects_of_other_attempts(ledger: Ledger) -> tuple[str, ...]:
    return _texts(
        ledger,
        "SELECT e.job_id FROM effect_log AS e JOIN job_events AS v ON v.job_id = e.job_id AND v.to_status = 'succeeded'"
        " WHERE e.organisation_id = ANY(%(organisations)s) AND v.attempt <> e.attempt",
    )


def _wrong_results(ledger: Ledger, hashes: Hashes) -> tuple[str, ...]:
    """Reports of which the result differs from the expected one, or is not there."""
    found = ledger.stack.rows(
        "SELECT j.id::text, j.type, r.sha256 FROM jobs AS j LEFT JOIN results AS r ON r.job_id = j.id"
        " WHERE j.organisation_id = ANY(%(organisations)s) AND j.kind = 'report' AND j.status = 'succeeded'",
        {"organisations": [one.id for one in ledger.organisations]},
    )
    return tuple(f"{job_id} ({kind}): {sha256}" for job_id, kind, sha256 in found if hashes.get(kind) != sha256)


def _leftovers(stack: ChaosStack) -> tuple[str, ...]:
    """Let upkeep run as if everything were old, and return what it leaves although no unfinished job needs it."""
    environment = {**os.environ, "RECKONER_HOME": str(stack.home)}
    for name in ("DATABASE_URL", "REDIS_URL"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos.harness.clean_up"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode != 0:
        return (f"upkeep failed: {done.stderr[-500:]}",)
    return tuple(done.stdout.splitlines())
