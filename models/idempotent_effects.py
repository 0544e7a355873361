"""Idempotency keys of requests that make or change something other than a job, such as a webhook or a schedule.

`models.idempotency` does the same for jobs. The key is written in the transaction of the effect.
"""

import uuid
from datetime import timedelta

from sqlalchemy import ForeignKey, Index, LargeBinary, Text, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, CreatedAt

KEPT_FOR = timedelta(hours=24)


class IdempotentEffect(Base):
    """A key an organisation sent, the digest of the request it came with, and the id of what that request made."""

    __tablename__ = "idempotent_effects"
    __table_args__ = (Index("ix_idempotent_effects_created_at", "created_at"),)

    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"), primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    request_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    subject_id: Mapped[uuid.UUID]
    created_at: Mapped[CreatedAt]


def find(session: Session, organisation_id: uuid.UUID, key: str) -> IdempotentEffect | None:
    """Return a key that was used within the last day."""
    return session.scalar(
        select(IdempotentEffect).where(
            IdempotentEffect.organisation_id == organisation_id,
            IdempotentEffect.key == key,
            IdempotentEffect.created_at > func.now() - KEPT_FOR,
        )
    )


def take(
    session: Session, organisation_id: uuid.UUID, key: str, *, request_sha256: bytes, subject_id: uuid.UUID
) -> bool:
    """Bind a key to what this transaction has made; False: the key is taken, so roll back.

    A request with the same key in a transaction that is still open is waited for.
    """
    values = {"request_sha256": request_sha256, "subject_id": subject_id, "created_at": func.now()}
    statement = insert(IdempotentEffect).values(organisation_id=organisation_id, key=key, **values)
    taken = statement.on_conflict_do_update(
        index_elements=["organisation_id", "key"],
        set_=values,
        where=IdempotentEffect.created_at <= func.now() - KEPT_FOR,
    )
    return session.scalar(taken.returning(IdempotentEffect.subject_id)) is not None


def forget_old(session: Session) -> None:
    """Remove keys past their day."""
    session.execute(delete(IdempotentEffect).where(IdempotentEffect.created_at <= func.now() - KEPT_FOR))
