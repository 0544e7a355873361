"""A worker whose broker hands out again every message that is not acknowledged within seconds: what its doctor refuses.

`celery -A tests.chaos.stack.short_visibility` finds the application here.
"""

from tests.chaos.stack.workers import app, task

__all__ = ["app", "task"]

VISIBILITY_SECONDS = 2

app.conf.broker_transport_options = app.conf.broker_transport_options | {
    "visibility_timeout": VISIBILITY_SECONDS,
    "unacked_restore_interval": 1,
    "unacked_restore_throttle": 0.5,
}
