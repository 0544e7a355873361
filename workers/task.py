"""The base of all tasks. What only a worker needs of it is named, not imported."""

import celery


class Task(celery.Task):
    """Celery's, but for how its messages are read."""

    abstract = True
    Request = "workers.messages:Request"
