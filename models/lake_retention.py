"""Which versions of the datasets are kept, and which tables want tidying: decided in SQL, without opening the lake.

A version is given up in two steps. First it is marked as gone, so that nothing new is pinned to it. Its files go a while
later, when every request that had seen it before the mark has long been answered, and only if no unfinished job reads it.
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Row, bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from models.dataset import DatasetVersion
from models.job import Job
from models.job_states import UNFINISHED

# No request lives as long as this: what it saw before a version was marked is a committed pin by then, or nothing.
GRACE = timedelta(minutes=15)
# A table is not tidied again sooner, whether or not that helped.
PAUSE = timedelta(hours=1)
# Any number that nothing else locks.
_TENDING = 0x7265636B6F6E  # "reckon"

_PINNED = """
    EXISTS (
        SELECT 1 FROM jobs WHERE jobs.organisation_id = v.organisation_id AND jobs.status IN ('queued', 'running')
            AND jobs.dataset_versions ->> v.dataset = v.version::text
    )
"""
# A version could be asked for as long as it was the newest; so its time runs from the moment the next one came.
_GIVE_UP = text(
    f"""
    UPDATE dataset_versions AS v SET gone_at = now()
    FROM (
        SELECT organisation_id, dataset, version,
            lead(committed_at) OVER (PARTITION BY organisation_id, dataset ORDER BY version) AS superseded_at
        FROM dataset_versions WHERE gone_at IS NULL
    ) AS kept
    WHERE v.organisation_id = kept.organisation_id AND v.dataset = kept.dataset AND v.version = kept.version
        AND kept.superseded_at < now() - :keep AND NOT {_PINNED}
    RETURNING v.organisation_id, v.dataset, v.version
    """  # noqa: S608 - both parts are ours
)
_LEAVING = text(
    f"""
    SELECT v.version, coalesce(v.gone_at < now() - :grace, false) AND NOT {_PINNED} AS leaves FROM dataset_versions AS v
    WHERE v.organisation_id = :organisation AND v.dataset = :dataset
    """  # noqa: S608 - both parts are ours
)
_UNTIDY = text(
    """
    WITH newest AS (
        SELECT DISTINCT ON (organisation_id, dataset) organisation_id, dataset, small_file_count, byte_count
        FROM dataset_versions ORDER BY organisation_id, dataset, version DESC
    ), unswept AS (
        SELECT organisation_id, dataset FROM dataset_versions
        WHERE gone_at < now() - :grace AND swept_at IS NULL GROUP BY 1, 2
    ), littered AS (
        SELECT organisation_id, type AS dataset, max(finished_at) AS at FROM jobs
        WHERE kind IN ('import', 'restore') AND (status IN ('failed', 'cancelled') OR attempt > 1)
            AND finished_at < now() - :litter GROUP BY 1, 2
    ), tended AS (
        SELECT organisation_id, type AS dataset, max(created_at) AS at,
            bool_or(finished_at IS NULL) AS still FROM jobs WHERE kind = 'compaction' GROUP BY 1, 2
    )
    SELECT organisation_id, dataset, coalesce(small_file_count, 0) AS small_files, coalesce(byte_count, 0) AS bytes,
        coalesce(small_file_count >= :small_files, false) AS scattered, unswept.dataset IS NOT NULL AS expired,
        coalesce(littered.at + :litter > coalesce(tended.at, '-infinity'), false) AS littered
    FROM newest
        FULL JOIN littered USING (organisation_id, dataset)
        LEFT JOIN unswept USING (organisation_id, dataset)
        LEFT JOIN tended USING (organisation_id, dataset)
    WHERE (small_file_count >= :small_files OR unswept.dataset IS NOT NULL
            OR littered.at + :litter > coalesce(tended.at, '-infinity'))
        AND NOT coalesce(tended.still, false) AND coalesce(tended.at < now() - :pause, true)
    ORDER BY organisation_id, dataset
    """
)


class Version(NamedTuple):
    """A version of an organisation's dataset."""

    organisation_id: uuid.UUID
    dataset: str
    version: int


@dataclass(frozen=True, slots=True)
class Untidy:
    """A table that wants tidying, and why.

    Attributes:
        scattered: its newest version has many small files.
        expired: files of versions that are gone can be removed.
        littered: a job may have left files that no version names.
    """

    organisation_id: uuid.UUID
    dataset: str
    small_files: int
    bytes: int
    scattered: bool
    expired: bool
    littered: bool


@dataclass(frozen=True, slots=True)
class Keep:
    """What has to stay of a table.

    Attributes:
        versions: those that can be read, or that an unfinished job reads although they are marked.
        leaving: those whose files may go now.
        busy: ids of all unfinished jobs: whatever they have placed is theirs.
    """

    versions: frozenset[int]
    leaving: frozenset[int]
    busy: frozenset[str]


def lock(session: Session) -> bool:
    """Be the only one who tends the lake until the transaction ends; False: somebody else is at it."""
    return bool(session.scalar(select(func.pg_try_advisory_xact_lock(_TENDING))))


def give_up_expired(session: Session, *, keep: timedelta) -> list[Version]:
    """Mark the versions as gone that were superseded longer ago than this. Never the newest, nor one a job still reads."""
    return [Version(*row) for row in session.execute(_GIVE_UP, {"keep": keep})]


def untidy(session: Session, *, small_files: int, litter: timedelta, pause: timedelta = PAUSE) -> list[Untidy]:
    """Return the tables that want tidying and are not being tidied.

    Args:
        session: reads.
        small_files: so many small files are too many.
        litter: how long what a job left behind is let lie.
        pause: how long a table is left alone after it was tidied.
    """
    arguments = {"small_files": small_files, "litter": litter, "pause": pause, "grace": GRACE}
    return [_untidy(row) for row in session.execute(_UNTIDY, arguments)]


def keep(session: Session, organisation_id: uuid.UUID, dataset: str, *, grace: timedelta = GRACE) -> Keep:
    """Say what has to stay of a table, at this moment. Whoever removes files looks at the folder before and at the log after.

    Then a job that finishes in between is seen by the one or the other.
    """
    rows = session.execute(_LEAVING, {"organisation": organisation_id, "dataset": dataset, "grace": grace}).all()
    busy = session.scalars(select(Job.id).where(Job.status.in_(UNFINISHED)))
    return Keep(
        versions=frozenset(version for version, leaves in rows if not leaves),
        leaving=frozenset(version for version, leaves in rows if leaves),
        busy=frozenset(map(str, busy)),
    )


def unswept(session: Session, organisation_id: uuid.UUID, dataset: str) -> int:
    """Return how many versions of a table are gone and still have their files."""
    count = select(func.count()).where(
        DatasetVersion.organisation_id == organisation_id,
        DatasetVersion.dataset == dataset,
        DatasetVersion.gone_at.is_not(None),
        DatasetVersion.swept_at.is_(None),
    )
    return session.scalar(count) or 0


def tables(
    session: Session, *, organisation_id: uuid.UUID | None = None, dataset: str | None = None
) -> list[DatasetVersion]:
    """Return the newest version of every table: of one organisation, or of one dataset, where that is said."""
    query = (
        select(DatasetVersion)
        .order_by(DatasetVersion.organisation_id, DatasetVersion.dataset, DatasetVersion.version.desc())
        .ext(distinct_on(DatasetVersion.organisation_id, DatasetVersion.dataset))
    )
    if organisation_id is not None:
        query = query.where(DatasetVersion.organisation_id == organisation_id)
    if dataset is not None:
        query = query.where(DatasetVersion.dataset == dataset)
    return list(session.scalars(query))


def note_swept(session: Session, organisation_id: uuid.UUID, dataset: str, versions: Collection[int]) -> int:
    """Note that the files of these versions are removed; the answer is of how many that was not noted before."""
    swept = (
        update(DatasetVersion)
        .where(
            DatasetVersion.organisation_id == organisation_id,
            DatasetVersion.dataset == dataset,
            DatasetVersion.version.in_(bindparam("versions", expanding=True)),
            DatasetVersion.swept_at.is_(None),
        )
        .values(swept_at=func.now())
        .returning(DatasetVersion.version)
    )
    return len(session.execute(swept, {"versions": list(versions)}).all())


def _untidy(row: Row[tuple[object, ...]]) -> Untidy:
    return Untidy(**row._mapping)  # noqa: SLF001 - its public name for the row as a mapping
