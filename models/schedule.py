"""Schedules: reports that are asked for by the clock; and their occurrences, one row for each slot that has been decided.

The primary key of an occurrence is what makes a slot fire once, with any number of beats: whoever inserts the row first
inserts the job with it, in one transaction. How they change is in `models.schedules`.
"""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, Text, false, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, CreatedAt, Json, new_id


class CatchUp(StrEnum):
    """Which slots that were missed, because nothing ran or the schedule was paused, are made up for."""

    SKIP = "skip"
    LAST = "last"
    ALL = "all"


class Overlap(StrEnum):
    """What becomes of a slot that comes while the job of an earlier one is unfinished."""

    SKIP = "skip"
    QUEUE = "queue"


class OccurrenceStatus(StrEnum):
    FIRED = "fired"
    """There is a job for it."""

    WAITING = "waiting"
    """It fires when the job of an earlier slot has ended."""

    SKIPPED = "skipped"
    """It was decided not to fire it; the reason says why."""

    FAILED = "failed"
    """The report could not be planned, so there is no job; the reason says why."""


class PauseReason(StrEnum):
    ASKED = "asked"
    """Somebody paused it."""

    FAILURES = "failures"
    """It failed as often in a row as it may."""


def _one_of(column: str, members: type[StrEnum]) -> str:
    values = ", ".join(f"'{member.value}'" for member in members)
    return f"{column} IN ({values})"


class Schedule(Base):
    """A report that is asked for again and again.

    `next_due_at` is the slot to decide next, and `next_fire_at` the moment to do so: the same, or later by the jitter. Both are
    null when no slot is left.
    """

    __tablename__ = "schedules"
    __table_args__ = (
        CheckConstraint(_one_of("catch_up", CatchUp), name="catch_up_is_known"),
        CheckConstraint(_one_of("overlap", Overlap), name="overlap_is_known"),
        CheckConstraint(_one_of("pause_reason", PauseReason), name="pause_reason_is_known"),
        CheckConstraint("(paused_at IS NULL) = (pause_reason IS NULL)", name="paused_has_a_reason"),
        CheckConstraint("(next_due_at IS NULL) = (next_fire_at IS NULL)", name="due_has_a_moment"),
        CheckConstraint("priority BETWEEN 0 AND 9", name="priority_is_a_digit"),
        Index(
            "ix_schedules_due",
            "next_fire_at",
            "id",
            postgresql_where=text("deleted_at IS NULL AND paused_at IS NULL AND next_fire_at IS NOT NULL"),
        ),
        Index("ix_schedules_organisation_newest", "organisation_id", text("id DESC")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    name: Mapped[str] = mapped_column(Text)

    type: Mapped[str] = mapped_column(Text)
    params: Mapped[Json]  # as they were given, relative dates and all
    max_age: Mapped[int | None]  # seconds; None: a stored result of the same data will do, however old
    label: Mapped[str | None] = mapped_column(Text)
    priority: Mapped[int] = mapped_column(SmallInteger, default=5, server_default="5")

    cron: Mapped[str] = mapped_column(Text)
    timezone: Mapped[str] = mapped_column(Text)
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    jitter_seconds: Mapped[int] = mapped_column(default=0, server_default="0")
    catch_up: Mapped[str] = mapped_column(Text)
    catch_up_max: Mapped[int]
    overlap: Mapped[str] = mapped_column(Text)
    max_failures: Mapped[int]  # 0: it is never paused by itself

    deliveries: Mapped[list[Json]] = mapped_column(JSONB, default=list, server_default=text("'[]'::jsonb"))
    alerts: Mapped[list[Json]] = mapped_column(JSONB, default=list, server_default=text("'[]'::jsonb"))

    next_due_at: Mapped[datetime | None]
    next_fire_at: Mapped[datetime | None]
    consecutive_failures: Mapped[int] = mapped_column(default=0, server_default="0")
    paused_at: Mapped[datetime | None]
    paused_by: Mapped[str | None] = mapped_column(Text)
    pause_reason: Mapped[str | None] = mapped_column(Text)
    pause_detail: Mapped[str | None] = mapped_column(Text)

    created_by: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    deleted_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(default=1, server_default="1")


class ScheduleOccurrence(Base):
    """What became of one slot of a schedule. The slot is the time without jitter."""

    __tablename__ = "schedule_occurrences"
    __table_args__ = (
        CheckConstraint(_one_of("status", OccurrenceStatus), name="status_is_known"),
        CheckConstraint("status <> 'waiting' OR job_id IS NULL", name="waiting_has_no_job"),
        Index("ix_schedule_occurrences_job_id", "job_id"),
        Index(
            "ix_schedule_occurrences_unsettled",
            "schedule_id",
            "due_at",
            postgresql_where=text("status = 'fired' AND settled_at IS NULL"),
        ),
        Index("ix_schedule_occurrences_waiting", "schedule_id", "due_at", postgresql_where=text("status = 'waiting'")),
        Index("ix_schedule_occurrences_decided_at", "decided_at"),
        Index("ix_schedule_occurrences_alerts_due", "due_at", "schedule_id", postgresql_where=text("alerts_due")),
    )

    schedule_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("schedules.id", ondelete="CASCADE"), primary_key=True)
    due_at: Mapped[datetime] = mapped_column(primary_key=True)
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    status: Mapped[str] = mapped_column(Text)
    job_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    reason: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[str | None] = mapped_column(Text)
    decided_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # When the end of its job was counted, for or against the schedule.
    settled_at: Mapped[datetime | None]
    # Whether its alerts are still to be evaluated, and how often that has been begun.
    alerts_due: Mapped[bool] = mapped_column(default=False, server_default=false())
    alert_tries: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
