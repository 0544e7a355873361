"""Stored answers: what is read first as JSON, the rows as Parquet chunks that stream out one by one."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import JSON, BigInteger, ForeignKey, Integer, LargeBinary, Text, delete, func, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, CreatedAt, Json


class StoredResult(Base):
    """Everything of a result but its rows. An import's result is the list of its rejected rows."""

    __tablename__ = "results"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    # JSON, not JSONB: that would reorder what a report says in an order of its own, most important first.
    header: Mapped[Json] = mapped_column(JSON)
    manifest: Mapped[Json] = mapped_column(JSON)
    row_count: Mapped[int] = mapped_column(BigInteger)
    byte_count: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(Text)
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime | None]


class ResultChunk(Base):
    """Some consecutive rows of a result: one Parquet file, zstd inside."""

    __tablename__ = "result_chunks"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("results.job_id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    row_start: Mapped[int] = mapped_column(BigInteger)
    row_count: Mapped[int] = mapped_column(Integer)
    data: Mapped[bytes] = mapped_column(LargeBinary)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk on its way in or out: the index of its first row, how many rows, and the Parquet bytes."""

    row_start: int
    row_count: int
    data: bytes


def store(session: Session, result: StoredResult, chunks: Iterable[Chunk], *, keep_for: timedelta) -> None:
    """Write a result in the caller's transaction, which also changes the job's state."""
    result.expires_at = session.scalar(select(func.now() + keep_for))
    session.add(result)
    session.flush()
    for position, chunk in enumerate(chunks):
        session.execute(
            insert(ResultChunk).values(
                job_id=result.job_id,
                position=position,
                row_start=chunk.row_start,
                row_count=chunk.row_count,
                data=chunk.data,
            )
        )


def find(session: Session, job_id: uuid.UUID) -> StoredResult | None:
    return session.get(StoredResult, job_id)


def hold(session: Session, job_id: uuid.UUID) -> bool:
    """Keep a result from being removed until the transaction ends; False: it has been."""
    kept = select(StoredResult.job_id).where(StoredResult.job_id == job_id).with_for_update(key_share=True, read=True)
    return session.scalar(kept) is not None


def read_chunk(session: Session, job_id: uuid.UUID, position: int) -> Chunk | None:
    """Return one chunk of a result, counted from 0; None where there is none. Reading one at a time keeps memory flat."""
    found = session.get(ResultChunk, (job_id, position))
    return None if found is None else Chunk(row_start=found.row_start, row_count=found.row_count, data=found.data)


def chunk_of_row(session: Session, job_id: uuid.UUID, row: int) -> Chunk | None:
    """Return the chunk in which a row lies, counted from 0; None where there is no such row."""
    found = session.scalar(
        select(ResultChunk).where(
            ResultChunk.job_id == job_id,
            ResultChunk.row_start <= row,
            ResultChunk.row_start + ResultChunk.row_count > row,
        )
    )
    return None if found is None else Chunk(row_start=found.row_start, row_count=found.row_count, data=found.data)


def remove_expired(session: Session, *, limit: int) -> int:
    """Delete results past their time, at most so many; returns how many. Their jobs stay and answer 410."""
    expired = select(StoredResult.job_id).where(StoredResult.expires_at < func.now()).limit(limit)
    deleted = session.scalars(
        delete(StoredResult).where(StoredResult.job_id.in_(expired)).returning(StoredResult.job_id)
    )
    return len(deleted.all())
