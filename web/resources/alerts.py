"""Alerts of schedules: how they stand, what has happened to them, and what they would say of the newest result."""

import flask

from models import alert_runs, session
from models import alerts as standing_alerts
from models.api_key import Scope
from web import (
    alert_preview,
    alert_views,
    auth,
    cursor,
    job_object,
    json_body,
    paging,
    query,
    receivers,
    schedule_views,
    schemas,
)
from web import alert_schemas as shapes

blueprint = flask.Blueprint("alerts", __name__, url_prefix="/v1/schedules/<schedule_id>/alerts")


@blueprint.get("")
@auth.requires(Scope.SCHEDULES)
def listing(schedule_id: str) -> flask.Response:
    query.read(schemas.NoParameters)
    _may_see_rows()
    with session.transaction() as db:
        found = alert_views.shown(db, schedule_views.find(db, schedule_id))
    return job_object.as_json(found)


@blueprint.get("/changes")
@auth.requires(Scope.SCHEDULES)
def changes(schedule_id: str) -> flask.Response:
    parameters = query.read(shapes.ChangeListQuery)
    _may_see_rows()
    before = cursor.decode(parameters.cursor) if parameters.cursor is not None else None
    with session.transaction() as db:
        schedule = schedule_views.find(db, schedule_id, even_deleted=True)
        limit = paging.to_fetch(parameters)
        rows = standing_alerts.changes(db, schedule.id, limit=limit, name=parameters.name, before=before)
        path = f"/v1/schedules/{schedule.id}/alerts/changes"
        page, following = paging.cut(rows, parameters, path=path, end=lambda row: cursor.encode(row.id))
        data = alert_views.changes(page)
    return job_object.as_json(schemas.Page(data=data, next=following))


@blueprint.post("/preview")
@auth.requires(Scope.SCHEDULES)
def preview(schedule_id: str) -> flask.Response:
    """Say what alerts would say of the newest result that is kept, by hand or of a slot; nothing is kept or told."""
    query.read(schemas.NoParameters)
    _may_see_rows()
    with session.transaction() as db:
        schedule = schedule_views.find(db, schedule_id)
        runs = alert_runs.newest(db, schedule.id, limit=2)
    wanted = json_body.validated(shapes.AlertPreviewRequest, json_body.read_if_any()).alerts
    declared = schedule.alerts
    if wanted is not None:
        question = receivers.Question(schedule.type, schedule.params, schedule.timezone)
        declared = alert_views.check(wanted, question)
    if not runs:
        raise alert_preview.no_run(schedule)
    return job_object.as_json(alert_preview.of_runs(declared, runs, zone=schedule.timezone))


def _may_see_rows() -> None:
    """Values and keys are cells of results, which not everybody who makes schedules may read."""
    auth.demand(Scope.REPORTS_READ)
