"""An import: the file is read, merged with the table as it is, and committed with its rejects and its counts."""

from pathlib import Path
from typing import TYPE_CHECKING

from analytics.datasets import options
from models import result, settings
from models.base import Json
from workers.lake_jobs import committing, judging
from workers.running_job import Finish, RunningJob

if TYPE_CHECKING:
    from analytics.datasets import importing, steps
    from models import lake


def run(job: RunningJob) -> None:
    """Clean an uploaded file and commit it to the lake, once."""
    table = committing.open_table(job, job.type)
    if table.committed(str(job.id)) is None:
        # What an earlier attempt has committed can only be finished, not taken back.
        job.check_cancelled()
    with job.scratch() as folder:
        follow = _follow(job)
        staged = _stage(job, folder, follow)
        committing.until_committed(
            job,
            table,
            lambda base: _plan(job, table, staged, base=base, folder=folder, follow=follow),
            lambda base, change: _commit(job, table, base, change),
        )
    job.upload_path.unlink(missing_ok=True)


def _follow(job: RunningJob) -> "steps.Steps":
    from analytics.datasets import steps  # noqa: PLC0415 - heavy

    def report(step: steps.Step) -> None:
        left = None if step.seconds_left is None else round(step.seconds_left, 1)
        job.progress(step.phase, step.done, step.total, rows=step.rows, seconds_left=left)

    return steps.Steps(report)


def _stage(job: RunningJob, folder: Path, follow: "steps.Steps") -> "importing.Staged":
    from analytics.datasets import importing  # noqa: PLC0415 - heavy

    return importing.stage(
        job.upload_path,
        options=options.ImportOptions.model_validate(job.params),
        folder=folder / "staged",
        progress=follow.read,
        follow=follow,
    )


def _plan(  # noqa: PLR0913 - a file, a table, a place, and who wants to know
    job: RunningJob,
    table: "lake.LakeTable",
    staged: "importing.Staged",
    *,
    base: "lake.LakeSnapshot | None",
    folder: Path,
    follow: "steps.Steps",
) -> "importing.Change":
    from analytics.datasets import importing  # noqa: PLC0415 - heavy
    from models import lake_cache  # noqa: PLC0415 - heavy

    configured = settings.load()
    return importing.plan_change(
        staged,
        current=importing.CurrentTable(lake_cache.local_files(table, base), base.schema) if base is not None else None,
        folder=folder / "change",
        memory=configured.engine_memory,
        threads=configured.engine_threads,
        known=judging.known(job, job.type),
        follow=follow,
    )


def _commit(
    job: RunningJob, table: "lake.LakeTable", base: "lake.LakeSnapshot | None", change: "importing.Change"
) -> None:
    with job.finish(patience_seconds=settings.load().import_limit_seconds) as final:
        next_version = committing.NextVersion(
            added=change.added,
            removed=change.removed,
            schema=change.schema,
            columns={name: str(column.kind) for name, column in change.types.items()},
            facts={"rows": change.counts.as_dict()},
        )
        version = committing.commit(job, table, base, next_version, final)
        final.outcome = _outcome(change, version)
        _store_rejects(job, change, final)


def _outcome(change: "importing.Change", version: int) -> Json:
    return {
        "rows": change.counts.as_dict(),
        "mapping": dict(change.mapping),
        "dataset_version": version,
        "warnings": [{"code": warning.code, "detail": warning.detail} for warning in change.warnings],
    }


def _store_rejects(job: RunningJob, change: "importing.Change", final: Finish) -> None:
    from analytics.render import manifest, rejects  # noqa: PLC0415 - heavy

    header = rejects.header(
        count=change.counts.rejected, by_code=change.rejects_by_code, params=job.params, headers=change.headers
    )
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
