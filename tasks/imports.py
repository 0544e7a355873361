"""The queue `imports`: files into the lake, and whatever else reads uploads or rewrites what is in it."""

from typing import TypedDict

from models import settings
from workers.celery import app
from workers.lake_jobs import compacting, erasing, importing, previewing, restoring
from workers.running_job import RunningJob
from workers.runtime import JobTask


class _Limits(TypedDict):
    soft_time_limit: int
    time_limit: int


def _limits() -> _Limits:
    soft = settings.load().import_limit_seconds
    return {"soft_time_limit": soft, "time_limit": soft + settings.load().limit_grace_seconds}


@app.task(name="imports.run", base=JobTask, **_limits())
def run(job: RunningJob) -> None:
    """Clean an uploaded file and commit it to the lake, once."""
    importing.run(job)


@app.task(name="imports.preview", base=JobTask, **_limits())
def preview(job: RunningJob) -> None:
    """Say what an import of an uploaded file would do, and write nothing."""
    previewing.run(job)


@app.task(name="imports.restore", base=JobTask, **_limits())
def restore(job: RunningJob) -> None:
    """Make an older version of a dataset its newest one."""
    restoring.run(job)


@app.task(name="imports.compact", base=JobTask, **_limits())
def compact(job: RunningJob) -> None:
    """Tidy the files of a dataset."""
    compacting.run(job)


@app.task(name="imports.erase", base=JobTask, **_limits())
def erase(job: RunningJob) -> None:
    """Remove a customer from everything that is kept."""
    erasing.run(job)
