"""The Celery tasks, one file per queue."""
