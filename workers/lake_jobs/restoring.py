"""A restore: an older version's files are referenced again, as the newest version. No row is copied."""

from typing import TYPE_CHECKING

from analytics import errors
from models import dataset, session, settings
from models.base import Json
from workers.lake_jobs import committing
from workers.running_job import RunningJob

if TYPE_CHECKING:
    from models import lake


def run(job: RunningJob) -> None:
    """Make the version that the job names the newest one again, once.

    Raises:
        errors.Refusal: the version is not kept any more.
    """
    table = committing.open_table(job, job.type)
    if table.committed(str(job.id)) is None:
        job.check_cancelled()
    wanted = _wanted(job, table)
    committing.until_committed(
        job,
        table,
        lambda base: _plan(base, wanted),
        lambda base, change: _commit(job, table, base, change),
    )


def _wanted(job: RunningJob, table: "lake.LakeTable") -> "lake.LakeSnapshot":
    number = int(job.params["version"])
    with session.transaction() as db:
        known = dataset.find(db, job.organisation_id, table.dataset, version=number)
    found = table.snapshot(number) if known is not None and known.version.gone_at is None else None
    if found is None:
        detail = f"Version {number} of {table.dataset} is no longer kept, so it cannot be restored."
        raise errors.Refusal("dataset-version-gone", detail, {"dataset": table.dataset, "version": number})
    return found


def _plan(base: "lake.LakeSnapshot | None", wanted: "lake.LakeSnapshot") -> committing.NextVersion:
    """Let leave what the older version did not have, and join what it had besides."""
    from analytics.datasets import stored  # noqa: PLC0415 - heavy

    now, then = (set(base.files) if base is not None else set()), set(wanted.files)
    return committing.NextVersion(
        added=(),
        removed=tuple(sorted(now - then)),
        schema=wanted.schema,
        columns=stored.columns(wanted.schema),
        facts={"restored": wanted.version},
        returned=tuple(sorted(then - now)),
    )


def _commit(
    job: RunningJob, table: "lake.LakeTable", base: "lake.LakeSnapshot | None", change: committing.NextVersion
) -> None:
    with job.finish(patience_seconds=settings.load().import_limit_seconds) as final:
        version = committing.commit(job, table, base, change, final)
        final.outcome = _outcome(job, version, rows_before=base.row_count if base is not None else 0)


def _outcome(job: RunningJob, version: int, *, rows_before: int) -> Json:
    return {"dataset_version": version, "restored_version": job.params["version"], "rows_before": rows_before}
