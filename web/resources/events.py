"""The events of reports, of imports and of any job."""

import flask

from models.api_key import Scope
from models.job_states import JobKind
from web import auth, event_stream, job_views

blueprint = flask.Blueprint("events", __name__, url_prefix="/v1")


@blueprint.get("/reports/<job_id>/events")
@auth.requires(Scope.REPORTS_READ)
def of_report(job_id: str) -> flask.Response:
    return event_stream.answer(job_views.find(job_id, JobKind.REPORT))


@blueprint.get("/imports/<job_id>/events")
@auth.requires(Scope.DATASETS_READ)
def of_import(job_id: str) -> flask.Response:
    return event_stream.answer(job_views.find(job_id, JobKind.IMPORT))


@blueprint.get("/jobs/<job_id>/events")
@auth.requires(Scope.REPORTS_READ, Scope.DATASETS_READ)
def of_job(job_id: str) -> flask.Response:
    return event_stream.answer(job_views.find(job_id, None))
