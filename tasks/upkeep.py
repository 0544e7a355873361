"""The queue `upkeep`: what beat asks for. Served by a small worker of its own, so that long jobs never delay a rescue."""

import structlog

from workers import lake_upkeep, rescue, retention
from workers.celery import app
from workers.schedules import firing

log = structlog.get_logger(__name__)


@app.task(name="upkeep.rescue")
def sweep() -> None:
    """Requeue what dead workers held, then publish what is due and has no message."""
    rescue.sweep()


@app.task(name="upkeep.fire_schedules")
def fire_schedules() -> None:
    """Decide every slot of every schedule that is due."""
    firing.poke()


@app.task(name="upkeep.retain")
def retain() -> None:
    """Delete finished jobs and results past their time, and files that no unfinished job needs."""
    removed = retention.remove_expired()
    if removed.jobs or removed.results or removed.files:
        log.info("removed what is past its time", jobs=removed.jobs, results=removed.results, files=removed.files)


@app.task(name="upkeep.tend_lake")
def tend_lake() -> None:
    """Give up versions of datasets past their time, and have the tables tidied that want it."""
    tended = lake_upkeep.tend()
    if tended.given_up or tended.jobs:
        log.info("tended the lake", given_up=tended.given_up, jobs=tended.jobs)
