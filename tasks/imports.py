"""The queue `imports`: files into the lake."""

from workers.celery import app
from workers.runtime import JobTask
from workers.running_job import RunningJob


@app.task(name="imports.run", base=JobTask)
def run(job: RunningJob) -> None:
    """Clean an uploaded file and commit it to the lake, once."""
    raise NotImplementedError
