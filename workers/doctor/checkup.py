"""Which checks are made when: what is set, which servers are there, and how the running stack does."""

from typing import Any

from models import session, settings
from workers import broker
from workers.doctor import of_celery, of_deliveries, of_postgresql, of_redis, of_settings, of_stack
from workers.doctor.finding import Finding


def of_what_is_set(app: Any) -> list[Finding]:
    """Look at versions and settings; asks nobody."""
    return [*of_celery.examine(app), *of_settings.examine(settings.load()), *of_deliveries.examine(settings.load())]


def of_servers() -> list[Finding]:
    """Ask PostgreSQL and Redis, and leave no connection behind that a fork could share."""
    try:
        return [*of_postgresql.examine(), *of_redis.examine()]
    finally:
        session.engine().dispose()
        broker.client().close()


def of_everything(app: Any) -> list[Finding]:
    queues = [queue.name for queue in app.conf.task_queues or ()]
    return [*of_what_is_set(app), *of_servers(), *of_stack.examine(queues), *of_deliveries.examine_outbox()]
