"""`reckoner jobs`: what the operator sees of all jobs. How one is stopped or run again is in `cli.jobs_change`."""

import uuid
from datetime import UTC, datetime
from typing import Any

import click

from cli import invocation, job_filters, jobs_change, output, server_side, spans, why
from models import jobs, organisations, standing
from models.job import Job, JobEvent
from workers import broker

COLUMNS = (
    "id",
    "kind",
    "type",
    "status",
    "reason",
    "attempt",
    "age",
    "queue",
    "organisation",
    "created_at",
    "finished_at",
)
EVENT_COLUMNS = ("at", "from_status", "to_status", "reason", "attempt", "actor", "note", "worker_id", "error")


@click.group("jobs")
def command() -> None:
    """List jobs, see why they wait, cancel them, run them again, delete what they made."""


@command.command("list")
@job_filters.options
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
def list_(limit: int, **options: Any) -> None:
    """List jobs, newest first."""
    with server_side.transaction() as db:
        found = jobs.page(db, job_filters.wanted(db, **options), limit=limit)
        names = organisations.names(db, (job.organisation_id for job in found))
    now = datetime.now(UTC)
    rows = [[_cell(job, name, organisation=names[job.organisation_id], now=now) for name in COLUMNS] for job in found]
    output.rows(COLUMNS, rows, title="Jobs")


@command.command("show")
@click.argument("job_id", type=click.UUID)
def show(job_id: uuid.UUID) -> None:
    """Show one job and everything that happened to it."""
    with server_side.transaction() as db:
        job = job_filters.find(db, job_id)
        events = jobs.events(db, job_id)
    if invocation.current().as_json:
        output.emit_json({**_as_dict(job), "events": [_as_dict(event) for event in events]})
        return
    for name, value in _as_dict(job).items():
        if value is not None:
            output.say(f"{name:20} {value}")
    _show_events(events)


@command.command("events")
@click.argument("job_id", type=click.UUID)
def events_(job_id: uuid.UUID) -> None:
    """Show everything that happened to a job, oldest first, and who did it."""
    with server_side.transaction() as db:
        job_filters.find(db, job_id)
        events = jobs.events(db, job_id)
    _show_events(events)


@command.command("why")
@click.argument("job_id", type=click.UUID)
def why_(job_id: uuid.UUID) -> None:
    """Say what a job waits for, where it runs, or how it ended."""
    with server_side.transaction() as db:
        stands = standing.of(db, job_filters.find(db, job_id))
    found = why.causes(stands, broker_reachable=broker.ping())
    if invocation.current().as_json:
        output.emit_json(why.facts(stands, found))
    for cause in found:
        output.say(cause.sentence)


def _show_events(events: list[JobEvent]) -> None:
    cells = [[_text(getattr(event, name)) for name in EVENT_COLUMNS] for event in events]
    output.rows(EVENT_COLUMNS, cells, title="Events")


def _cell(job: Job, name: str, *, organisation: str, now: datetime) -> Any:
    if name == "organisation":
        return organisation
    if name == "age":
        seconds = ((job.finished_at or now) - job.created_at).total_seconds()
        return round(seconds, 3) if invocation.current().as_json else spans.text(seconds)
    return _text(getattr(job, name))


def _as_dict(row: Job | JobEvent) -> dict[str, Any]:
    return {column.key: _text(getattr(row, column.key)) for column in row.__table__.columns}


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, uuid.UUID) else value


command.add_command(jobs_change.cancel)
command.add_command(jobs_change.rerun)
command.add_command(jobs_change.delete)
