"""`reckoner lake`: how the files of all organisations' datasets lie, and having them tidied before beat does."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from cli import invocation, output, server_side
from cli.invocation import Failure
from models import lake_retention, organisations, settings
from models.dataset import DatasetVersion
from workers import lake_upkeep

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

COLUMNS = (
    "organisation",
    "dataset",
    "version",
    "files",
    "bytes",
    "gather_files",
    "give_up_versions",
    "remove_files",
    "remove_bytes",
)
NUMERIC = frozenset(COLUMNS[2:])


@click.group("lake")
def command() -> None:
    """See how the datasets' files lie, and have them tidied now."""


@command.command("tidy")
@click.option("--organisation", help="Only this one's datasets.")
@click.option("--dataset", help="Only this dataset.")
@click.option("--dry-run", is_flag=True, help="Only say what would be gathered, given up and removed.")
def tidy(*, organisation: str | None, dataset: str | None, dry_run: bool) -> None:
    """Gather small files and remove what no version needs, as beat has it done by itself: one job per dataset.

    Rows stay what they are. Versions past LAKE_RETENTION_DAYS are given up first, and their files go a quarter of an hour
    later; versions that a job still reads are kept.
    """
    if dry_run:
        output.rows(COLUMNS, list(_foreseen(organisation, dataset)), title="Would be tidied", numeric=NUMERIC)
        return
    with server_side.transaction() as db:
        lake_retention.give_up_expired(db, keep=settings.load().lake_retention)
        jobs = [lake_upkeep.tidy(db, newest) for newest in _tables(db, organisation, dataset)]
    if invocation.current().as_json:
        output.emit_json([{"job_id": job.id, "dataset": job.type} for job in jobs])
    else:
        output.say(f"accepted {len(jobs)} {'job' if len(jobs) == 1 else 'jobs'}; `reckoner jobs list` shows them")


def _foreseen(organisation: str | None, dataset: str | None) -> Iterator[list[Any]]:
    from models import lake  # noqa: PLC0415 - heavy
    from workers.lake_jobs import compacting, sweeping  # noqa: PLC0415 - as above

    configured = settings.load()
    with server_side.transaction() as db:
        gone = lake_retention.give_up_expired(db, keep=configured.lake_retention)
        tables = _tables(db, organisation, dataset)
        names = organisations.names(db, (one.organisation_id for one in tables))
        for newest in tables:
            here = str(newest.organisation_id)
            table = lake.open_table(configured.lake_location, organisation_id=here, dataset=newest.dataset)
            base = table.snapshot()
            gathered = compacting.chosen(base, at_least=configured.compact_files) if base is not None else ()
            swept = sweeping.foresee(db, table, newest.organisation_id)
            leaving = [
                one for one in gone if (one.organisation_id, one.dataset) == (newest.organisation_id, table.dataset)
            ]
            yield [
                names[newest.organisation_id],
                newest.dataset,
                newest.version,
                newest.file_count,
                newest.byte_count,
                len(gathered),
                len(leaving),
                swept.files,
                swept.bytes,
            ]
        # All of it was only to see.
        db.rollback()


def _tables(db: "Session", organisation: str | None, dataset: str | None) -> list[DatasetVersion]:
    wanted = organisations.find(db, organisation) if organisation is not None else None
    if organisation is not None and wanted is None:
        raise Failure(f"there is no organisation {organisation!r}")
    return lake_retention.tables(db, organisation_id=wanted.id if wanted is not None else None, dataset=dataset)
