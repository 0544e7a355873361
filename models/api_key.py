"""API keys: 256 random bits, shown once, kept only as a SHA-256; and the secrets that newer ones have replaced."""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, CreatedAt, new_id
from models.organisation import Organisation


class Scope(StrEnum):
    """What a key may do; `admin` may do everything."""

    REPORTS_READ = "reports:read"
    REPORTS_WRITE = "reports:write"
    DATASETS_READ = "datasets:read"
    DATASETS_WRITE = "datasets:write"
    SCHEDULES = "schedules"
    WEBHOOKS = "webhooks"
    ADMIN = "admin"


class ApiKey(Base):
    __tablename__ = "api_keys"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"), index=True)
    name: Mapped[str] = mapped_column(Text)
    prefix: Mapped[str] = mapped_column(Text)
    sha256: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[list[str]]
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    rotated_at: Mapped[datetime | None]  # when its newest secret took the place of the one before
    created_by: Mapped[str | None] = mapped_column(Text)
    revoked_by: Mapped[str | None] = mapped_column(Text)

    organisation: Mapped[Organisation] = relationship(lazy="joined")


class OldSecret(Base):
    """A secret that a key had before its newest one, and works until its time is over."""

    __tablename__ = "api_key_old_secrets"

    sha256: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    api_key_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"), index=True)
    prefix: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime]
