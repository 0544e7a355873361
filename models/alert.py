"""Alerts of schedules: how each stands, which of its rows fire, and the log of what began and ended to fire.

What an alert asks is in `schedules.alerts`; `analytics.catalogue.alerts` knows what that means. How these rows are read and
written is in `models.alerts`.
"""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, LargeBinary, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Json, new_id

_ANY = JSONB(none_as_null=True)


class AlertState(StrEnum):
    """How one row stands, or the one figure of an alert that is not about each row."""

    OK = "ok"
    PENDING = "pending"
    """It has crossed, but not in as many runs in a row as the alert wants."""

    FIRING = "firing"


class Change(StrEnum):
    """What the log knows."""

    FIRING = "firing"
    RECOVERED = "recovered"
    BROKEN = "broken"
    """It cannot be evaluated any more; the problem says why."""

    MENDED = "mended"
    """It can be evaluated again."""


class AlertStanding(Base):
    """How an alert stands since it was first evaluated.

    `declaration` is what was evaluated: an alert that asks something else now begins anew. `problem` keeps it from being
    evaluated; `remark` only says what there was not to compare.
    """

    __tablename__ = "alert_standings"

    schedule_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("schedules.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    declaration: Mapped[Json]
    due_at: Mapped[datetime]  # the last slot that was evaluated
    job_id: Mapped[uuid.UUID | None]
    evaluated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    remark: Mapped[str | None] = mapped_column(Text)
    problem: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[str | None] = mapped_column(Text)
    problem_since: Mapped[datetime | None]


class AlertRow(Base):
    """How one row of an alert stands. An alert that is not about each row has one, without a key.

    Only rows are kept that the next evaluation needs: those that fire or are about to, and, where they are compared with the
    previous run, all.
    """

    __tablename__ = "alert_states"
    __table_args__ = (
        CheckConstraint("state IN ('ok', 'pending', 'firing')", name="state_is_known"),
        ForeignKeyConstraint(
            ["schedule_id", "name"],
            ["alert_standings.schedule_id", "alert_standings.name"],
            name="fk_alert_states_standing",
            ondelete="CASCADE",
        ),
        Index("ix_alert_states_firing", "schedule_id", "name", postgresql_where=text("state = 'firing'")),
    )

    schedule_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)  # of the key, which may be long
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    key: Mapped[Json | None]
    state: Mapped[str] = mapped_column(Text)
    streak: Mapped[int] = mapped_column(default=0, server_default="0")  # runs in a row towards the other state
    value: Mapped[Any] = mapped_column(_ANY, nullable=True)
    previous: Mapped[Any] = mapped_column(_ANY, nullable=True)
    since: Mapped[datetime]  # the slot in which it came into this state
    due_at: Mapped[datetime]
    job_id: Mapped[uuid.UUID | None]
    # Digests of those receivers with a filter who may hear of it: whose row it was when it began to fire; and of those whose
    # the value is that it is compared with next.
    seen_by: Mapped[list[str]] = mapped_column(_ANY, default=list, server_default=text("'[]'::jsonb"))
    owned_by: Mapped[list[str]] = mapped_column(_ANY, default=list, server_default=text("'[]'::jsonb"))


class AlertChange(Base):
    """One entry of the log. It is only added to, but for an erasure."""

    __tablename__ = "alert_changes"
    __table_args__ = (
        CheckConstraint("change IN ('firing', 'recovered', 'broken', 'mended')", name="change_is_known"),
        Index("ix_alert_changes_schedule_newest", "schedule_id", text("id DESC")),
        Index("ix_alert_changes_at", "at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    schedule_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("schedules.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(Text)
    change: Mapped[str] = mapped_column(Text)
    key: Mapped[Json | None]
    value: Mapped[Any] = mapped_column(_ANY, nullable=True)
    previous: Mapped[Any] = mapped_column(_ANY, nullable=True)
    problem: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[str | None] = mapped_column(Text)
    due_at: Mapped[datetime]
    job_id: Mapped[uuid.UUID | None]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
