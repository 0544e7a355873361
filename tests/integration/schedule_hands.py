"""Hands for the tests of schedules: make one, let its jobs end, read what became of its slots.

Their time is a year gone by, so that no schedule of another test is due in it.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from models import session, transitions
from models.base import new_id
from models.job import Job
from models.job_states import UNFINISHED, Reason
from models.schedule import Schedule, ScheduleOccurrence
from tests.integration import web_api
from workers.schedules import planning

START = datetime(2025, 3, 3, 9, 0, tzinfo=UTC)
DEFAULTS: dict[str, Any] = {
    "name": "Every five minutes",
    "type": "rfm",
    "params": {},
    "cron": "*/5 * * * *",
    "timezone": "UTC",
    "catch_up": "last",
    "catch_up_max": 12,
    "overlap": "queue",
    "max_failures": 3,
    "deliveries": [],
    "alerts": [],
    "jitter_seconds": 0,
}


def minutes(count: float) -> datetime:
    return START + timedelta(minutes=count)


@contextmanager
def scheduled(caller: web_api.Caller, **changes: Any) -> Iterator[Schedule]:
    """Make a schedule whose first slot is the first after `START`; afterwards it is gone."""
    made = Schedule(id=new_id(), organisation_id=caller.organisation_id, **(DEFAULTS | changes))
    planning.go_on(made, after=START)
    with session.transaction() as db:
        db.add(made)
    try:
        yield made
    finally:
        with session.transaction() as db:
            db.execute(update(Schedule).where(Schedule.id == made.id).values(deleted_at=START))


def change(schedule: Schedule, **values: Any) -> None:
    with session.transaction() as db:
        db.execute(update(Schedule).where(Schedule.id == schedule.id).values(**values))


def now(schedule: Schedule) -> Schedule:
    """Return the schedule as it is now."""
    with session.transaction() as db:
        return db.get_one(Schedule, schedule.id)


def occurrences(schedule: Schedule) -> list[ScheduleOccurrence]:
    with session.transaction() as db:
        query = select(ScheduleOccurrence).where(ScheduleOccurrence.schedule_id == schedule.id)
        return list(db.scalars(query.order_by(ScheduleOccurrence.due_at)))


def slots(schedule: Schedule, status: str) -> list[datetime]:
    return [one.due_at for one in occurrences(schedule) if one.status == status]


def jobs(schedule: Schedule) -> list[Job]:
    with session.transaction() as db:
        return list(db.scalars(select(Job).where(Job.schedule_id == schedule.id).order_by(Job.id)))


def end_jobs(schedule: Schedule, *, well: bool = True) -> int:
    """Let every unfinished job of a schedule end, as a worker would; returns how many there were."""
    unfinished = [job.id for job in jobs(schedule) if job.status in UNFINISHED]
    for job_id in unfinished:
        with session.transaction() as db:
            job = transitions.claim(db, job_id, worker_id=uuid.uuid4(), pid=1, lease_seconds=600)
            assert job is not None
            if well:
                assert transitions.succeed(
                    db, job_id, attempt=job.attempt, outcome=None, keep_result=None, max_in_flight=16
                )
            else:
                error = {"type": "too-many-rows", "title": "Too many rows", "detail": "There would be too many rows."}
                assert transitions.fail(db, job_id, attempt=job.attempt, reason=Reason.PERMANENT_ERROR, error=error)
    return len(unfinished)
