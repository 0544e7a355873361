"""A restore: an older version's files are referenced again, as the newest version. No row is copied."""

from typing import TYPE_CHECKING

from analytics import errors
from models import dataset, session, settings
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
    done = table.committed(str(job.id))
    if done is not None:
        committing.finish_again(job, table, done, dict(done.facts))
        return
    job.check_cancelled()
    committing.until_committed(
        job,
        table,
        lambda base: _plan(base, _wanted(job, table)),
        lambda base, change: _commit(job, table, base, change),
    )


def _wanted(job: RunningJob, table: "lake.LakeTable") -> "lake.LakeSnapshot":
    number = int(job.params["version"])
    with session.transaction() as db:
        kept = dataset.hold(db, job.organisation_id, table.dataset, version=number)
    found = table.snapshot(number) if kept else None
    if found is None:
        raise _gone(table.dataset, number)
    return found


def _gone(name: str, number: int) -> errors.Refusal:
    detail = f"Version {number} of {name} is no longer kept, so it cannot be restored."
    return errors.Refusal("dataset-version-gone", detail, {"dataset": name, "version": number})


def _plan(base: "lake.LakeSnapshot | None", wanted: "lake.LakeSnapshot") -> committing.NextVersion:
    """Let leave what the older version did not have, and join what it had besides."""
    from analytics.datasets import stored  # noqa: PLC0415 - heavy

    now, then = (set(base.files) if base is not None else set()), set(wanted.files)
    return committing.NextVersion(
        added=(),
        removed=tuple(sorted(now - then)),
        schema=wanted.schema,
        columns=stored.columns(wanted.schema),
        facts={"restored_version": wanted.version, "rows_before": base.row_count if base is not None else 0},
        returned=tuple(sorted(then - now)),
    )


def _commit(
    job: RunningJob, table: "lake.LakeTable", base: "lake.LakeSnapshot | None", change: committing.NextVersion
) -> None:
    number = int(job.params["version"])
    with job.finish(patience_seconds=settings.load().import_limit_seconds) as final:
        # An erasure gives versions up before it removes anything: what it has given up must not come back.
        if not dataset.hold(final.session, job.organisation_id, table.dataset, version=number):
            raise _gone(table.dataset, number)
        version = committing.commit(job, table, base, change, final)
        final.outcome = {"dataset_version": version, **change.facts}
