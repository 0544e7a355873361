"""When upkeep was last done, so that whoever sees that it is overdue can do it, and only one of them does."""

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Text, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base


class Upkeep(StrEnum):
    RESCUE = "rescue"
    SCHEDULES = "schedules"


class UpkeepRun(Base):
    __tablename__ = "upkeep_runs"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())


def note(session: Session, name: Upkeep) -> None:
    """Note that it is being done now."""
    statement = insert(UpkeepRun).values(name=name.value, at=func.now())
    session.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"at": func.now()}))


def take_over(session: Session, name: Upkeep, *, overdue_seconds: float) -> bool:
    """Note that it is being done now if nobody has done it for so long; False: somebody has."""
    statement = insert(UpkeepRun).values(name=name.value, at=func.now())
    overdue = UpkeepRun.at < func.now() - timedelta(seconds=overdue_seconds)
    taken = session.scalar(
        statement.on_conflict_do_update(index_elements=["name"], set_={"at": func.now()}, where=overdue).returning(
            UpkeepRun.name
        )
    )
    return taken is not None


def seconds_since(session: Session, name: Upkeep) -> float | None:
    """Return how long ago it was last done; None: never."""
    age = select(func.extract("epoch", func.now() - UpkeepRun.at)).where(UpkeepRun.name == name.value)
    seconds = session.scalar(age)
    return None if seconds is None else float(seconds)
