"""A worker of the last release or of the next: it knows probes only if a file says that it has been deployed.

`celery -A tests.chaos.stack.rolling` finds the application here.
"""

from models import settings
from workers.celery import app

__all__ = ["app"]

DEPLOYED = "next-release"

if (settings.load().home / DEPLOYED).exists():
    from tests.chaos.stack import workers  # noqa: F401 - registers the task
