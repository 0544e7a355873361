"""What all kinds of jobs have in common: found, listed, waited for, cancelled, run again."""

import uuid
from collections.abc import Collection

import flask
import pydantic
from sqlalchemy.orm import Session

from models import job_deletion, jobs, session, transitions
from models.job import Job
from models.job_deletion import Deletion
from models.job_states import JobKind, JobStatus
from models.transitions import NewJob
from web import (
    accepting,
    auth,
    cursor,
    idempotency_key,
    job_object,
    json_body,
    paging,
    problem_types,
    problems,
    publishing,
    query,
    request_context,
    schemas,
    waiting,
)
from workers import rerun as rerunning

# A job may change between the look and the update; it has few states, so it cannot keep on doing so.
ATTEMPTS_TO_CANCEL = 5

_REFUSALS = {
    rerunning.Why.NOT_FINISHED: problem_types.NOT_READY,
    rerunning.Why.UPLOAD_GONE: problem_types.UPLOAD_GONE,
    rerunning.Why.NOT_VALID: problem_types.NOT_REPEATABLE,
    rerunning.Why.DATASET_MISSING: problem_types.DATASET_MISSING,
    rerunning.Why.VERSION_GONE: problem_types.DATASET_VERSION_GONE,
}


def find(job_id: str, kind: JobKind | None) -> Job:
    """Return a job of the caller's organisation.

    Raises:
        problems.Problem: there is none, it is another organisation's or of another kind, it has been deleted, or the key may
            not read its kind.
    """
    with session.statement() as db:
        job = _find(db, job_id, kind)
    auth.demand(auth.READS_KIND[JobKind(job.kind)])
    if job.deleted_at is not None:
        raise accepting.deleted(job)
    return job


def delete(job_id: str, kind: JobKind) -> flask.Response:
    """Delete a finished job; again and again, as far as a caller can tell, because an answer may have been lost."""
    query.read(schemas.NoParameters)
    with session.transaction() as db:
        job = _find(db, job_id, kind)
        deleted = job_deletion.delete_job(db, job, by=auth.caller().name)
    if deleted is Deletion.UNFINISHED:
        raise problems.Problem(
            problem_types.NOT_READY,
            f"The job is {job.status}; cancel it first, or delete it when it has finished.",
            headers={"Retry-After": str(job_object.RETRY_AFTER)},
            facts={"job_status": job.status},
        )
    return flask.Response(status=204)


def show(job_id: str, kind: JobKind | None) -> flask.Response:
    wait = waiting.wanted(query.read(schemas.WaitQuery).wait)
    job, headers = waiting.until_finished(find(job_id, kind), wait)
    return job_object.answer(job, headers=headers)


def listing(parameters: schemas.ListQuery, *, path: str, kinds: Collection[JobKind]) -> flask.Response:
    """Answer with a page of jobs, newest first."""
    wanted = jobs.Wanted(
        organisation_id=auth.caller().organisation_id,
        kinds=kinds,
        status=parameters.status,
        type=parameters.type,
        schedule_id=parameters.schedule_id if isinstance(parameters, schemas.ReportListQuery) else None,
        since=parameters.created_after,
        until=parameters.created_before,
        before=cursor.decode(parameters.cursor) if parameters.cursor is not None else None,
        deleted=False,
    )
    with session.transaction() as db:
        rows = jobs.page(db, wanted, limit=paging.to_fetch(parameters))
    page, following = paging.cut(rows, parameters, path=path, end=lambda job: cursor.encode(job.id))
    return job_object.as_json(schemas.Page(data=[job_object.of(job) for job in page], next=following))


def cancel(job_id: str, kind: JobKind | None) -> flask.Response:
    """Cancel a job: at once while it is queued, else by asking its worker to stop."""
    query.read(schemas.NoParameters)
    reason = _cancel_request().reason
    for _ in range(ATTEMPTS_TO_CANCEL):
        job = find(job_id, kind)
        auth.demand(auth.WRITES_KIND[JobKind(job.kind)])
        if JobStatus(job.status).is_final:
            raise problems.Problem(
                problem_types.JOB_FINISHED,
                f"The job has already {'been cancelled' if job.status == JobStatus.CANCELLED else job.status}.",
                facts={"job_status": job.status},
            )
        if job.kind == JobKind.ERASURE and job.attempt > 0 and not job.params.get("dry_run"):
            raise problems.Problem(
                problem_types.NOT_STOPPABLE,
                "The erasure has begun, and is finished whatever happens.",
                facts={"job_status": job.status},
            )
        with session.transaction() as db:
            change = transitions.cancel_queued if job.status == JobStatus.QUEUED else transitions.request_cancel
            changed = change(db, job.id, by=auth.caller().name, why=reason)
        if changed:
            # One that waited in the broker leaves room for another of its organisation's.
            publishing.publish(job)
            now = find(job_id, kind)
            return job_object.answer(now, status=200 if now.status == JobStatus.CANCELLED else 202)
    raise problems.Problem(
        problem_types.NOT_READY, "The job keeps changing its state; try again.", headers={"Retry-After": "1"}
    )


def rerun(job_id: str, kind: JobKind | None) -> flask.Response:
    """Do again what a finished job did, as a new job."""
    options = query.read(schemas.RerunQuery)
    key = idempotency_key.bind(idempotency_key.given(), {"query": options.model_dump(mode="json", include={"pinned"})})
    job = find(job_id, kind)
    auth.demand(auth.WRITES_KIND[JobKind(job.kind)])
    return accepting.answer(accepting.accept(lambda db: _again(db, job, options), key), options.wait)


def _again(db: Session, job: Job, options: schemas.RerunQuery) -> NewJob:
    try:
        return rerunning.prepare(
            db,
            job,
            pinned=options.pinned,
            request_id=request_context.request_id(),
            traceparent=request_context.traceparent(),
        )
    except rerunning.RefusedError as error:
        headers = {"Retry-After": str(job_object.RETRY_AFTER)} if error.why is rerunning.Why.NOT_FINISHED else {}
        facts = {"job_status": job.status}
        raise problems.Problem(_REFUSALS[error.why], error.detail, headers=headers, facts=facts) from error


def _cancel_request() -> schemas.CancelRequest:
    raw = json_body.read_if_any()
    try:
        return schemas.CancelRequest.model_validate(raw)
    except pydantic.ValidationError as error:
        raise problems.invalid(error, raw, known=schemas.CancelRequest.model_fields) from error


def _find(db: Session, job_id: str, kind: JobKind | None) -> Job:
    try:
        identity = uuid.UUID(job_id)
    except ValueError as error:
        raise _not_found(kind) from error
    job = jobs.find(db, identity, organisation_id=auth.caller().organisation_id)
    if job is None or (kind is not None and job.kind != kind):
        raise _not_found(kind)
    return job


def _not_found(kind: JobKind | None) -> problems.Problem:
    return problems.Problem(problem_types.NOT_FOUND, f"There is no {kind or 'job'} with this id.")
