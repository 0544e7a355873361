"""A job's row as callers see it."""

import uuid
from typing import Any

import flask
import pydantic

from models.job import Job
from models.job_states import JobKind
from web import schemas

# The kinds that have a collection of their own; the others are found among all jobs.
COLLECTION = {JobKind.REPORT: "reports", JobKind.IMPORT: "imports"}

# How soon it is worth asking again, in seconds.
RETRY_AFTER = 1


def address(job: Job) -> str:
    return address_of(JobKind(job.kind), job.id)


def address_of(kind: JobKind, job_id: uuid.UUID) -> str:
    return f"/v1/{COLLECTION.get(kind, 'jobs')}/{job_id}"


def of(job: Job) -> schemas.AnyJob:
    """Return the job object of the contract."""
    outcome = job.outcome or {}
    match JobKind(job.kind):
        case JobKind.REPORT:
            slot = {"schedule_id": job.schedule_id, "due_at": job.due_at}
            return schemas.ReportJob(**_shared(job), **slot, kind=JobKind.REPORT, links=_report_links(job))
        case JobKind.IMPORT:
            return _import(job)
        case JobKind.PREVIEW as kind:
            return schemas.PreviewJob(**_shared(job), kind=kind, preview=outcome.get("preview"), links=_links(job))
        case JobKind.RESTORE as kind:
            version = outcome.get("dataset_version")
            return schemas.RestoreJob(**_shared(job), kind=kind, dataset_version=version, links=_links(job))
        case JobKind.COMPACTION as kind:
            version = outcome.get("dataset_version")
            return schemas.CompactionJob(**_shared(job), kind=kind, dataset_version=version, links=_links(job))
        case JobKind.ERASURE as kind:
            plan, certificate = outcome.get("plan"), outcome.get("certificate")
            return schemas.ErasureJob(**_shared(job), kind=kind, plan=plan, certificate=certificate, links=_links(job))


def _import(job: Job) -> schemas.ImportJob:
    outcome = job.outcome or {}
    return schemas.ImportJob(
        **_shared(job),
        kind=JobKind.IMPORT,
        rows=outcome.get("rows"),
        mapping=outcome.get("mapping"),
        dataset_version=outcome.get("dataset_version"),
        warnings=outcome.get("warnings", []),
        links=_import_links(job),
    )


def answer(
    job: Job, *, status: int = 200, reused: bool = False, headers: dict[str, str] | None = None
) -> flask.Response:
    """Answer with a job; one that is not finished says when to ask again."""
    shown = of(job)
    # Said in the answer to the request that reused the job, and nowhere else.
    response = as_json(shown.model_copy(update={"reused": True}) if reused else shown, status=status)
    response.headers.update(headers or {})
    if job.finished_at is None:
        response.headers["Retry-After"] = str(RETRY_AFTER)
    return response


def accepted(job: Job, *, at_once: bool, reused: bool = False, headers: dict[str, str] | None = None) -> flask.Response:
    """Answer to a submission: 202 and where the job is, or, to who wants the finished job at once, 200 once it is one."""
    status = 200 if at_once and job.finished_at is not None else 202
    response = answer(job, status=status, reused=reused, headers=headers)
    response.headers["Location"] = address(job)
    return response


def as_json(model: pydantic.BaseModel, *, status: int = 200) -> flask.Response:
    return flask.Response(model.model_dump_json(), status=status, content_type="application/json")


def error(kept: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return why a job failed, or failed last; its type is an address under which a person finds what to do."""
    return None if kept is None else {**kept, "type": f"/docs/problems/{kept['type']}"}


def _shared(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "type": job.type,
        "status": job.status,
        "params": job.params,
        "label": job.label,
        "priority": job.priority,
        "progress": job.progress,
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "expires_at": job.expires_at,
        "reused": False,
        "error": error(job.error),
        "cancellation": _cancellation(job),
    }


def _cancellation(job: Job) -> schemas.Cancellation | None:
    if job.cancel_requested_at is None:
        return None
    return schemas.Cancellation(by=job.cancelled_by, reason=job.cancel_reason, requested_at=job.cancel_requested_at)


def _links(job: Job) -> schemas.JobLinks:
    here = address(job)
    return schemas.JobLinks(
        self=here, result=None, cancel=f"{here}/cancel", rerun=f"{here}/rerun", events=f"{here}/events"
    )


def _report_links(job: Job) -> schemas.ReportLinks:
    here = address(job)
    return schemas.ReportLinks(
        self=here,
        result=f"{here}/result",
        cancel=f"{here}/cancel",
        rerun=f"{here}/rerun",
        events=f"{here}/events",
        rows=f"{here}/rows",
        manifest=f"{here}/manifest",
    )


def _import_links(job: Job) -> schemas.ImportLinks:
    here = address(job)
    return schemas.ImportLinks(
        self=here,
        result=None,
        cancel=f"{here}/cancel",
        rerun=f"{here}/rerun",
        events=f"{here}/events",
        rejects=f"{here}/rejects",
    )
