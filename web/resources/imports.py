"""Imports and their previews: a file is received, kept and accepted, once per idempotency key; rejects are read back."""

import uuid

import flask
from sqlalchemy.orm import Session

from models import base, transitions
from models.api_key import Scope
from models.job_states import JobKind
from web import (
    accepting,
    auth,
    formats,
    idempotency_key,
    import_query,
    job_views,
    kept_uploads,
    limits,
    query,
    request_context,
    results,
    schemas,
    uploads,
)
from workers import routing

blueprint = flask.Blueprint("imports", __name__, url_prefix="/v1/imports")

PATH = "/v1/imports"
# The type of a preview that is to find out the dataset.
GUESSED = "auto"


@blueprint.post("")
@auth.requires(Scope.DATASETS_WRITE)
def submit() -> flask.Response:
    # The options are checked before the first byte is read: nobody should upload for an hour to learn of a typing error.
    options = query.read(import_query.ImportQuery)
    return accepting.answer(_submit(JobKind.IMPORT, options.dataset, options), options.wait)


@blueprint.post("/preview")
@auth.requires(Scope.DATASETS_WRITE)
def preview() -> flask.Response:
    options = query.read(import_query.PreviewQuery)
    accepted = _submit(JobKind.PREVIEW, options.dataset or GUESSED, options)
    return accepting.answer(accepted, options.wait, unless_said=schemas.LONGEST_WAIT)


@blueprint.get("")
@auth.requires(Scope.DATASETS_READ)
def listing() -> flask.Response:
    return job_views.listing(query.read(schemas.ListQuery), path=PATH, kinds=[JobKind.IMPORT])


@blueprint.get("/<id:job_id>")
@auth.requires(Scope.DATASETS_READ)
def show(job_id: str) -> flask.Response:
    return job_views.show(job_id, JobKind.IMPORT)


@blueprint.post("/<job_id>/cancel")
@auth.requires(Scope.DATASETS_WRITE)
def cancel(job_id: str) -> flask.Response:
    return job_views.cancel(job_id, JobKind.IMPORT)


@blueprint.post("/<job_id>/rerun")
@auth.requires(Scope.DATASETS_WRITE)
def rerun(job_id: str) -> flask.Response:
    return job_views.rerun(job_id, JobKind.IMPORT)


@blueprint.get("/<job_id>/rejects")
@auth.requires(Scope.DATASETS_READ)
def rejects(job_id: str) -> flask.Response:
    wanted = query.read(schemas.RejectsQuery).format
    job = job_views.find(job_id, JobKind.IMPORT)
    fmt = formats.chosen(wanted, formats.OF_REJECTS)
    return results.answer(job, results.stored_result(job), fmt, words=f"{job.type}-rejects")


def _submit(kind: JobKind, type_: str, options: import_query.AnyQuery) -> accepting.Accepted:
    """Receive the file, or find the job that has it, and accept a job for it.

    The file is discarded unless the job may need it. Upkeep removes it where there turns out to be none.
    """
    key = idempotency_key.given()
    # Before the first byte: nobody should upload for an hour only to be refused.
    accepting.require_room(key)
    job_id = base.new_id()
    earlier = kept_uploads.find(options.upload) if options.upload is not None else None
    at_most = limits.of(auth.caller().organisation_id).max_upload_bytes
    upload = kept_uploads.described(earlier) if earlier is not None else uploads.receive(job_id, at_most=at_most)
    asked = options.model_dump(mode="json", exclude_defaults=True, exclude={"wait"})
    bound = idempotency_key.bind(key, {"query": asked, "sha256": upload.sha256})
    new = _new_job(job_id, kind, type_, options, upload)

    def make(_db: Session) -> transitions.NewJob:
        # Not before it is known that no earlier request has made the job: its file may be gone since.
        if earlier is not None:
            kept_uploads.take(earlier, job_id)
        return new

    needed = False
    try:
        accepted = accepting.accept(make, bound)
        needed = not accepted.replayed
        return accepted
    finally:
        if not needed and not request_context.may_be_accepted():
            uploads.discard(job_id)


def _new_job(
    job_id: uuid.UUID, kind: JobKind, type_: str, options: import_query.AnyQuery, upload: uploads.Upload
) -> transitions.NewJob:
    caller = auth.caller()
    filled_in = options.with_defaults(timezone=caller.timezone, currency=caller.currency)
    return transitions.NewJob(
        id=job_id,
        organisation_id=caller.organisation_id,
        kind=kind,
        type=type_,
        params=filled_in.model_dump(mode="json", exclude={"wait", "priority", "upload"}),
        queue=routing.queue_of_import(upload.bytes),
        priority=options.priority,
        upload=upload.as_json(),
        request_id=request_context.request_id(),
        traceparent=request_context.traceparent(),
    )
