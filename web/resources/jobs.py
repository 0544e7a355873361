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
    if parameters.kind is None:
        return job_views.listing(parameters, path=PATH, kinds=auth.caller().readable_kinds())
    auth.demand(auth.READS_KIND[parameters.kind])
    return job_views.listing(parameters, path=PATH, kinds=[parameters.kind])


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
