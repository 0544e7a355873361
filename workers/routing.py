"""Which Celery task runs which kind of job, and which queue it waits in: by name, so that nothing need be imported to send it."""

import uuid

from models import settings
from models.job_states import JobKind

HEAVY = "heavy"
# kombu's Redis transport numbers priorities from 0, the first, to 9; these are two lists of one queue.
EXPRESS_PRIORITY = 0
ORDINARY_PRIORITY = 9


# What works on a file or on the lake, rather than answers a question, is run by the workers of imports.
_OF_IMPORTS = {
    JobKind.PREVIEW: "imports.preview",
    JobKind.RESTORE: "imports.restore",
    JobKind.ERASURE: "imports.erase",
    JobKind.COMPACTION: "imports.compact",
}


def task_of(kind: str) -> str:
    """Return the name of the task that runs a kind of job."""
    return next((task for known, task in _OF_IMPORTS.items() if known == kind), f"{kind}s.run")


def queue_of_report(rows: int) -> str:
    """Return the queue of a report that reads so many rows."""
    return HEAVY if rows > settings.load().heavy_rows else "reports"


def queue_of_import(size: int) -> str:
    """Return the queue of an import of a file of so many bytes."""
    return HEAVY if size > settings.load().heavy_bytes else "imports"


def queue_of_lake_job(size: int) -> str:
    """Return the queue of a job that rewrites so many bytes of the lake."""
    return queue_of_import(size)


def queues_of(kind: JobKind) -> tuple[str, str]:
    """Return the queues in which jobs of a kind wait: the ordinary one, and that of the large ones."""
    return (task_of(kind).partition(".")[0], HEAVY)


def hard_limit_seconds(kind: str) -> int:
    """Return after how long a job of this kind has its process killed."""
    configured = settings.load()
    of_imports = kind == JobKind.IMPORT or kind in _OF_IMPORTS
    soft = configured.import_limit_seconds if of_imports else configured.report_limit_seconds
    return soft + configured.limit_grace_seconds


def send(job_id: uuid.UUID, *, kind: str, queue: str, express: bool) -> None:
    """Put one message in the broker: the job's id and nothing else, and the same id for the Celery task.

    Raises:
        kombu.exceptions.OperationalError: the broker did not take it, as far as can be known.
    """
    # The application imports the heart, and the heart publishes.
    from workers.celery import app  # noqa: PLC0415 - see the remark above

    app.send_task(
        task_of(kind),
        args=[str(job_id)],
        task_id=str(job_id),
        queue=queue,
        priority=EXPRESS_PRIORITY if express else ORDINARY_PRIORITY,
        retry=False,
        ignore_result=True,
    )
