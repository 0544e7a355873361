"""Jobs run out of time: told to stop, or killed where they do not hear it. They end for good, and without an effect."""

import time

from tests.chaos.harness import looks
from tests.chaos.harness.ledger import Work, credits_only
from tests.chaos.harness.running import Plan
from tests.chaos.harness.scenario import Run, scenario
from tests.chaos.stack.probes import ProbeType

LIMIT_SECONDS = 4
LIMIT_GRACE_SECONDS = 4
SHORT = Plan(
    environment={
        "REPORT_LIMIT_SECONDS": str(LIMIT_SECONDS),
        "IMPORT_LIMIT_SECONDS": str(LIMIT_SECONDS),
        "LIMIT_GRACE_SECONDS": str(LIMIT_GRACE_SECONDS),
    }
)
# The limit begins with the message, the clock of the job with its claim; and the heart looks once a second.
MOST_SECONDS_LATE = 4.0


@scenario(
    "LIMITS", "Jobs run past their time limit: asleep, in a DuckDB query, in C code that hears nothing", plan=SHORT
)
def run_out_of_time(run: Run) -> None:
    ledger = run.ledger(organisations=2)
    kinds = (Work.probe(ProbeType.SLOW, seconds=120), Work.probe(ProbeType.DUCKDB), Work.probe(ProbeType.DEAF))
    late = [(work, ledger.submit(work)) for _ in run.times(5) for work in kinds]
    run.injections += len(late)
    with run.load(credits_only, rate=2, ledger=ledger):
        time.sleep(5)
    made = run.settle(ledger, within=240)
    assert made.statuses == {"failed": len(late), "succeeded": made.acked - len(late)}, made.statuses
    for work, job_id in late:
        ended = looks.state_of(run.stack, job_id)
        assert (ended["reason"], ended["attempt"], ended["crashes"]) == ("timed-out", 1, 0), (work, ended)
        allowed = LIMIT_SECONDS + (LIMIT_GRACE_SECONDS if work.body["type"] == ProbeType.DEAF else 0)
        took = _seconds_of(run, job_id)
        run.recoveries.append(took)
        assert LIMIT_SECONDS - 1 <= took <= allowed + MOST_SECONDS_LATE, (work, took)
    run.note(
        f"limit {LIMIT_SECONDS} s, and {LIMIT_GRACE_SECONDS} s more for what does not listen; recovery: claim to end"
    )


def _seconds_of(run: Run, job_id: str) -> float:
    query = "SELECT extract(epoch FROM finished_at - claimed_at)::float8 FROM jobs WHERE id = %(id)s"
    return float(run.stack.one(query, {"id": job_id}))
