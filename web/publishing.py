"""Hands an accepted job to its Celery task. Called after the commit, and by then nothing here can undo or delay the answer."""

import uuid

from models.job_states import JobKind
from tasks import imports, reports


def publish(kind: JobKind, job_id: uuid.UUID) -> None:
    """Publish a committed job in the background; what the broker does not take, the rescue sweep publishes later."""
    if kind is JobKind.REPORT:
        reports.run.publish_soon(job_id)
    else:
        imports.run.publish_soon(job_id)
