"""Imports: a file is received, kept and accepted, once per idempotency key; what was rejected is read back."""

import uuid

import flask

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
    query,
    request_context,
    results,
    schemas,
    uploads,
)
from workers import routing

blueprint = flask.Blueprint("imports", __name__, url_prefix="/v1/imports")

PATH = "/v1/imports"


@blueprint.post("")
@auth.requires(Scope.DATASETS_WRITE)
def submit() -> flask.Response:
    # The options are checked before the first byte is read: nobody should upload for an hour to learn of a typing error.
    options = query.read(import_query.ImportQuery)
    key = idempotency_key.given()
    job_id = base.new_id()
    upload = uploads.receive(job_id)
    return accepting.answer(_accept(job_id, options, upload, key), options.wait)


@blueprint.get("")
@auth.requires(Scope.DATASETS_READ)
def listing() -> flask.Response:
    return job_views.listing(query.read(schemas.ListQuery), path=PATH, kinds=[JobKind.IMPORT])


@blueprint.get("/<job_id>")
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
    wanted = query.read(schemas.ResultQuery).format
    job = job_views.find(job_id, JobKind.IMPORT)
    fmt = formats.chosen(wanted, formats.OF_REJECTS)
    return results.answer(job, results.stored_result(job), fmt, name=f"{job.type}-rejects-{job.id}")


def _accept(
    job_id: uuid.UUID, options: import_query.ImportQuery, upload: uploads.Upload, key: str | None
) -> accepting.Accepted:
    """Accept an import; the file is discarded unless a job may need it. Upkeep removes it where there turns out to be none."""
    asked = options.model_dump(mode="json", exclude_defaults=True, exclude={"wait"})
    bound = idempotency_key.bind(key, {"query": asked, "sha256": upload.sha256})
    new = _new_job(job_id, options, upload)
    needed = False
    try:
        accepted = accepting.accept(lambda _db: new, bound)
        needed = not accepted.replayed
        return accepted
    finally:
        if not needed and not request_context.may_be_accepted():
            uploads.discard(job_id)


def _new_job(job_id: uuid.UUID, options: import_query.ImportQuery, upload: uploads.Upload) -> transitions.NewJob:
    caller = auth.caller()
    filled_in = options.with_defaults(timezone=caller.timezone, currency=caller.currency)
    return transitions.NewJob(
        id=job_id,
        organisation_id=caller.organisation_id,
        kind=JobKind.IMPORT,
        type=options.dataset,
        params=filled_in.model_dump(mode="json", exclude={"wait", "priority"}),
        queue=routing.queue_of_import(upload.bytes),
        priority=options.priority,
        upload=upload.as_json(),
        request_id=request_context.request_id(),
        traceparent=request_context.traceparent(),
    )
