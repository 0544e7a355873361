"""The worker process: the Celery app, the job runtime around every task body, signals."""
