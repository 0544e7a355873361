"""The Celery application. `celery -A workers` finds it here; its settings are in `celeryconfig.py`."""

from celery import Celery

from workers import redis_transport, signals

redis_transport.use()
app = Celery(
    "reckoner",
    config_source="celeryconfig",
    task_cls="workers.task:Task",
    # Celery's only one is for Django.
    fixups=(),
    set_as_current=True,
)
# By its name: whoever only sends messages, as the web does, need not load what a worker is made of.
app.steps["worker"].add("workers.heart:Heart")
signals.connect()
