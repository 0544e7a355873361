"""The catalogue of what is in the lake: one row per committed version of an organisation's dataset.

The lake's own log is the truth about the data; these rows let the web answer, and pin reports to versions, without opening it.
"""

import uuid
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import BigInteger, ForeignKey, Integer, Text, bindparam, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, CreatedAt, Json


class DatasetVersion(Base):
    __tablename__ = "dataset_versions"

    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"), primary_key=True)
    dataset: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    row_count: Mapped[int] = mapped_column(BigInteger)
    columns: Mapped[Json]
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id"), index=True)
    committed_at: Mapped[CreatedAt]
    gone_at: Mapped[datetime | None]  # when its files were removed: it cannot be read any more


def record(session: Session, version: DatasetVersion) -> None:
    """Note a version of the lake. Noting it again, after a crash between the lake's commit and ours, changes nothing."""
    values = {
        "organisation_id": version.organisation_id,
        "dataset": version.dataset,
        "version": version.version,
        "row_count": version.row_count,
        "columns": version.columns,
        "job_id": version.job_id,
    }
    session.execute(insert(DatasetVersion).values(values).on_conflict_do_nothing())


def current(session: Session, organisation_id: uuid.UUID) -> dict[str, DatasetVersion]:
    """Return the newest version of each of an organisation's datasets, by name."""
    newest_first = (
        select(DatasetVersion)
        .where(DatasetVersion.organisation_id == organisation_id)
        .order_by(DatasetVersion.dataset, DatasetVersion.version.desc())
        .ext(distinct_on(DatasetVersion.dataset))
    )
    return {row.dataset: row for row in session.scalars(newest_first)}


class Size(NamedTuple):
    """A version of a dataset, and how many rows it has: all that accepting a report needs to know of it."""

    version: int
    row_count: int


# Each report that is accepted asks this: put together once, and without the columns' JSON, which nobody reads then.
_SIZES = (
    select(DatasetVersion.dataset, DatasetVersion.version, DatasetVersion.row_count)
    .where(DatasetVersion.organisation_id == bindparam("organisation"))
    .order_by(DatasetVersion.dataset, DatasetVersion.version.desc())
    .ext(distinct_on(DatasetVersion.dataset))
)


def current_sizes(session: Session, organisation_id: uuid.UUID) -> dict[str, Size]:
    """Return the newest version of each of an organisation's datasets, by name."""
    rows = session.connection().execute(_SIZES, {"organisation": organisation_id})
    return {name: Size(version, row_count) for name, version, row_count in rows}


def history(session: Session, organisation_id: uuid.UUID, dataset: str) -> list[DatasetVersion]:
    """Return all versions of a dataset, newest first."""
    query = (
        select(DatasetVersion)
        .where(DatasetVersion.organisation_id == organisation_id, DatasetVersion.dataset == dataset)
        .order_by(DatasetVersion.version.desc())
    )
    return list(session.scalars(query))
