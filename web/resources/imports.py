"""Imports: a file is received, kept and accepted; what was rejected is read back."""

import uuid

import flask
import sqlalchemy.exc

from models import base, session, transitions
from models.api_key import Scope
from models.job import Job
from models.job_states import JobKind
from web import (
    auth,
    formats,
    import_query,
    job_object,
    job_views,
    publishing,
    query,
    request_context,
    results,
    schemas,
    uploads,
    waiting,
)
from workers import routing

blueprint = flask.Blueprint("imports", __name__, url_prefix="/v1/imports")

PATH = "/v1/imports"


@blueprint.post("")
@auth.requires(Scope.DATASETS_WRITE)
def submit() -> flask.Response:
    # The options are checked before the first byte is read: nobody should upload for an hour to learn of a typing error.
    options = query.read(import_query.ImportQuery)
    job_id = base.new_id()
    upload = uploads.receive(job_id)
    job = _accept(job_id, options, upload)
    publishing.publish(job)
    job, headers = waiting.until_finished(job, waiting.wanted(options.wait))
    return job_object.accepted(job, headers=headers)


@blueprint.get("")
@auth.requires(Scope.DATASETS_READ)
def listing() -> flask.Response:
    return job_views.listing(query.read(schemas.ListQuery), path=PATH, kind=JobKind.IMPORT)


@blueprint.get("/<job_id>")
@auth.requires(Scope.DATASETS_READ)
def show(job_id: str) -> flask.Response:
    return job_views.show(job_id, JobKind.IMPORT)


@blueprint.post("/<job_id>/cancel")
@auth.requires(Scope.DATASETS_WRITE)
def cancel(job_id: str) -> flask.Response:
    return job_views.cancel(job_id, JobKind.IMPORT)


@blueprint.get("/<job_id>/rejects")
@auth.requires(Scope.DATASETS_READ)
def rejects(job_id: str) -> flask.Response:
    wanted = query.read(schemas.ResultQuery).format
    job = job_views.find(job_id, JobKind.IMPORT)
    fmt = formats.chosen(wanted, formats.OF_REJECTS)
    return results.answer(job, results.stored_result(job), fmt, name=f"{job.type}-rejects-{job.id}")


def _accept(job_id: uuid.UUID, options: import_query.ImportQuery, upload: uploads.Upload) -> Job:
    caller = auth.caller()
    filled_in = options.with_defaults(timezone=caller.timezone, currency=caller.currency)
    new = transitions.NewJob(
        id=job_id,
        organisation_id=caller.organisation_id,
        kind=JobKind.IMPORT,
        type=options.dataset,
        params=filled_in.model_dump(mode="json", exclude={"wait"}),
        queue=routing.queue_of_import(upload.bytes),
        upload=upload.as_json(),
        request_id=request_context.request_id(),
        traceparent=request_context.traceparent(),
    )
    inserted = False
    try:
        with session.transaction() as db:
            job = transitions.accept(db, new)
            inserted = True
    except (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError):
        # A commit whose answer was lost may have happened: then the job needs its file, else upkeep removes it.
        if not inserted:
            uploads.discard(job_id)
        raise
    return job
