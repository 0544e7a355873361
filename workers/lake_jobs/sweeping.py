"""The files of a table that nothing needs any more are removed: those of versions that are gone, and what dead jobs left."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from models import failpoints, lake_retention, session, settings
from models.failpoints import Point

if TYPE_CHECKING:
    import uuid

    from sqlalchemy.orm import Session

    from models import lake

# Beyond the time after which no process that could place a file is left alive.
SAFETY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Swept:
    """What was removed, or would be."""

    files: int
    bytes: int
    versions: int


def litter_age() -> timedelta:
    """How long a file that no version names is left alone, although no unfinished job has placed it."""
    return timedelta(seconds=settings.load().longest_limit_seconds) + SAFETY


def sweep(
    table: "lake.LakeTable",
    organisation_id: "uuid.UUID",
    *,
    grace: timedelta = lake_retention.GRACE,
    young: timedelta | None = None,
) -> Swept:
    """Remove the files of the versions that were marked as gone longer ago than `grace`, and what lies about.

    The order makes it safe beside running jobs: first the folder is looked at, then the database, then the log. A file
    that a job places later is not in the list; one whose job is unfinished is left alone; and where a job has finished
    before the database was asked, the log has its commit.
    """
    from models import lake_sweeping  # noqa: PLC0415 - heavy

    listing = table.storage.listing()
    with session.transaction() as db:
        keep = lake_retention.keep(db, organisation_id, table.dataset, grace=grace)
    age = litter_age() if young is None else young
    rubbish = lake_sweeping.find(table, listing, keep, young_seconds=age.total_seconds())
    failpoints.hit(Point.SWEEP_BEFORE_REMOVAL)
    lake_sweeping.remove(table, rubbish)
    failpoints.hit(Point.SWEEP_AFTER_REMOVAL)
    with session.transaction() as db:
        versions = lake_retention.note_swept(db, organisation_id, table.dataset, keep.leaving)
    return Swept(len(rubbish.files), rubbish.bytes, versions)


def foresee(db: "Session", table: "lake.LakeTable", organisation_id: "uuid.UUID") -> Swept:
    """Say what would be removed once what `db` has marked by now has been marked for long enough."""
    from models import lake_sweeping  # noqa: PLC0415 - heavy

    listing = table.storage.listing()
    # What this very transaction has marked was marked now.
    keep = lake_retention.keep(db, organisation_id, table.dataset, grace=timedelta(seconds=-1))
    rubbish = lake_sweeping.find(table, listing, keep, young_seconds=litter_age().total_seconds())
    return Swept(len(rubbish.files), rubbish.bytes, lake_retention.unswept(db, organisation_id, table.dataset))
