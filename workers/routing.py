"""Which Celery task runs which kind of job, by name, so that a message can be sent without importing the task."""

import uuid

from celery import current_app

from models.job import Job
from models.job_states import JobKind
from workers.publisher import Message

TASK_OF_KIND: dict[JobKind, str] = {
    JobKind.REPORT: "reports.run",
    JobKind.IMPORT: "imports.run",
}


def send(task_name: str, job_id: uuid.UUID) -> None:
    """Put one message in the broker: the job's id and nothing else, and the same id for the Celery task.

    Raises:
        kombu.exceptions.OperationalError: the broker did not take it, as far as can be known.
    """
    current_app.send_task(task_name, args=[str(job_id)], task_id=str(job_id), retry=False, ignore_result=True)


def message(job: Job) -> Message:
    name = TASK_OF_KIND[JobKind(job.kind)]
    return Message(job_id=job.id, send=lambda job_id: send(name, job_id))


def queue_of(kind: JobKind) -> str:
    """Return the queue that serves a kind of job: the part of its task's name before the dot, as `task_routes` has it."""
    return TASK_OF_KIND[kind].partition(".")[0]
