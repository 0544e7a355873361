"""Signs of life of the processes that have no row of their own: workers and beat."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Integer, Text, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base

KEPT_FOR = timedelta(days=1)


class ProcessKind(StrEnum):
    WORKER = "worker"
    BEAT = "beat"


class Heartbeat(Base):
    __tablename__ = "heartbeats"

    process_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    pid: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    beat_at: Mapped[datetime] = mapped_column(server_default=func.now())
    queues: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    slots: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    host: Mapped[str] = mapped_column(Text, default="", server_default="")
    claimed_at: Mapped[datetime | None]  # when a worker last took a job


@dataclass(frozen=True, slots=True)
class Process:
    """Who beats: an id made at the start of the process (never a host name, which two may share), and a name for people.

    A worker also says which queues it serves and how many jobs it can run at once.
    """

    id: uuid.UUID
    kind: ProcessKind
    name: str
    pid: int
    host: str = ""
    queues: tuple[str, ...] = ()
    slots: int = 0


def beat(session: Session, process: Process, *, took_work: bool = False) -> None:
    """Note that a process is alive now, by the database's clock, and whether it has taken work since it last said so."""
    values = {
        "process_id": process.id,
        "kind": process.kind.value,
        "name": process.name,
        "pid": process.pid,
        "host": process.host,
        "queues": list(process.queues),
        "slots": process.slots,
    }
    news = {"beat_at": func.now()} | ({"claimed_at": func.now()} if took_work else {})
    statement = insert(Heartbeat).values(values | news)
    session.execute(statement.on_conflict_do_update(index_elements=["process_id"], set_=news))


def seconds_since_last(session: Session, kind: ProcessKind) -> float | None:
    """Return how long ago any process of this kind gave a sign of life; None where none ever did."""
    age = func.extract("epoch", func.now() - func.max(Heartbeat.beat_at))
    seconds = session.scalar(select(age).where(Heartbeat.kind == kind.value))
    return None if seconds is None else float(seconds)


def forget_old(session: Session) -> None:
    session.execute(delete(Heartbeat).where(Heartbeat.beat_at < func.now() - KEPT_FOR))
