"""Deliveries: what is to be sent to whom, and every attempt at it. The rows are the outbox; `models.outbox` writes them.

A delivery keeps its id over all attempts, and receivers get it with each: whoever sees an id twice has seen a repetition.
"""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, CreatedAt, Json, new_id


class Channel(StrEnum):
    WEBHOOK = "webhook"
    """A signed POST."""

    EMAIL = "email"
    """A message to one address."""

    FILE = "file"
    """A file in a folder or an object store."""


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    """To be sent, at once or when its back-off is over."""

    SUCCEEDED = "succeeded"
    """The receiver has taken it."""

    FAILED = "failed"
    """Given up. It can be sent again."""

    CANCELLED = "cancelled"
    """Not sent: its webhook was disabled, its schedule sends it to them no more, or somebody called it off.

    It can be sent again, once the first two are otherwise.
    """

    SKIPPED = "skipped"
    """Not sent, because none of the rows is its receiver's."""


class Outcome(StrEnum):
    """How one attempt ended."""

    SENDING = "sending"
    """It has begun, and has not said how it ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"

    LOST = "lost"
    """Its process ended in the middle. The receiver may have it."""


class Delivery(Base):
    """One message to one receiver.

    `attempts` counts all attempts; `tries` those since it was last asked for, and says how long to back off.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint("channel IN ('webhook', 'email', 'file')", name="channel_is_known"),
        CheckConstraint("status IN ('pending', 'succeeded', 'failed', 'cancelled', 'skipped')", name="status_is_known"),
        CheckConstraint("(status = 'pending') = (finished_at IS NULL)", name="final_is_finished"),
        CheckConstraint("erased_at IS NULL OR status <> 'pending'", name="erased_is_never_sent"),
        CheckConstraint("(claim_token IS NULL) = (claim_until IS NULL)", name="claim_has_an_end"),
        CheckConstraint("(channel = 'webhook') = (webhook_id IS NOT NULL)", name="webhook_is_named"),
        Index("ix_deliveries_due", "lane", "next_attempt_at", "id", postgresql_where=text("status = 'pending'")),
        Index("ix_deliveries_claimed", "lane", postgresql_where=text("claim_token IS NOT NULL")),
        Index("ix_deliveries_organisation_newest", "organisation_id", text("id DESC")),
        Index("ix_deliveries_webhook", "webhook_id", text("id DESC")),
        Index("ix_deliveries_job", "job_id", text("id DESC")),
        Index("ix_deliveries_schedule", "schedule_id", text("id DESC")),
        Index("ix_deliveries_finished", "finished_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    channel: Mapped[str] = mapped_column(Text)
    lane: Mapped[str] = mapped_column(Text)
    target: Mapped[Json]
    webhook_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    job_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    schedule_id: Mapped[uuid.UUID | None]
    event_type: Mapped[str] = mapped_column(Text)
    payload: Mapped[Json]
    filter: Mapped[Json | None]  # which rows this receiver may see; None: all
    status: Mapped[str] = mapped_column(Text, default=DeliveryStatus.PENDING, server_default=DeliveryStatus.PENDING)
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    tries: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=func.now())
    claim_token: Mapped[uuid.UUID | None]
    claim_until: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]  # its filter or its address named somebody who was erased: it is not sent again


class DeliveryAttempt(Base):
    """One attempt at a delivery: written when it begins, so that one whose process dies is on record as well."""

    __tablename__ = "delivery_attempts"
    __table_args__ = (
        CheckConstraint("outcome IN ('sending', 'succeeded', 'failed', 'lost')", name="outcome_is_known"),
    )

    delivery_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    duration_ms: Mapped[int | None]
    outcome: Mapped[str] = mapped_column(Text, default=Outcome.SENDING, server_default=Outcome.SENDING)
    status_code: Mapped[int | None] = mapped_column(SmallInteger)
    error: Mapped[str | None] = mapped_column(Text)
    excerpt: Mapped[str | None] = mapped_column(Text)  # of the receiver's answer
