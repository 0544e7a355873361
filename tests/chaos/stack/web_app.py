"""The product's web application and one more resource: probes, accepted on the way that reports are.

`GET /v1/probes/{id}` reads the row itself: what the product shows of a job knows only the product's kinds.
"""

import uuid
from enum import StrEnum
from typing import Any, cast

import flask
import pydantic

from models import failpoints, jobs, session, transitions
from models.api_key import Scope
from models.base import Json
from models.failpoints import Point
from models.job import Job
from models.job_states import JobKind, JobStatus
from tests.chaos.stack import probes
from web import (
    accepting,
    app,
    auth,
    idempotency_key,
    json_body,
    problem_types,
    problems,
    publishing,
    request_context,
)

blueprint = flask.Blueprint("probes", __name__, url_prefix="/v1/probes")


class _ProbeKind(StrEnum):
    PROBE = probes.KIND


def create_app() -> flask.Flask:
    made = app.create_app()
    made.register_blueprint(blueprint)
    return made


@blueprint.post("")
@auth.requires(Scope.REPORTS_WRITE)
def submit() -> flask.typing.ResponseReturnValue:
    raw = json_body.read()
    new = _new_job(_request(raw), auth.caller().organisation_id)
    key = idempotency_key.bind(idempotency_key.given(), raw)
    accepted = accepting.accept(lambda _db: new, key)
    if accepted.job.status == JobStatus.QUEUED:
        publishing.publish(accepted.job)
    failpoints.hit(Point.RESPOND)
    return _shown(accepted.job), 202


@blueprint.get("/<uuid:job_id>")
@auth.requires(Scope.REPORTS_READ)
def show(job_id: uuid.UUID) -> flask.typing.ResponseReturnValue:
    with session.transaction() as db:
        job = jobs.find(db, job_id, organisation_id=auth.caller().organisation_id)
    if job is None:
        raise problems.Problem(problem_types.NOT_FOUND, "There is no probe with this id.")
    return _shown(job)


def _request(raw: dict[str, Any]) -> probes.Probe:
    try:
        return probes.Probe.model_validate(raw)
    except pydantic.ValidationError as error:
        raise problems.invalid(error, raw, known=probes.Probe.model_fields) from error


def _new_job(probe: probes.Probe, organisation: uuid.UUID) -> transitions.NewJob:
    return transitions.NewJob(
        organisation_id=organisation,
        # The product's enumeration has no probes and shall have none.
        kind=cast("JobKind", _ProbeKind.PROBE),
        type=probe.type.value,
        params=probe.model_dump(mode="json"),
        queue=probe.queue,
        priority=probe.priority,
        request_id=request_context.request_id(),
        traceparent=request_context.traceparent(),
    )


def _shown(job: Job) -> Json:
    return {
        "id": str(job.id),
        "type": job.type,
        "status": job.status,
        "attempt": job.attempt,
        "errors": job.errors,
        "crashes": job.crashes,
        "error": job.error,
        "links": {"self": f"/v1/probes/{job.id}"},
    }
