"""The queue `reports`: computing what was asked for. Bodies load, compute and store; the ceremony is in `workers.runtime`."""

from workers.celery import app
from workers.runtime import JobTask
from workers.running_job import RunningJob


@app.task(name="reports.run", base=JobTask)
def run(job: RunningJob) -> None:
    """Compute a report on the pinned versions of its datasets, and store it with the job's success."""
    raise NotImplementedError
