"""Reading schedules and their occurrences, and the statements by which any number of beats may fire them at once."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, or_, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.job import Job
from models.job_states import JobStatus
from models.schedule import OccurrenceStatus, Schedule, ScheduleOccurrence

_COUNTING = text("SELECT pg_advisory_xact_lock(hashtextextended(:organisation, 6384001))")
_ACTIVE = and_(Schedule.deleted_at.is_(None), Schedule.paused_at.is_(None))
# Said in the words of the index that has the few jobs of which it is true.
_UNFINISHED = Job.finished_at.is_(None)
_UNFINISHED_JOB = exists().where(Job.schedule_id == Schedule.id, _UNFINISHED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which schedules of an organisation: those of which everything that is said here is true."""

    organisation_id: uuid.UUID
    name: str | None = None
    type: str | None = None
    paused: bool | None = None
    before: uuid.UUID | None = None
    """Older than this one."""

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        conditions = [Schedule.organisation_id == self.organisation_id, Schedule.deleted_at.is_(None)]
        if self.name is not None:
            conditions.append(Schedule.name == self.name)
        if self.type is not None:
            conditions.append(Schedule.type == self.type)
        if self.paused is not None:
            conditions.append(Schedule.paused_at.is_not(None) if self.paused else Schedule.paused_at.is_(None))
        if self.before is not None:
            conditions.append(Schedule.id < self.before)
        return conditions


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of a slot."""

    due_at: datetime
    status: OccurrenceStatus
    decided_at: datetime
    reason: str | None = None
    detail: str | None = None
    job_id: uuid.UUID | None = None


def find(
    session: Session, schedule_id: uuid.UUID, *, organisation_id: uuid.UUID, lock: bool = False
) -> Schedule | None:
    """Return a schedule if it is the organisation's, deleted or not; locked until the transaction ends, if wanted."""
    query = select(Schedule).where(Schedule.id == schedule_id, Schedule.organisation_id == organisation_id)
    return session.scalar(_locked(query) if lock else query)


def page(session: Session, wanted: Wanted, *, limit: int) -> list[Schedule]:
    """Return at most so many of the wanted schedules, newest first; deleted ones are none."""
    return list(session.scalars(select(Schedule).where(*wanted.conditions).order_by(Schedule.id.desc()).limit(limit)))


def count(session: Session, organisation_id: uuid.UUID) -> int:
    """Count the organisation's schedules; until the transaction ends nobody else who counts them makes one more."""
    session.execute(_COUNTING, {"organisation": str(organisation_id)})
    counted = (
        select(func.count())
        .select_from(Schedule)
        .where(Schedule.organisation_id == organisation_id, Schedule.deleted_at.is_(None))
    )
    return session.scalar(counted) or 0


def now(session: Session) -> datetime:
    """Return the time by the database's clock, which every machine shares."""
    return session.scalars(select(func.now())).one()


# --- What one beat does while others may do the same: a schedule that another holds is passed over. ---


def lock_due(session: Session, moment: datetime, *, but: Collection[uuid.UUID]) -> Schedule | None:
    """Lock and return the schedule that is most overdue at a moment; None: there is none, or others have them."""
    query = (
        select(Schedule)
        .where(_ACTIVE, Schedule.next_fire_at <= moment, Schedule.id.not_in(but))
        .order_by(Schedule.next_fire_at, Schedule.id)
        .limit(1)
    )
    return session.scalar(_locked(query, skip=True))


def lock_released(session: Session, *, but: Collection[uuid.UUID]) -> Schedule | None:
    """Lock and return a schedule with a slot that waits, and no unfinished job for it to wait for."""
    waits = exists().where(
        ScheduleOccurrence.schedule_id == Schedule.id, ScheduleOccurrence.status == OccurrenceStatus.WAITING
    )
    query = select(Schedule).where(_ACTIVE, waits, ~_UNFINISHED_JOB, Schedule.id.not_in(but)).limit(1)
    return session.scalar(_locked(query, skip=True))


def lock_unsettled(session: Session, *, but: Collection[uuid.UUID]) -> Schedule | None:
    """Lock and return a schedule with a fired slot whose job has ended, which has not been counted yet."""
    ended = (
        exists()
        .where(
            ScheduleOccurrence.schedule_id == Schedule.id,
            ScheduleOccurrence.status == OccurrenceStatus.FIRED,
            ScheduleOccurrence.settled_at.is_(None),
            Job.id == ScheduleOccurrence.job_id,
            ~_UNFINISHED,
        )
        .correlate(Schedule)
    )
    return session.scalar(_locked(select(Schedule).where(ended, Schedule.id.not_in(but)).limit(1), skip=True))


def decide(session: Session, schedule: Schedule, decision: Decision) -> bool:
    """Write what becomes of a slot; False: that was decided before, and stays."""
    statement = insert(ScheduleOccurrence).values(
        schedule_id=schedule.id,
        organisation_id=schedule.organisation_id,
        due_at=decision.due_at,
        status=decision.status,
        reason=decision.reason,
        detail=decision.detail,
        job_id=decision.job_id,
        decided_at=decision.decided_at,
    )
    kept = statement.on_conflict_do_nothing(index_elements=["schedule_id", "due_at"]).returning(
        ScheduleOccurrence.due_at
    )
    return session.scalar(kept) is not None


def has_unfinished_job(session: Session, schedule: Schedule) -> bool:
    unfinished = exists().where(Job.schedule_id == schedule.id, _UNFINISHED)
    return bool(session.scalar(select(unfinished)))


def waiting(session: Session, schedule: Schedule) -> list[ScheduleOccurrence]:
    """Return the slots that wait for an earlier one, oldest first."""
    query = (
        select(ScheduleOccurrence)
        .where(ScheduleOccurrence.schedule_id == schedule.id, ScheduleOccurrence.status == OccurrenceStatus.WAITING)
        .order_by(ScheduleOccurrence.due_at)
    )
    return list(session.scalars(query))


def ended(session: Session, schedule: Schedule) -> list[tuple[ScheduleOccurrence, Job]]:
    """Return the fired slots whose jobs have ended and are not counted yet, in the order in which they ended."""
    query = (
        select(ScheduleOccurrence, Job)
        .join(Job, Job.id == ScheduleOccurrence.job_id)
        .where(
            ScheduleOccurrence.schedule_id == schedule.id,
            ScheduleOccurrence.status == OccurrenceStatus.FIRED,
            ScheduleOccurrence.settled_at.is_(None),
            ~_UNFINISHED,
        )
        .order_by(Job.finished_at, ScheduleOccurrence.due_at)
    )
    return [(occurrence, job) for occurrence, job in session.execute(query)]


# --- Reading occurrences ---


@dataclass(frozen=True, slots=True)
class Occurred:
    """An occurrence, and how its job is doing."""

    occurrence: ScheduleOccurrence
    job_status: JobStatus | None


def occurrences(
    session: Session,
    schedule_id: uuid.UUID,
    *,
    limit: int,
    status: OccurrenceStatus | None = None,
    before: datetime | None = None,
) -> list[Occurred]:
    """Return occurrences of a schedule, the latest slot first; with `before`, those of earlier slots."""
    query = _occurred().where(ScheduleOccurrence.schedule_id == schedule_id)
    if status is not None:
        query = query.where(ScheduleOccurrence.status == status)
    if before is not None:
        query = query.where(ScheduleOccurrence.due_at < before)
    rows = session.execute(query.order_by(ScheduleOccurrence.due_at.desc()).limit(limit))
    return [_as_occurred(occurrence, status) for occurrence, status in rows]


def last_occurrences(session: Session, schedule_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Occurred]:
    """Return the occurrence of the latest slot of each schedule that has one."""
    latest = (
        select(ScheduleOccurrence.schedule_id, func.max(ScheduleOccurrence.due_at))
        .where(ScheduleOccurrence.schedule_id.in_(schedule_ids))
        .group_by(ScheduleOccurrence.schedule_id)
    )
    query = _occurred().where(tuple_(ScheduleOccurrence.schedule_id, ScheduleOccurrence.due_at).in_(latest))
    return {occurrence.schedule_id: _as_occurred(occurrence, status) for occurrence, status in session.execute(query)}


def runs(
    session: Session, slots: Collection[tuple[uuid.UUID, datetime]]
) -> dict[tuple[uuid.UUID, datetime], list[uuid.UUID]]:
    """Return the jobs there are for slots of schedules, newest first: the slots' own, and those that were asked for."""
    query = select(Job.schedule_id, Job.due_at, Job.id).where(tuple_(Job.schedule_id, Job.due_at).in_(slots))
    found: dict[tuple[uuid.UUID, datetime], list[uuid.UUID]] = defaultdict(list)
    for schedule_id, due_at, job_id in session.execute(query.order_by(Job.id.desc())):
        if schedule_id is not None and due_at is not None:
            found[schedule_id, due_at].append(job_id)
    return found


def drop_waiting(session: Session, schedule: Schedule, *, reason: str, detail: str) -> None:
    """Let no slot wait any more: none of them fires."""
    for occurrence in waiting(session, schedule):
        occurrence.status = OccurrenceStatus.SKIPPED
        occurrence.reason, occurrence.detail = reason, detail


def forget_old(session: Session, *, keep_for: timedelta, limit: int) -> int:
    """Remove at most so many occurrences decided longer ago than this, but none that waits or runs; returns how many.

    No slot fires again by that: a schedule goes on from the slot it decided last.
    """
    counted = or_(ScheduleOccurrence.settled_at.is_not(None), ScheduleOccurrence.job_id.is_(None))
    old = (
        select(ScheduleOccurrence.schedule_id, ScheduleOccurrence.due_at)
        .where(
            ScheduleOccurrence.decided_at < func.now() - keep_for,
            ScheduleOccurrence.status != OccurrenceStatus.WAITING,
            or_(ScheduleOccurrence.status != OccurrenceStatus.FIRED, counted),
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    of_these = tuple_(ScheduleOccurrence.schedule_id, ScheduleOccurrence.due_at).in_(old)
    return len(session.scalars(delete(ScheduleOccurrence).where(of_these).returning(ScheduleOccurrence.due_at)).all())


# --- Figures ---


@dataclass(frozen=True, slots=True)
class Figures:
    """How the schedules of all organisations stand."""

    active: int
    paused: int
    failing: int
    """Paused because they failed too often."""
    due: int
    overdue_seconds: float
    """How long the most overdue one has been due; 0 where none is."""
    waiting: int


def figures(session: Session) -> Figures:
    overdue = and_(_ACTIVE, Schedule.next_fire_at <= func.now())
    row = session.execute(
        select(
            func.count().filter(_ACTIVE),
            func.count().filter(Schedule.deleted_at.is_(None), Schedule.paused_at.is_not(None)),
            func.count().filter(Schedule.deleted_at.is_(None), Schedule.pause_reason == "failures"),
            func.count().filter(overdue),
            func.extract("epoch", func.now() - func.min(Schedule.next_fire_at).filter(overdue)),
        )
    ).one()
    waits = (
        select(func.count())
        .select_from(ScheduleOccurrence)
        .where(ScheduleOccurrence.status == OccurrenceStatus.WAITING)
    )
    return Figures(*row[:4], float(row[4] or 0), session.scalar(waits) or 0)


def _locked(query: Select[Schedule], *, skip: bool = False) -> Select[Schedule]:
    # Not so strong a lock that an insert of a job of this schedule would wait for it.
    return query.with_for_update(of=Schedule, key_share=True, skip_locked=skip).execution_options(
        populate_existing=True
    )


def _occurred() -> Select[ScheduleOccurrence, str]:
    return select(ScheduleOccurrence, Job.status).outerjoin(Job, Job.id == ScheduleOccurrence.job_id)


def _as_occurred(occurrence: ScheduleOccurrence, status: str | None) -> Occurred:
    return Occurred(occurrence, JobStatus(status) if status is not None else None)
