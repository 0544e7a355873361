"""Which jobs a command means: by id, or by options that several commands share."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click
from sqlalchemy.orm import Session

from cli import spans
from cli.exit_codes import ExitCode
from cli.invocation import Failure
from models import jobs, organisations
from models.job import Job
from models.job_states import JobKind, JobStatus
from models.jobs import Wanted

Function = TypeVar("Function", bound=Callable[..., Any])


def options(function: Function) -> Function:
    """Add the options that say which jobs are meant."""
    for option in (
        click.option(
            "--since", type=spans.Since(), help="Accepted no longer ago than 90s, 15m, 2h or 3d, or since a time."
        ),
        click.option("--type", "type_", help="Report type, or dataset of an import."),
        click.option("--organisation", help="Name of the organisation they belong to."),
        click.option("--queue", help="Queue they are in."),
        click.option("--kind", type=click.Choice([kind.value for kind in JobKind])),
        click.option("--status", type=click.Choice([status.value for status in JobStatus])),
    ):
        function = option(function)
    return function


def wanted(  # noqa: PLR0913 - one argument per option of `options`
    db: Session,
    *,
    status: str | None,
    kind: str | None,
    queue: str | None,
    organisation: str | None,
    type_: str | None,
    since: datetime | timedelta | None,
) -> Wanted:
    """Return what the options of `options` mean.

    Raises:
        Failure: there is no organisation of this name.
    """
    found = organisations.find(db, organisation) if organisation is not None else None
    if organisation is not None and found is None:
        raise Failure(f"there is no organisation {organisation!r}")
    return Wanted(
        organisation_id=found.id if found is not None else None,
        kind=JobKind(kind) if kind else None,
        status=JobStatus(status) if status else None,
        type=type_,
        queue=queue,
        since=since,
    )


def find(db: Session, job_id: uuid.UUID) -> Job:
    job = jobs.find(db, job_id)
    if job is None:
        raise Failure(f"there is no job {job_id}", ExitCode.FAILED)
    return job
