"""The declarative base all tables share, and the column types used over and over."""

import uuid
from datetime import datetime
from typing import Annotated, Any

import uuid_utils
from sqlalchemy import DateTime, MetaData, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

# Alembic can only change a constraint it can name.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

Json = dict[str, Any]

Timestamp = Annotated[datetime, mapped_column(DateTime(timezone=True))]
CreatedAt = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=func.now())]


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads this class attribute; it is never written
        Json: JSONB(none_as_null=True),
        list[str]: JSONB(none_as_null=True),
        datetime: DateTime(timezone=True),
    }


def new_id() -> uuid.UUID:
    """Make a UUIDv7: ordered by time, so that rows made together lie together and lists by id are lists by age."""
    return uuid.UUID(bytes=uuid_utils.uuid7().bytes)
