"""Idempotency keys: the same request sent twice makes one job. The key is written in the transaction that accepts the job."""

import uuid
from datetime import timedelta

import psycopg.errors
from sqlalchemy import ForeignKey, Index, LargeBinary, Text, delete, false, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, CreatedAt

KEPT_FOR = timedelta(hours=24)
# How long to wait for another request with the same key: shorter than the caller of a web server is kept waiting.
LOCK_TIMEOUT = "3s"


class KeyInUseError(Exception):
    """Another request with this key has not been decided for so long that waiting on does not help."""


class IdempotencyKey(Base):
    """A key an organisation sent, the digest of the request it came with, and the job that request made."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        Index("ix_idempotency_keys_created_at", "created_at"),
        Index("ix_idempotency_keys_job_id", "job_id"),
    )

    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"), primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    request_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    reused: Mapped[bool] = mapped_column(default=False, server_default=false())  # it was there before the request
    created_at: Mapped[CreatedAt]


def find(session: Session, organisation_id: uuid.UUID, key: str) -> IdempotencyKey | None:
    """Return a key that was used within the last day."""
    return session.scalar(
        select(IdempotencyKey).where(
            IdempotencyKey.organisation_id == organisation_id,
            IdempotencyKey.key == key,
            IdempotencyKey.created_at > func.now() - KEPT_FOR,
        )
    )


def take(  # noqa: PLR0913 - each is a different thing
    session: Session,
    organisation_id: uuid.UUID,
    key: str,
    *,
    request_sha256: bytes,
    job_id: uuid.UUID,
    reused: bool = False,
) -> bool:
    """Bind a key to a job that this transaction has inserted, or found; False: the key is taken, so roll back and read whose it is.

    A request with the same key in a transaction that is still open is waited for, until it commits or rolls back.
    A key past its day is taken over.

    Raises:
        KeyInUseError: that transaction stayed open for longer than `LOCK_TIMEOUT`; this one must be rolled back.
    """
    session.execute(select(func.set_config("lock_timeout", LOCK_TIMEOUT, True)))
    statement = insert(IdempotencyKey).values(
        organisation_id=organisation_id, key=key, request_sha256=request_sha256, job_id=job_id, reused=reused
    )
    past = IdempotencyKey.created_at <= func.now() - KEPT_FOR
    take_or_take_over = statement.on_conflict_do_update(
        index_elements=["organisation_id", "key"],
        set_={"request_sha256": request_sha256, "job_id": job_id, "reused": reused, "created_at": func.now()},
        where=past,
    ).returning(IdempotencyKey.job_id)
    try:
        return session.scalar(take_or_take_over) is not None
    except OperationalError as error:
        if isinstance(error.orig, psycopg.errors.LockNotAvailable):
            raise KeyInUseError from error
        raise


def forget_old(session: Session) -> int:
    """Remove keys past their day; returns how many."""
    statement = delete(IdempotencyKey).where(IdempotencyKey.created_at <= func.now() - KEPT_FOR)
    return len(session.scalars(statement.returning(IdempotencyKey.job_id)).all())
