"""The product's Celery application with one more task. `celery -A tests.chaos.stack.workers` finds it here."""

from tests.chaos.stack import behaviour, probes
from workers.celery import app
from workers.running_job import RunningJob
from workers.runtime import JobTask

__all__ = ["app", "task"]


def run(job: RunningJob) -> None:
    """Do what a probe does, under the same ceremony as every job."""
    job.check_cancelled()
    behaviour.BEHAVIOUR[probes.ProbeType(job.type)](job, probes.Probe.model_validate(job.params))


task = app.task(name="probes.run", base=JobTask)(run)
