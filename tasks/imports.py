"""The queue `imports`: files into the lake.

The heavy half of `analytics` is imported inside: the web process imports this module to publish, and must stay light.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from analytics.datasets import options
from models import dataset, failpoints, result, settings
from models.base import Json
from models.failpoints import Point
from workers.celery import app
from workers.running_job import Finish, RunningJob
from workers.runtime import JobTask

if TYPE_CHECKING:
    from analytics.datasets import importing
    from models import lake

# Every import into the same table that is faster sends this one back to merging.
MOST_MERGES = 20

log = structlog.get_logger(__name__)


@app.task(
    name="imports.run",
    base=JobTask,
    soft_time_limit=settings.load().import_limit_seconds,
    time_limit=settings.load().import_limit_seconds + settings.load().limit_grace_seconds,
)
def run(job: RunningJob) -> None:
    """Clean an uploaded file and commit it to the lake, once."""
    table = _open_table(job)
    if table.committed(str(job.id)) is None:
        # What an earlier attempt has committed can only be finished, not taken back.
        job.check_cancelled()
    with job.scratch() as folder:
        staged = _stage(job, folder)
        _merge_until_committed(job, table, staged, folder)
    job.upload_path.unlink(missing_ok=True)


def _open_table(job: RunningJob) -> "lake.LakeTable":
    from models import lake  # noqa: PLC0415 - heavy

    return lake.open_table(settings.load().lake_location, organisation_id=str(job.organisation_id), dataset=job.type)


def _stage(job: RunningJob, folder: Path) -> "importing.Staged":
    from analytics.datasets import importing  # noqa: PLC0415 - heavy

    return importing.stage(
        job.upload_path,
        options=options.ImportOptions.model_validate(job.params),
        folder=folder / "staged",
        progress=lambda done, total: job.progress("read", done, total),
    )


def _merge_until_committed(job: RunningJob, table: "lake.LakeTable", staged: "importing.Staged", folder: Path) -> None:
    """Merge with the table as it is and commit; where another import was faster, merge again with what it left."""
    from models import lake  # noqa: PLC0415 - heavy

    for merges_left in reversed(range(MOST_MERGES)):
        base = _base(job, table)
        change = _plan(job, staged, base, folder)
        try:
            _commit(job, table, base, change)
        except lake.LakeConflict:
            if not merges_left:
                raise
            log.info("another import was faster; merging again")
        else:
            return


def _base(job: RunningJob, table: "lake.LakeTable") -> "lake.LakeSnapshot | None":
    """Return the version to merge with: the newest, or the one before this job's own commit if an attempt died after it.

    Then the same merge gives the same counts and rejects again, and the commit is recognised and skipped.
    """
    done = table.committed(str(job.id))
    if done is None:
        return table.snapshot()
    return table.snapshot(done.version - 1) if done.version > 0 else None


def _plan(
    job: RunningJob, staged: "importing.Staged", base: "lake.LakeSnapshot | None", folder: Path
) -> "importing.Change":
    from analytics.datasets import importing  # noqa: PLC0415 - heavy

    job.progress("merge", 0, staged.rows_read)
    configured = settings.load()
    return importing.plan_change(
        staged,
        current=importing.CurrentTable(base.files, base.schema) if base is not None else None,
        folder=folder / "change",
        memory=configured.engine_memory,
        threads=configured.engine_threads,
    )


def _commit(
    job: RunningJob, table: "lake.LakeTable", base: "lake.LakeSnapshot | None", change: "importing.Change"
) -> None:
    """Commit to the lake, then the bookkeeping, while the job's row is locked: no cancellation or sweep comes between."""
    with job.finish(patience_seconds=settings.load().import_limit_seconds) as final:
        failpoints.hit(Point.LAKE_BEFORE_COMMIT)
        version, row_count = _write(job, table, base, change)
        job.took_effect()
        failpoints.hit(Point.LAKE_AFTER_COMMIT)
        dataset.record(
            final.session,
            dataset.DatasetVersion(
                organisation_id=job.organisation_id,
                dataset=job.type,
                version=version,
                row_count=row_count,
                columns={name: str(column.kind) for name, column in change.types.items()},
                job_id=job.id,
            ),
        )
        final.outcome = _outcome(change, version)
        _store_rejects(job, change, final)


def _write(
    job: RunningJob, table: "lake.LakeTable", base: "lake.LakeSnapshot | None", change: "importing.Change"
) -> tuple[int, int]:
    """Make the table's next version; a file that changes nothing makes none. The answer is the version and its rows."""
    from models import lake  # noqa: PLC0415 - heavy

    same_columns = base is not None and set(base.schema.names) == set(change.schema.names)
    if base is not None and same_columns and not change.added and not change.removed:
        return base.version, base.row_count
    next_version = lake.LakeChange(
        base=base,
        added=change.added,
        removed=change.removed,
        schema=change.schema,
        facts={"rows": change.counts.as_dict()},
    )
    committed = table.commit(str(job.id), next_version)
    return committed.version, committed.row_count


def _outcome(change: "importing.Change", version: int) -> Json:
    return {
        "rows": change.counts.as_dict(),
        "mapping": dict(change.mapping),
        "dataset_version": version,
        "warnings": [{"code": warning.code, "detail": warning.detail} for warning in change.warnings],
    }


def _store_rejects(job: RunningJob, change: "importing.Change", final: Finish) -> None:
    from analytics.render import manifest, rejects  # noqa: PLC0415 - heavy

    header = rejects.header(count=change.counts.rejected, by_code=change.rejects_by_code, params=job.params)
    chunks = [result.Chunk(piece.row_start, piece.row_count, piece.data) for piece in rejects.encode(change.rejects)]
    final.keep_result = settings.load().result_retention
    stored = result.StoredResult(
        job_id=job.id,
        header=header,
        manifest={"params": job.params, "upload": job.upload, "mapping": dict(change.mapping)},
        row_count=change.counts.rejected,
        byte_count=sum(len(chunk.data) for chunk in chunks),
        sha256=manifest.digest(header, (chunk.data for chunk in chunks)),
    )
    result.store(final.session, stored, chunks, keep_for=final.keep_result)
