"""One commit to the lake and one to the database, as far as possible as if they were one.

The job's id is the lake's application transaction: whoever runs the job again finds its commit and only finishes it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import structlog

from models import dataset, failpoints, settings
from models.base import Json
from models.failpoints import Point
from workers.running_job import Finish, RunningJob

if TYPE_CHECKING:
    import pyarrow as pa

    from models import lake

# Every commit to the same table that is faster sends this job back to planning.
MOST_PLANS = 20

log = structlog.get_logger(__name__)

Planned = TypeVar("Planned")


@dataclass(frozen=True, slots=True, kw_only=True)
class NextVersion:
    """What a job makes of a table.

    Attributes:
        added: local Parquet files that join it.
        removed: addresses of its files that leave it.
        schema: its columns from then on, and `columns`: their types as people read them.
        facts: what the lake's log is to say about the commit.
        returned: addresses of files of older versions that join it again.
        keeps_rows: whether its rows stay what they were.
    """

    added: tuple[Path, ...]
    removed: tuple[str, ...]
    schema: "pa.Schema"
    columns: Mapping[str, str]
    facts: Json
    returned: tuple[str, ...] = ()
    keeps_rows: bool = False


def open_table(job: RunningJob, name: str) -> "lake.LakeTable":
    """Return the table of the job's organisation, whether or not it exists yet."""
    from models import lake  # noqa: PLC0415 - heavy

    return lake.open_table(settings.load().lake_location, organisation_id=str(job.organisation_id), dataset=name)


def until_committed(
    job: RunningJob,
    table: "lake.LakeTable",
    plan: Callable[["lake.LakeSnapshot | None"], Planned],
    commit: Callable[["lake.LakeSnapshot | None", Planned], None],
) -> None:
    """Plan on the table as it is and commit; where another job was faster, plan again on what it left.

    Raises:
        models.lake.LakeConflict: others were faster again and again.
    """
    from models import lake  # noqa: PLC0415 - heavy

    for plans_left in reversed(range(MOST_PLANS)):
        base = base_of(job, table)
        try:
            planned = plan(base)
        except files_vanished():
            if not plans_left or base is None or table.newest_version() == base.version:
                raise
            log.info("the files it read were erased meanwhile; planning again")
            continue
        try:
            commit(base, planned)
        except lake.LakeConflict:
            if not plans_left:
                raise
            log.info("another job was faster; planning again")
        else:
            return


def files_vanished() -> tuple[type[Exception], ...]:
    """Return what is raised by whoever reads a version whose files an erasure removes meanwhile."""
    import duckdb  # noqa: PLC0415 - heavy

    return (duckdb.IOException, FileNotFoundError)


def base_of(job: RunningJob, table: "lake.LakeTable") -> "lake.LakeSnapshot | None":
    """Return the version to plan on: the newest, or the one before this job's own commit if an attempt died after it.

    Then the same plan gives the same counts again, and the commit is recognised and skipped.
    """
    done = table.committed(str(job.id))
    if done is None:
        return table.snapshot()
    return table.snapshot(done.version - 1) if done.version > 0 else None


def commit(
    job: RunningJob, table: "lake.LakeTable", base: "lake.LakeSnapshot | None", change: NextVersion, final: Finish
) -> int:
    """Make the table's next version and note it; a change that changes nothing makes none. Return the version.

    Called inside of `RunningJob.finish`, while the job's row is locked: no cancellation or sweep comes between.
    """
    failpoints.hit(Point.LAKE_BEFORE_COMMIT)
    made = _write(job, table, base, change)
    job.took_effect()
    failpoints.hit(Point.LAKE_AFTER_COMMIT)
    note(job, table, made, columns=change.columns, final=final)
    return made.version


def note(
    job: RunningJob, table: "lake.LakeTable", made: "lake.Committed", *, columns: Mapping[str, str], final: Finish
) -> None:
    """Note in the database which version of the lake the job has made."""
    dataset.record(
        final.session,
        dataset.DatasetVersion(
            organisation_id=job.organisation_id,
            dataset=table.dataset,
            version=made.version,
            row_count=made.row_count,
            columns=dict(columns),
            job_id=job.id,
            file_count=made.layout.files,
            byte_count=made.layout.bytes,
            small_file_count=made.layout.small_files,
        ),
    )


def finish_again(job: RunningJob, table: "lake.LakeTable", done: "lake.Committed", outcome: Json) -> None:
    """Finish what an earlier attempt has committed."""
    from analytics.datasets import stored  # noqa: PLC0415 - heavy

    with job.finish() as final:
        job.took_effect()
        note(job, table, done, columns=stored.columns(table.schema_at(done.version)), final=final)
        final.outcome = {"dataset_version": done.version, **outcome}


def _write(
    job: RunningJob, table: "lake.LakeTable", base: "lake.LakeSnapshot | None", change: NextVersion
) -> "lake.Committed":
    from models import lake  # noqa: PLC0415 - heavy

    same_columns = base is not None and set(base.schema.names) == set(change.schema.names)
    joins = change.added or change.returned
    if base is not None and same_columns and not joins and not change.removed:
        return lake.Committed(base.version, base.row_count, {}, base.layout)
    return table.commit(
        str(job.id),
        lake.LakeChange(
            base=base,
            added=change.added,
            removed=change.removed,
            schema=change.schema,
            facts=change.facts,
            returned=change.returned,
            keeps_rows=change.keeps_rows,
        ),
    )
