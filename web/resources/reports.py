"""Reports: asked for, listed, fetched, cancelled, run again, read."""

import dataclasses

import flask
import pydantic
from sqlalchemy.orm import Session

from models import session, transitions
from models.api_key import Scope
from models.base import Json
from models.job_states import JobKind
from web import (
    accepting,
    auth,
    delivery_preview,
    delivery_preview_schemas,
    formats,
    idempotency_key,
    job_object,
    job_views,
    json_body,
    problems,
    query,
    report_diff,
    report_plan,
    request_context,
    result_rows,
    results,
    row_schemas,
    schemas,
)
from web import receivers as checked_receivers
from web.delivery_schemas import ReportRequest
from workers.deliveries import receivers

blueprint = flask.Blueprint("reports", __name__, url_prefix="/v1/reports")

PATH = "/v1/reports"


@blueprint.post("")
@auth.requires(Scope.REPORTS_WRITE)
def submit() -> flask.Response:
    options = query.read(schemas.SubmitQuery)
    request = _request()
    key = _key(request)
    if options.dry_run:
        with session.transaction() as db:
            plan = report_plan.make(db, request, auth.caller())
            _receivers(db, request)
            return job_object.as_json(report_plan.dry_run(db, plan, _instead(request)))
    accepted = accepting.accept(lambda db: _new_job(db, request), key, instead=_instead(request))
    return accepting.answer(accepted, options.wait)


@blueprint.get("")
@auth.requires(Scope.REPORTS_READ)
def listing() -> flask.Response:
    return job_views.listing(query.read(schemas.ReportListQuery), path=PATH, kinds=[JobKind.REPORT])


@blueprint.get("/<job_id>")
@auth.requires(Scope.REPORTS_READ)
def show(job_id: str) -> flask.Response:
    return job_views.show(job_id, JobKind.REPORT)


@blueprint.delete("/<job_id>")
@auth.requires(Scope.REPORTS_WRITE)
def delete(job_id: str) -> flask.Response:
    return job_views.delete(job_id, JobKind.REPORT)


@blueprint.post("/<job_id>/cancel")
@auth.requires(Scope.REPORTS_WRITE)
def cancel(job_id: str) -> flask.Response:
    return job_views.cancel(job_id, JobKind.REPORT)


@blueprint.post("/<job_id>/rerun")
@auth.requires(Scope.REPORTS_WRITE)
def rerun(job_id: str) -> flask.Response:
    return job_views.rerun(job_id, JobKind.REPORT)


@blueprint.get("/<job_id>/result")
@auth.requires(Scope.REPORTS_READ)
def result(job_id: str) -> flask.Response:
    wanted = query.read(schemas.ReportResultQuery)
    job = job_views.find(job_id, JobKind.REPORT)
    fmt = formats.chosen(wanted.format, formats.OF_RESULT)
    return results.answer(job, results.stored_result(job), fmt, words=job.type, chart=wanted.chart)


@blueprint.get("/<job_id>/rows")
@auth.requires(Scope.REPORTS_READ)
def rows(job_id: str) -> flask.Response:
    wanted = query.read(row_schemas.RowQuery)
    return result_rows.page(job_views.find(job_id, JobKind.REPORT), wanted)


@blueprint.get("/<job_id>/manifest")
@auth.requires(Scope.REPORTS_READ)
def manifest(job_id: str) -> flask.Response:
    query.read(schemas.NoParameters)
    job = job_views.find(job_id, JobKind.REPORT)
    stored = results.stored_result(job)
    return flask.Response(flask.json.dumps(stored.manifest), content_type="application/json")


@blueprint.get("/<job_id>/diff")
@auth.requires(Scope.REPORTS_READ)
def diff(job_id: str) -> flask.Response:
    wanted = query.read(schemas.DiffQuery)
    job = job_views.find(job_id, JobKind.REPORT)
    return job_object.as_json(report_diff.make(job, wanted.against, limit=wanted.limit))


@blueprint.post("/<job_id>/preview-deliveries")
@auth.requires(Scope.REPORTS_READ)
def preview_deliveries(job_id: str) -> flask.Response:
    """Say who would get what of this result; nothing is sent."""
    query.read(schemas.NoParameters)
    job = job_views.find(job_id, JobKind.REPORT)
    wanted = json_body.validated(delivery_preview_schemas.ReportDeliveriesRequest, json_body.read())
    return job_object.as_json(delivery_preview.of_request(job, wanted.deliveries))


def _request() -> ReportRequest:
    raw = json_body.read()
    try:
        request = ReportRequest.model_validate(raw)
    except pydantic.ValidationError as error:
        raise problems.invalid(error, raw, known=ReportRequest.model_fields) from error
    if request.deliveries:
        auth.demand(Scope.WEBHOOKS)
    return request


def _instead(request: ReportRequest) -> accepting.Reuse | None:
    """Say which other jobs will do; none, where the job is to tell somebody of its end."""
    return None if request.deliveries else report_plan.reuse(request)


def _receivers(db: Session, request: ReportRequest) -> list[Json] | None:
    """Return who gets the result, or refuse those that nothing can be delivered to."""
    caller = auth.caller()
    question = checked_receivers.Question(request.type, request.params, caller.timezone)
    checked = checked_receivers.check(db, caller.organisation_id, request.deliveries, question)
    return receivers.expand(caller.organisation_id, checked) or None


def _key(request: ReportRequest) -> idempotency_key.Key | None:
    text = idempotency_key.given()
    if text is None:
        return None
    return idempotency_key.bind(text, {"body": request.model_dump(mode="json", exclude_defaults=True)})


def _new_job(db: Session, request: ReportRequest) -> transitions.NewJob:
    plan = report_plan.make(db, request, auth.caller())
    new = plan.new_job(
        priority=request.priority,
        label=request.label,
        request_id=request_context.request_id(),
        traceparent=request_context.traceparent(),
    )
    return dataclasses.replace(new, deliveries=_receivers(db, request)) if request.deliveries else new
