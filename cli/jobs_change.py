"""`reckoner jobs cancel`, `rerun` and `delete`: what an operator does to jobs. Who did it is kept with the job."""

import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from cli import invocation, job_filters, operator_name, output, server_side
from cli.exit_codes import ExitCode
from cli.invocation import Failure
from models import job_deletion, jobs, transitions
from models.job_deletion import Deletion
from models.job_states import JobKind, JobStatus
from workers import rerun as rerunning

# Each transaction holds its rows only this long.
BATCH = 200


@click.command("cancel")
@click.argument("job_id", type=click.UUID, required=False)
@job_filters.options
@click.option("--reason", help="Why; kept with the job and shown to its owner.")
@click.option("--dry-run", is_flag=True, help="Only say how many jobs would be cancelled.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def cancel(*, job_id: uuid.UUID | None, reason: str | None, dry_run: bool, yes: bool, **options: Any) -> None:
    """Cancel one unfinished job, or all that the options say: at once if they wait, within seconds if they run."""
    filtered = any(value is not None for value in options.values())
    if (job_id is not None) == filtered:
        raise Failure("say either which job, or with options which jobs", ExitCode.USAGE)
    if job_id is None:
        _cancel_all(options, reason=reason, dry_run=dry_run, yes=yes)
    elif dry_run:
        _tell(1 if _unfinished(job_id) else 0)
    else:
        _cancel_one(job_id, reason)


def _cancel_one(job_id: uuid.UUID, reason: str | None) -> None:
    with server_side.transaction() as db:
        job = job_filters.find(db, job_id)
    done = _cancel_batch([job_id], reason)
    if not done:
        raise Failure(f"job {job_id} is already {job.status}", ExitCode.FAILED)
    (status,) = done
    if invocation.current().as_json:
        output.emit_json({"id": str(job_id), "status": status})
    else:
        output.say("cancelled" if status is JobStatus.CANCELLED else "its worker has been told to stop")


def _cancel_all(options: dict[str, Any], *, reason: str | None, dry_run: bool, yes: bool) -> None:
    with server_side.transaction() as db:
        # The newest first: else those in front would be let in while those behind them go.
        found = jobs.unfinished_ids_of(db, job_filters.wanted(db, **options))
    if dry_run or not found:
        _tell(len(found))
        return
    if not yes:
        if invocation.current().as_json:
            raise Failure(f"this would cancel {len(found)} jobs; say --yes to do it", ExitCode.USAGE, jobs=len(found))
        click.confirm(f"Cancel {len(found)} jobs?", abort=True)
    done: Counter[JobStatus] = Counter()
    for start in range(0, len(found), BATCH):
        done += _cancel_batch(found[start : start + BATCH], reason)
    counts = {"cancelled": done[JobStatus.CANCELLED], "stopping": done[JobStatus.RUNNING]}
    if invocation.current().as_json:
        output.emit_json({**counts, "finished_meanwhile": len(found) - done.total()})
    else:
        output.say(f"{counts['cancelled']} cancelled; {counts['stopping']} running ones have been told to stop")


def _cancel_batch(job_ids: Sequence[uuid.UUID], reason: str | None) -> Counter[JobStatus]:
    """Cancel jobs in one transaction; the answer says how many are cancelled, and how many have been told to stop."""
    by = operator_name.name()
    done: Counter[JobStatus] = Counter()
    with server_side.transaction() as db:
        for job_id in job_ids:
            if transitions.cancel_queued(db, job_id, by=by, why=reason):
                done[JobStatus.CANCELLED] += 1
            elif transitions.request_cancel(db, job_id, by=by, why=reason):
                done[JobStatus.RUNNING] += 1
    return done


def _unfinished(job_id: uuid.UUID) -> bool:
    with server_side.transaction() as db:
        return not JobStatus(job_filters.find(db, job_id).status).is_final


def _tell(count: int) -> None:
    if invocation.current().as_json:
        output.emit_json({"would_cancel": count})
    else:
        output.say(
            "no unfinished job is meant" if count == 0 else f"would cancel {count} {'job' if count == 1 else 'jobs'}"
        )


@click.command("rerun")
@click.argument("job_id", type=click.UUID)
@click.option("--pinned", is_flag=True, help="Read the same versions of the datasets again, not the newest.")
def rerun(*, job_id: uuid.UUID, pinned: bool) -> None:
    """Run a finished job again, as a new job. The next sweep publishes it, within seconds."""
    with server_side.transaction() as db:
        try:
            new = rerunning.rerun(db, job_filters.find(db, job_id), pinned=pinned)
        except rerunning.RefusedError as error:
            raise Failure(error.detail, ExitCode.FAILED, why=error.why) from error
    if invocation.current().as_json:
        output.emit_json({"id": str(new.id), "status": new.status, "rerun_of": str(job_id)})
    else:
        output.say(str(new.id))


@click.command("delete")
@click.argument("job_id", type=click.UUID)
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(*, job_id: uuid.UUID, yes: bool) -> None:
    """Delete a finished report: its result and what was asked. That it was there, and who deleted it, is kept for a while."""
    if not yes:
        if invocation.current().as_json:
            raise Failure("this cannot be undone; say --yes to do it", ExitCode.USAGE)
        click.confirm(f"Delete the result of job {job_id}, for good?", abort=True)
    with server_side.transaction() as db:
        job = job_filters.find(db, job_id)
        if job.kind != JobKind.REPORT:
            raise Failure(f"job {job_id} is no report but of kind {job.kind}", ExitCode.FAILED)
        if job_deletion.delete_job(db, job, by=operator_name.name()) is Deletion.UNFINISHED:
            raise Failure(f"job {job_id} is {job.status}; cancel it first", ExitCode.FAILED)
    if invocation.current().as_json:
        output.emit_json({"id": str(job_id), "deleted": True})
    else:
        output.say("deleted")
