"""Webhooks: where an organisation wants to be told of what happens, and the secret that signs what it is told."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, CreatedAt, new_id


class Webhook(Base):
    """One address. Its secrets are kept encrypted; `models.vault` has the keys.

    While a rotation lasts, until `previous_until`, messages carry the signatures of both secrets.
    """

    __tablename__ = "webhooks"
    __table_args__ = (
        CheckConstraint("(disabled_at IS NULL) = (disabled_reason IS NULL)", name="disabled_has_a_reason"),
        CheckConstraint("(previous_secret IS NULL) = (previous_until IS NULL)", name="previous_secret_has_an_end"),
        Index("ix_webhooks_organisation_newest", "organisation_id", text("id DESC")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    url: Mapped[str] = mapped_column(Text)
    lane: Mapped[str] = mapped_column(Text)  # receivers of one lane share a bounded number of senders
    description: Mapped[str | None] = mapped_column(Text)
    events: Mapped[list[str]]
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    previous_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_until: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None] = mapped_column(Text)
