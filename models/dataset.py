"""The catalogue of what is in the lake: one row per committed version of an organisation's dataset.

The lake's own log is the truth about the data; these rows let the web answer, and pin reports to versions, without opening it.
"""

import uuid
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, Select, Text, bindparam, select, text
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, CreatedAt, Json
from models.job import Job

# Smaller files of a table are worth gathering into larger ones.
SMALL_FILE_BYTES = 16 * 1024**2
# What PostgreSQL's integer holds.
LARGEST_VERSION = 2**31 - 1


class DatasetVersion(Base):
    __tablename__ = "dataset_versions"
    __table_args__ = (
        Index(
            "ix_dataset_versions_unswept",
            "organisation_id",
            "dataset",
            postgresql_where=text("gone_at IS NOT NULL AND swept_at IS NULL"),
        ),
        Index(
            "ix_dataset_versions_kept",
            "organisation_id",
            "dataset",
            "version",
            postgresql_where=text("gone_at IS NULL"),
        ),
    )

    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"), primary_key=True)
    dataset: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    row_count: Mapped[int] = mapped_column(BigInteger)
    columns: Mapped[Json]
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id"), index=True)
    committed_at: Mapped[CreatedAt]
    # How its rows lie in files; what is small is worth gathering. NULL: noted by a release that did not know.
    file_count: Mapped[int | None] = mapped_column(Integer)
    byte_count: Mapped[int | None] = mapped_column(BigInteger)
    small_file_count: Mapped[int | None] = mapped_column(Integer)
    gone_at: Mapped[datetime | None]  # since when nothing new may read it
    swept_at: Mapped[datetime | None]  # since when its files are removed; never before `gone_at`


def record(session: Session, version: DatasetVersion) -> None:
    """Note a version of the lake. Noting it again, after a crash between the lake's commit and ours, changes nothing."""
    values = {
        "organisation_id": version.organisation_id,
        "dataset": version.dataset,
        "version": version.version,
        "row_count": version.row_count,
        "columns": version.columns,
        "job_id": version.job_id,
        "file_count": version.file_count,
        "byte_count": version.byte_count,
        "small_file_count": version.small_file_count,
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


class Made(NamedTuple):
    """A version, and the kind of the job that made it."""

    version: DatasetVersion
    kind: str


def page(
    session: Session, organisation_id: uuid.UUID, dataset: str, *, limit: int, before: int | None = None
) -> list[Made]:
    """Return at most so many versions of a dataset, newest first; those older than `before`, where that is said."""
    query = _made(organisation_id, dataset).order_by(DatasetVersion.version.desc()).limit(limit)
    if before is not None:
        query = query.where(DatasetVersion.version < before)
    return [Made(version, kind) for version, kind in session.execute(query)]


def find(session: Session, organisation_id: uuid.UUID, dataset: str, *, version: int) -> Made | None:
    if not 0 <= version <= LARGEST_VERSION:
        return None
    query = _made(organisation_id, dataset).where(DatasetVersion.version == version)
    row = session.execute(query).one_or_none()
    return None if row is None else Made(row[0], row[1])


def hold(session: Session, organisation_id: uuid.UUID, dataset: str, *, version: int) -> bool:
    """Let nobody give a version up until the transaction ends; False: somebody has."""
    query = (
        select(DatasetVersion.version)
        .where(
            DatasetVersion.organisation_id == organisation_id,
            DatasetVersion.dataset == dataset,
            DatasetVersion.version == version,
            DatasetVersion.gone_at.is_(None),
        )
        .with_for_update(read=True)
    )
    return session.scalar(query) is not None


def newest(session: Session, organisation_id: uuid.UUID, dataset: str) -> Made | None:
    found = page(session, organisation_id, dataset, limit=1)
    return found[0] if found else None


def _made(organisation_id: uuid.UUID, dataset: str) -> Select[DatasetVersion, str]:
    return (
        select(DatasetVersion, Job.kind)
        .join(Job, Job.id == DatasetVersion.job_id)
        .where(DatasetVersion.organisation_id == organisation_id, DatasetVersion.dataset == dataset)
    )
