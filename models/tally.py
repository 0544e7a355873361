"""Counts of what leaves no row of its own, kept in the database so that they survive every process.

Counting must never slow down what is counted: these commits do not wait for the disk, so a crash of PostgreSQL may
lose the last few.
"""

from enum import StrEnum

from sqlalchemy import BigInteger, Text, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base


class Count(StrEnum):
    """What is counted."""

    DUPLICATES_REFUSED = "duplicates_refused"
    """Messages of jobs that were taken, finished or not yet due, by the state the job was in."""

    LEASES_LOST = "leases_lost"
    """Attempts that went on after their lease was given to another, by how that was noticed."""

    REPUBLISHED = "republished"
    """Jobs whose message was found missing, by what had happened to it."""

    UNKNOWN_JOBS = "unknown_jobs"
    """Messages of jobs the database does not know, as after a restore from a backup."""

    STALLED_WORKERS = "stalled_workers"
    """Workers that were ended because they took no work although there was some, by who noticed."""

    REQUESTS_REFUSED = "requests_refused"
    """Requests answered with 429, by the policy that they went beyond."""

    LIMITS_ALONE = "limits_alone"
    """Times that a web process lost Redis and went on counting requests alone."""

    FORGOTTEN_JOBS = "forgotten_jobs"
    """Finished jobs whose rows were removed when their time was over, by kind, queue and status."""

    FORGOTTEN_EVENTS = "forgotten_events"
    """Changes of those jobs, removed with them, by reason."""


class Tally(Base):
    __tablename__ = "tallies"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    label: Mapped[str] = mapped_column(Text, primary_key=True, default="", server_default="")
    value: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")


def add(session: Session, name: Count, label: str = "", *, by: int = 1) -> None:
    """Count in the caller's transaction. Call it last: the row is locked until the transaction ends."""
    statement = insert(Tally).values(name=name.value, label=label, value=by)
    session.execute(statement.on_conflict_do_update(index_elements=["name", "label"], set_={"value": Tally.value + by}))


def relax(session: Session) -> None:
    """Let this transaction's commit return before it is on disk. For what may be lost in a crash without harm."""
    session.execute(text("SET LOCAL synchronous_commit = off"))


def all_(session: Session) -> dict[tuple[str, str], int]:
    """Return every count by name and label."""
    return {(tally.name, tally.label): tally.value for tally in session.scalars(select(Tally))}
