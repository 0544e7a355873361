"""API keys: 256 random bits, shown once, kept only as a SHA-256."""

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

    organisation: Mapped[Organisation] = relationship(lazy="joined")
