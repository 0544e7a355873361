"""What a schedule asks for at one slot: when it is due and fires, the report with its dates resolved, and the job for it."""

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from analytics.datasets import schemas
from analytics.datasets.schemas import ColumnKind
from models import dataset
from models.base import Json
from models.new_job import NewJob
from models.organisation import Organisation
from models.schedule import Schedule
from workers import refusals, report_planning
from workers.deliveries import receivers
from workers.refusals import RefusedError
from workers.report_planning import Plan, Request
from workers.schedules import relative, relative_filters
from workers.schedules.recurrence import Recurrence


def recurrence_of(schedule: Schedule) -> Recurrence:
    return Recurrence(schedule.cron, ZoneInfo(schedule.timezone), schedule.starts_at, schedule.ends_at)


def fire_at(schedule: Schedule, due_at: datetime) -> datetime:
    """Return when a slot fires: when it is due, or later by a part of the jitter that is the same whoever reckons it."""
    if schedule.jitter_seconds == 0:
        return due_at
    digest = hashlib.sha256(f"{schedule.id}/{due_at.timestamp()}".encode()).digest()
    return due_at + timedelta(seconds=int.from_bytes(digest[:8]) % (schedule.jitter_seconds + 1))


def go_on(schedule: Schedule, *, after: datetime) -> None:
    """Let the first slot after a moment be the one that is decided next."""
    schedule.next_due_at = recurrence_of(schedule).next(after)
    schedule.next_fire_at = None if schedule.next_due_at is None else fire_at(schedule, schedule.next_due_at)


def plan(db: Session, schedule: Schedule, due_at: datetime) -> Plan:
    """Plan the report of one slot on the data that there are now.

    Raises:
        workers.refusals.RefusedError: the type is gone, the parameters do not suit it, or the data are not there.
    """
    with _said_of_what_was_given(schedule):
        asked = Request(type=schedule.type, params=_resolved(db, schedule, due_at))
        return report_planning.plan(db, asked, _organisation(db, schedule))


def canonical_params(db: Session, schedule: Schedule, due_at: datetime) -> Json:
    """Return the parameters of the report of one slot, without a look at the data.

    Raises:
        workers.refusals.RefusedError: there is no such type, or the parameters do not suit it.
    """
    with _said_of_what_was_given(schedule):
        kind = report_planning.type_of(schedule.type)
        params = report_planning.parse_params(kind, _resolved(db, schedule, due_at), _organisation(db, schedule))
        return params.model_dump(mode="json")


def _resolved(db: Session, schedule: Schedule, due_at: datetime) -> Json:
    kind, zone = report_planning.type_of(schedule.type), ZoneInfo(schedule.timezone)
    resolved = relative.resolve(schedule.params, model=kind.params, due_at=due_at, zone=zone)
    asked = resolved.get(relative_filters.FILTER)
    if not relative_filters.is_written(asked):
        return resolved
    slot = relative.slot_of(schedule.params, due_at=due_at, zone=zone)
    # What the parameters say besides tells which datasets are read.
    others = {name: value for name, value in resolved.items() if name != relative_filters.FILTER}
    params = report_planning.parse_params(kind, others, _organisation(db, schedule))
    kinds = _kinds(db, schedule, kind.needs(params).all)
    resolved[relative_filters.FILTER], wrong = relative_filters.resolve(asked, slot=slot, kinds=kinds)
    if wrong:
        raise refusals.invalid(*wrong)
    return resolved


def _kinds(db: Session, schedule: Schedule, datasets: Sequence[str]) -> dict[str, ColumnKind]:
    """Return the kinds of all columns that a report may compare: of one that several datasets have, if all agree."""
    current = dataset.current(db, schedule.organisation_id)
    found: dict[str, set[ColumnKind]] = defaultdict(set)
    for name in datasets:
        known = {column.name: column.kind for column in schemas.DATASETS[name].columns}
        # What has not been imported yet has the columns that it will have.
        stored = current[name].columns if name in current else known
        for column, kind in stored.items():
            found[column].add(ColumnKind(kind))
    return {column: next(iter(kinds)) for column, kinds in found.items() if len(kinds) == 1}


def _organisation(db: Session, schedule: Schedule) -> report_planning.Organisation:
    asker = db.get_one(Organisation, schedule.organisation_id)
    return report_planning.Organisation(id=asker.id, timezone=asker.timezone, currency=asker.currency)


@contextmanager
def _said_of_what_was_given(schedule: Schedule) -> Iterator[None]:
    """Let refusals of what a relative range was resolved to point at the range."""
    try:
        yield
    except RefusedError as refusal:
        raise (relative.pointed_at_range(refusal) if relative.RANGE in schedule.params else refusal) from refusal


def new_job(
    schedule: Schedule,
    made: Plan,
    *,
    due_at: datetime,
    request_id: str | None = None,
    traceparent: str | None = None,
) -> NewJob:
    """Return the job of one slot, or of a run that somebody asked for."""
    job = made.new_job(
        priority=schedule.priority,
        label=schedule.label or schedule.name,
        request_id=request_id,
        traceparent=traceparent,
    )
    targets = receivers.expand(schedule.organisation_id, schedule.deliveries)
    return dataclasses.replace(job, deliveries=targets or None, schedule_id=schedule.id, due_at=due_at)
