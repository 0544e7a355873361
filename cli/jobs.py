"""`reckoner jobs`: what the operator sees of all jobs, and how to cancel one."""

import uuid
from datetime import datetime
from typing import Any

import click

from cli import invocation, output, server_side
from cli.exit_codes import ExitCode
from cli.invocation import Failure
from models import jobs, transitions
from models.job import Job, JobEvent
from models.job_states import JobKind, JobStatus

COLUMNS = ("id", "kind", "type", "status", "attempt", "created_at", "finished_at")


@click.group("jobs")
def command() -> None:
    """List, show and cancel jobs."""


@command.command("list")
@click.option("--status", type=click.Choice([status.value for status in JobStatus]))
@click.option("--kind", type=click.Choice([kind.value for kind in JobKind]))
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
def list_(status: str | None, kind: str | None, limit: int) -> None:
    """List jobs, newest first."""
    with server_side.transaction() as db:
        found = jobs.newest(
            db, limit=limit, status=JobStatus(status) if status else None, kind=JobKind(kind) if kind else None
        )
    output.rows(COLUMNS, [[_text(getattr(job, name)) for name in COLUMNS] for job in found], title="Jobs")


@command.command("show")
@click.argument("job_id", type=click.UUID)
def show(job_id: uuid.UUID) -> None:
    """Show one job and everything that happened to it."""
    with server_side.transaction() as db:
        job = _find(db, job_id)
        events = jobs.events(db, job_id)
    if invocation.current().as_json:
        output.emit_json({**_as_dict(job), "events": [_as_dict(event) for event in events]})
        return
    for name, value in _as_dict(job).items():
        if value is not None:
            output.say(f"{name:20} {value}")
    names = ("at", "from_status", "to_status", "reason", "attempt", "error")
    output.rows(names, [[_text(getattr(event, name)) for name in names] for event in events], title="Events")


@command.command("cancel")
@click.argument("job_id", type=click.UUID)
def cancel(job_id: uuid.UUID) -> None:
    """Cancel a job that is not finished: at once if it waits, within seconds if it runs."""
    with server_side.transaction() as db:
        job = _find(db, job_id)
        cancelled = transitions.cancel_queued(db, job_id)
        asked = cancelled or transitions.request_cancel(db, job_id)
    if not asked:
        raise Failure(f"job {job_id} is already {job.status}", ExitCode.FAILED)
    if invocation.current().as_json:
        output.emit_json({"id": str(job_id), "status": JobStatus.CANCELLED if cancelled else job.status})
    else:
        output.say("cancelled" if cancelled else "its worker has been told to stop")


def _find(db: Any, job_id: uuid.UUID) -> Job:
    job = jobs.find(db, job_id)
    if job is None:
        raise Failure(f"there is no job {job_id}", ExitCode.FAILED)
    return job


def _as_dict(row: Job | JobEvent) -> dict[str, Any]:
    return {column.key: _text(getattr(row, column.key)) for column in row.__table__.columns}


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return str(value) if isinstance(value, uuid.UUID) else value
