"""What an erasure takes out of schedules: what they ask that names the person, and what is written of their slots."""

import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from analytics.datasets.mentions import Mention
from models import erasure, session
from models.erasure import Journal
from models.schedule import PauseReason, Schedule, ScheduleOccurrence
from workers.lake_jobs import erasing_targets
from workers.running_job import RunningJob

# What a schedule asks for, or sends, is not the same any more without the person.
_ASKED = ("params", "deliveries", "alerts")
_SAID = ("name", "label", "pause_detail")
WHY_PAUSED = "What it asks for, or whom it is sent to, named somebody who has been erased."


def named(job: RunningJob, mention: Mention) -> set[uuid.UUID]:
    """Return the schedules that name the person, themselves or in what is written of their slots; changes nothing."""
    with session.transaction() as db:
        found = {schedule.id for schedule, _ in _schedules(db, job, mention)}
        return found | {occurrence.schedule_id for occurrence in _occurrences(db, job, mention)}


def redact(job: RunningJob, mention: Mention) -> None:
    """Let schedules forget the person. One that asked for them fires no more until somebody has looked at it."""
    with session.transaction() as db:
        for schedule, values in _schedules(db, job, mention):
            for name, value in values.items():
                setattr(schedule, name, value)
            if not values.keys().isdisjoint(_ASKED) and schedule.paused_at is None:
                schedule.paused_at = db.scalars(select(func.now())).one()
                schedule.pause_reason, schedule.pause_detail = PauseReason.ASKED, WHY_PAUSED
            schedule.revision += 1
            erasure.note(db, job.id, partial(Journal.redact, job_id=schedule.id))
        for occurrence in _occurrences(db, job, mention):
            occurrence.detail = mention.mask(occurrence.detail)
            erasure.note(db, job.id, partial(Journal.redact, job_id=occurrence.schedule_id))


def _schedules(db: Session, job: RunningJob, mention: Mention) -> Iterator[tuple[Schedule, dict[str, Any]]]:
    query = select(Schedule).where(Schedule.organisation_id == job.organisation_id).order_by(Schedule.id)
    # An organisation has a limited number of them: they are all looked at.
    for schedule in db.scalars(query.with_for_update(key_share=True)):
        members = {name: getattr(schedule, name) for name in (*_ASKED, *_SAID)}
        values = {name: mention.mask(value) for name, value in members.items() if mention.is_anywhere_in(value)}
        receivers = erasing_targets.without_wanted(schedule.deliveries, mention)
        if receivers != schedule.deliveries:
            values["deliveries"] = receivers
        if values:
            yield schedule, values


def _occurrences(db: Session, job: RunningJob, mention: Mention) -> Iterator[ScheduleOccurrence]:
    query = select(ScheduleOccurrence).where(
        ScheduleOccurrence.organisation_id == job.organisation_id,
        ScheduleOccurrence.detail.is_not(None),
        func.strpos(ScheduleOccurrence.detail, mention.customer_id) > 0,
    )
    for occurrence in db.scalars(query.with_for_update()):
        if mention.is_anywhere_in(occurrence.detail):
            yield occurrence
