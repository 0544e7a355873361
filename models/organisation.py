"""Organisations: whose data it is. Everything else belongs to exactly one."""

import uuid

from sqlalchemy import BigInteger, CheckConstraint, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, CreatedAt, new_id

_RANDOM_KEY = "decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')"


class Organisation(Base):
    __tablename__ = "organisations"
    __table_args__ = (
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency_is_iso_4217"),
        CheckConstraint("max_in_flight > 0", name="max_in_flight_is_positive"),
        CheckConstraint("requests_per_minute > 0", name="requests_per_minute_is_positive"),
        CheckConstraint("max_unfinished > 0", name="max_unfinished_is_positive"),
        CheckConstraint("max_upload_bytes > 0", name="max_upload_bytes_is_positive"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(Text, unique=True)
    timezone: Mapped[str] = mapped_column(Text, default="UTC", server_default="UTC")
    currency: Mapped[str] = mapped_column(Text, default="GBP", server_default="GBP")
    # Of these four None stands for what the settings say; the first is of each queue.
    max_in_flight: Mapped[int | None]
    requests_per_minute: Mapped[int | None]
    max_unfinished: Mapped[int | None]
    max_upload_bytes: Mapped[int | None] = mapped_column(BigInteger)
    contact_email: Mapped[str | None] = mapped_column(Text)  # who is told when something cannot be delivered
    cursor_key: Mapped[bytes] = mapped_column(
        LargeBinary, server_default=text(_RANDOM_KEY)
    )  # signs cursors of its lists
    created_at: Mapped[CreatedAt]
