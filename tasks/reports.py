"""The queue `reports`: computing what was asked for. Bodies load, compute and store; the ceremony is in `workers.runtime`.

The heavy half of `analytics` is imported inside: the web process imports this module to publish, and must stay light.
"""

from typing import TYPE_CHECKING

from analytics import errors
from analytics.catalogue import registry
from models import erasure, result, reuse, session, settings
from models.base import Json
from workers import report_identity
from workers.celery import app
from workers.errors import UnknownWorkError
from workers.running_job import RunningJob
from workers.runtime import JobTask

if TYPE_CHECKING:
    from analytics import engine
    from analytics.result import Result


@app.task(
    name="reports.run",
    base=JobTask,
    soft_time_limit=settings.load().report_limit_seconds,
    time_limit=settings.load().report_limit_seconds + settings.load().limit_grace_seconds,
)
def run(job: RunningJob) -> None:
    """Compute a report on the pinned versions of its datasets, and store it with the job's success."""
    if job.type not in registry.REPORT_TYPES:
        raise UnknownWorkError(job.type)
    job.check_cancelled()
    job.progress("open", 0, 3)
    snapshots = _open_snapshots(job)
    job.progress("compute", 1, 3)
    answer = _compute(job, snapshots)
    _require_storable(answer)
    job.progress("store", 2, 3)
    stored, chunks = _encode(job, snapshots, answer)
    with job.finish() as final:
        if job.reuse_key is not None and job.reuse_key != _reuse_key(job):
            # It was asked for under another version of its definition than this worker's.
            reuse.forget_key(final.session, job.id)
        final.keep_result = settings.load().result_retention
        result.store(final.session, stored, chunks, keep_for=final.keep_result)
        final.outcome = {"row_count": stored.row_count, "sha256": stored.sha256}


def _open_snapshots(job: RunningJob) -> "list[engine.Snapshot]":
    """Find the files of the versions that were pinned when the job was accepted.

    Raises:
        errors.Refusal: a pinned version is no longer in the lake.
    """
    from analytics import engine  # noqa: PLC0415 - heavy
    from models import lake, lake_cache  # noqa: PLC0415 - heavy

    with session.transaction() as db:
        erased = erasure.being_erased(db, job.organisation_id, job.dataset_versions)
    snapshots = []
    for name, version in job.dataset_versions.items():
        table = lake.open_table(settings.load().lake_location, organisation_id=str(job.organisation_id), dataset=name)
        found = table.snapshot(version) if name not in erased else None
        if found is None:
            detail = f"Version {version} of {name} is no longer kept. Submit the report again without pinning it."
            raise errors.Refusal("dataset-version-gone", detail, {"dataset": name, "version": version})
        files = lake_cache.local_files(table, found)
        snapshots.append(engine.Snapshot(dataset=name, version=version, files=files, row_count=found.row_count))
    return snapshots


def _compute(job: RunningJob, snapshots: "list[engine.Snapshot]") -> "Result":
    from analytics import engine  # noqa: PLC0415 - heavy
    from analytics.reports import registry as computations  # noqa: PLC0415 - heavy

    configured = settings.load()
    params = registry.REPORT_TYPES[job.type].params.model_validate(job.params)
    with engine.open_tables(
        snapshots,
        memory_limit=configured.engine_memory,
        threads=configured.engine_threads,
        spill_folder=configured.spill_folder,
    ) as tables:
        return computations.COMPUTE[job.type](tables, params)


def _require_storable(answer: "Result") -> None:
    """Refuse to store more rows than a result may have.

    Raises:
        errors.Refusal: there are more.
    """
    most, rows = settings.load().max_result_rows, answer.rows.num_rows
    if rows > most:
        detail = f"The result would have {rows:,} rows; at most {most:,} are kept."
        raise errors.Refusal("result-too-large", detail, {"rows": rows, "max_rows": most})


def _reuse_key(job: RunningJob) -> bytes:
    kind = registry.REPORT_TYPES[job.type]
    return report_identity.key(job.organisation_id, kind, kind.params.model_validate(job.params), job.dataset_versions)


def _encode(
    job: RunningJob, snapshots: "list[engine.Snapshot]", answer: "Result"
) -> tuple[result.StoredResult, list[result.Chunk]]:
    """Turn an answer into what is stored: its header, its manifest, and its rows as Parquet chunks."""
    from analytics.render import chunks, manifest  # noqa: PLC0415 - heavy

    header = manifest.header(answer, registry.REPORT_TYPES[job.type], params=job.params)
    encoded = [result.Chunk(piece.row_start, piece.row_count, piece.data) for piece in chunks.encode(answer.rows)]
    sha256 = manifest.digest(header, (chunk.data for chunk in encoded))
    datasets: Json = {found.dataset: {"version": found.version, "rows": found.row_count} for found in snapshots}
    stored = result.StoredResult(
        job_id=job.id,
        header=header,
        manifest=manifest.manifest(header, answer, datasets=datasets, sha256=sha256),
        row_count=answer.rows.num_rows,
        byte_count=sum(len(chunk.data) for chunk in encoded),
        sha256=sha256,
    )
    return stored, encoded
