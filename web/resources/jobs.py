"""Every kind of job in one list."""

import flask

from models.api_key import Scope
from web import auth, job_views, query, schemas

blueprint = flask.Blueprint("jobs", __name__, url_prefix="/v1/jobs")

PATH = "/v1/jobs"


@blueprint.get("")
@auth.requires(Scope.REPORTS_READ, Scope.DATASETS_READ)
def listing() -> flask.Response:
    parameters = query.read(schemas.JobListQuery)
    kind = parameters.kind
    if kind is not None:
        auth.demand(auth.READS_KIND[kind])
    elif len(readable := auth.caller().readable_kinds()) == 1:
        kind = readable[0]
    return job_views.listing(parameters, path=PATH, kind=kind)


@blueprint.get("/<job_id>")
@auth.requires(Scope.REPORTS_READ, Scope.DATASETS_READ)
def show(job_id: str) -> flask.Response:
    return job_views.show(job_id, None)


@blueprint.post("/<job_id>/cancel")
@auth.requires(Scope.REPORTS_WRITE, Scope.DATASETS_WRITE)
def cancel(job_id: str) -> flask.Response:
    return job_views.cancel(job_id, None)


@blueprint.post("/<job_id>/rerun")
@auth.requires(Scope.REPORTS_WRITE, Scope.DATASETS_WRITE)
def rerun(job_id: str) -> flask.Response:
    return job_views.rerun(job_id, None)
