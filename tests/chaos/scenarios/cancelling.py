"""Jobs are cancelled, wherever they are: waiting, asleep, in a query, in C code that hears nothing, or just claimed."""

import time

import psutil

from models.failpoints import Point
from models.settings import Settings
from tests.chaos.harness import faults, looks, mix
from tests.chaos.harness.ledger import Ledger, Work
from tests.chaos.harness.scenario import Run, scenario
from tests.chaos.stack.probes import ProbeType
from tests.client import reckoner, wait_for

GRACE_SECONDS = float(Settings.model_fields["cancel_grace_seconds"].default)
# Two beats of the heart, and some for a busy machine.
MOST_SECONDS_BY_SIGNAL = 4.0
REASON = "the wrong month"
# What a signal ends, and what only a kill does.
LISTENING = (Work.probe(ProbeType.DUCKDB), Work.probe(ProbeType.SLOW, seconds=120))
DEAF = Work.probe(ProbeType.DEAF)


@scenario("CANCEL", "Jobs are cancelled: waiting, asleep, in a DuckDB query, in C code that hears nothing")
def cancel(run: Run) -> None:
    ledger = run.ledger(organisations=1)
    for _ in run.times(5):
        for work in LISTENING:
            by_signal = _cancel_running(run, ledger, work, survives=True)
            assert by_signal <= MOST_SECONDS_BY_SIGNAL, by_signal
            run.recoveries.append(by_signal)
        by_force = _cancel_running(run, ledger, DEAF, survives=False)
        assert GRACE_SECONDS <= by_force <= GRACE_SECONDS + MOST_SECONDS_BY_SIGNAL, by_force
    _cancel_waiting(run, ledger)
    made = run.settle(ledger)
    assert made.statuses == {"cancelled": made.acked}, made.statuses
    run.note(f"a query and a sleep end by a signal, in their process; C code is killed after {GRACE_SECONDS:.0f} s")


@scenario(
    "CANCEL-CLAIMED", "A job is cancelled whose process stands still right after it claimed the job", plan=mix.QUICK
)
def cancel_claimed(run: Run) -> None:
    ledger = run.ledger(organisations=1)
    for _ in run.times(10):
        faults.arm(run.stack, Point.CLAIM_AFTER_COMMIT, "stop")
        job_id = ledger.submit(Work.probe(ProbeType.CREDIT, n=1))
        pid = faults.wait_until_hit(run.stack, Point.CLAIM_AFTER_COMMIT)
        _cancel(run, job_id)
        wait_for(lambda: not psutil.pid_exists(pid), seconds=60)  # noqa: B023 - called before the next turn
        wait_for(lambda: looks.state_of(run.stack, job_id)["status"] == "cancelled", seconds=60)  # noqa: B023 - as above
    made = run.settle(ledger)
    assert made.statuses == {"cancelled": made.acked}, made.statuses


def _cancel_running(run: Run, ledger: Ledger, work: Work, *, survives: bool) -> float:
    """Cancel a job once it runs, and return after how many seconds it had ended."""
    job_id = ledger.submit(work)
    pid = wait_for(lambda: _pid_of(run, job_id), seconds=60)
    # So that it is in its query, its sleep or its loop, and not on the way there.
    time.sleep(1)
    _cancel(run, job_id)
    wait_for(lambda: looks.state_of(run.stack, job_id)["status"] == "cancelled", seconds=60)
    if survives:
        assert pid in _children(run), f"the child of {work.body['type']} died"
    else:
        wait_for(lambda: pid not in _children(run), seconds=10)
    _check_events(run, job_id, ["accepted", "claimed", "cancel-requested", "cancelled"])
    return _seconds_to_obey(run, job_id)


def _seconds_to_obey(run: Run, job_id: str) -> float:
    query = (
        "SELECT extract(epoch FROM max(at) FILTER (WHERE reason = 'cancelled')"
        " - max(at) FILTER (WHERE reason = 'cancel-requested'))::float8 FROM job_events WHERE job_id = %(id)s"
    )
    return float(run.stack.one(query, {"id": job_id}))


def _cancel_waiting(run: Run, ledger: Ledger) -> None:
    """Cancel a job while every slot is busy with others, then those."""
    busy = [ledger.submit(Work.probe(ProbeType.SLOW, seconds=120)) for _ in range(len(_children(run)))]
    wait_for(lambda: len(faults.running(run.stack, type_="slow")) == len(busy), seconds=60)
    waiting = ledger.submit(Work.probe(ProbeType.CREDIT, n=1))
    _cancel(run, waiting)
    assert looks.state_of(run.stack, waiting)["status"] == "cancelled"
    _check_events(run, waiting, ["accepted", "cancelled"])
    for job_id in busy:
        _cancel(run, job_id)


def _cancel(run: Run, job_id: str) -> None:
    done = reckoner(run.stack.stack, "jobs", "cancel", job_id, "--reason", REASON, "--yes")
    assert done.returncode == 0, done.stderr
    run.injected()


def _check_events(run: Run, job_id: str, reasons: list[str]) -> None:
    """The history says what happened, and the cancellation who and why."""
    rows = run.stack.rows(
        "SELECT reason, actor, note FROM job_events WHERE job_id = %(id)s ORDER BY id", {"id": job_id}
    )
    assert [reason for reason, *_ in rows] == reasons, rows
    _, actor, note = rows[-1]
    assert actor, rows
    assert note == REASON, rows


def _pid_of(run: Run, job_id: str) -> int | None:
    return next((job.pid for job in faults.running(run.stack) if job.job_id == job_id), None)


def _children(run: Run) -> list[int]:
    return faults.children_of(run.stack.pids["worker-reports"])
