"""The Celery application. `celery -A workers` finds it here; its settings are in `celeryconfig.py`."""

from celery import Celery

from workers import redis_transport, signals
from workers.heart import Heart

redis_transport.use()
app = Celery("reckoner", config_source="celeryconfig", task_cls="workers.messages:Task", set_as_current=True)
app.steps["worker"].add(Heart)
signals.connect()
