"""Running a job again: a new job with the same question or the same file. Called by the web and by the command line.

The old job stays what it is; final states never change.
"""

import os
import shutil
import uuid
from enum import StrEnum
from pathlib import Path

import pydantic
from sqlalchemy.orm import Session

from analytics.catalogue import registry
from analytics.catalogue.parameters import ReportParams
from analytics.catalogue.report_type import Needs, ReportType
from models import base, dataset, settings, transitions
from models.base import Json
from models.dataset import Size
from models.job import Job
from models.job_states import JobKind, JobStatus
from models.transitions import NewJob
from workers import pins, report_identity, routing


class Why(StrEnum):
    """Why a job cannot be run again."""

    NOT_FINISHED = "not-finished"
    """It may still succeed by itself."""

    UPLOAD_GONE = "upload-gone"
    """The file of the import is not kept any more."""

    NOT_VALID = "not-valid"
    """This version of the service does not know its type, or would not take its parameters."""

    DATASET_MISSING = "dataset-missing"
    """There is no data for it."""

    VERSION_GONE = "dataset-version-gone"
    """A version that it is to read again is not kept any more."""


class RefusedError(Exception):
    """A job cannot be run again; the message says why to a person."""

    def __init__(self, why: Why, detail: str) -> None:
        super().__init__(detail)
        self.why = why
        self.detail = detail


def rerun(session: Session, job: Job, *, pinned: bool = False) -> Job:
    """Insert a job that does again what a finished one did; it is accepted when the caller's transaction commits.

    The caller then puts the new job's lane to the publisher.

    Raises:
        RefusedError: as `prepare` does.
    """
    return transitions.accept(session, prepare(session, job, pinned=pinned))


def prepare(
    session: Session,
    job: Job,
    *,
    pinned: bool = False,
    request_id: str | None = None,
    traceparent: str | None = None,
) -> NewJob:
    """Return a new job that does again what a finished one did.

    Where it is not accepted in the end, the second name of an import's file is left over, and upkeep removes it.

    Args:
        session: looks up the datasets.
        job: the finished job.
        pinned: read the very versions of the datasets that it read, instead of the newest.
        request_id: what to find the new job by in the log.
        traceparent: the trace the new job belongs to.

    Raises:
        RefusedError: it is not finished, its file is gone, or it could not be computed today.
    """
    if not JobStatus(job.status).is_final:
        raise RefusedError(Why.NOT_FINISHED, f"The job is {job.status}; only a finished job can be run again.")
    new_id = base.new_id()
    queue, versions, reuse_key = job.queue, None, None
    match JobKind(job.kind):
        case JobKind.REPORT:
            queue, versions, reuse_key = _prepare_report(session, job, pinned=pinned)
        case JobKind.IMPORT | JobKind.PREVIEW:
            queue = _prepare_import(job, new_id)
        case JobKind.ERASURE:
            # Whom it removed is not kept in a form in which it could be asked for again.
            raise RefusedError(Why.NOT_VALID, "An erasure is not run again; ask for it anew.")
        case JobKind.RESTORE:
            versions = _still_kept(session, job)
        case JobKind.COMPACTION:
            pass
    return NewJob(
        id=new_id,
        organisation_id=job.organisation_id,
        kind=JobKind(job.kind),
        type=job.type,
        params=job.params,
        queue=queue,
        priority=job.priority,
        dataset_versions=versions,
        upload=job.upload,
        label=job.label,
        reuse_key=reuse_key,
        request_id=request_id,
        traceparent=traceparent,
    )


def _prepare_report(session: Session, job: Job, *, pinned: bool) -> tuple[str, Json | None, bytes]:
    kind, params = _question(job)
    needs = kind.needs(params)
    newest = pins.newest(session, job.organisation_id, needs)
    versions = _still_kept(session, job) if pinned and job.dataset_versions else _numbers(newest, needs, job.type)
    queue = job.queue if pinned else routing.queue_of_report(sum(version.row_count for version in newest.values()))
    return queue, versions, report_identity.key(job.organisation_id, kind, params, versions or {})


def _still_kept(session: Session, job: Job) -> Json | None:
    """Return the versions that a job has read, unless one of them cannot be read any more."""
    for name, number in (job.dataset_versions or {}).items():
        found = dataset.find(session, job.organisation_id, name, version=number)
        if found is None or found.version.gone_at is not None:
            raise RefusedError(Why.VERSION_GONE, f"Version {number} of {name}, which the job read, is no longer kept.")
    return job.dataset_versions


def _question(job: Job) -> tuple[ReportType, ReportParams]:
    kind = registry.REPORT_TYPES.get(job.type)
    if kind is None:
        raise RefusedError(Why.NOT_VALID, f"There is no report type {job.type!r} any more.")
    try:
        return kind, kind.params.model_validate(job.params)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise RefusedError(
            Why.NOT_VALID,
            f"{job.type} does not take these parameters any more ({where}: {first['msg']}). Submit it anew.",
        ) from error


def _numbers(versions: dict[str, Size], needs: Needs, type_name: str) -> Json:
    missing = needs.missing(versions)
    if missing:
        wanted = " and ".join(" or ".join(names) for names in missing)
        raise RefusedError(Why.DATASET_MISSING, f"{type_name} needs {wanted}, which has not been imported.")
    return {name: version.version for name, version in versions.items()}


def _prepare_import(job: Job, new_id: uuid.UUID) -> str:
    try:
        give_second_name(job.id, new_id)
    except FileNotFoundError as error:
        was_imported = job.kind == JobKind.IMPORT and job.status == JobStatus.SUCCEEDED
        detail = "The file of a succeeded import is not kept" if was_imported else "The file is gone"
        raise RefusedError(Why.UPLOAD_GONE, f"{detail}; send it again with POST /v1/imports.") from error
    return routing.queue_of_import(int((job.upload or {}).get("bytes", 0)))


def give_second_name(old: uuid.UUID, new: uuid.UUID) -> None:
    """Let a file be known under another job's id too, durably. Each job removes its own name alone.

    Raises:
        FileNotFoundError: the file is not kept any more.
    """
    folder = settings.load().upload_folder
    source, target = folder / str(old), folder / str(new)
    # Upkeep spares what is young: the file must be, before it has a name that no committed job explains.
    os.utime(source)
    try:
        target.hardlink_to(source)
    except FileNotFoundError:
        raise
    except OSError:
        _copy(source, target)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(source: Path, target: Path) -> None:
    """Copy a file whole or not at all, for file systems that know no second names."""
    part = target.with_name(f".{target.name}.part")
    try:
        with source.open("rb") as read, part.open("xb") as written:
            shutil.copyfileobj(read, written, 1024 * 1024)
            written.flush()
            os.fsync(written.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
