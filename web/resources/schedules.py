"""Schedules: made, listed, changed, paused, resumed, removed; their slots seen in advance, run by hand, and looked back at."""

import dataclasses
import uuid
from datetime import UTC, datetime, timedelta

import flask
from sqlalchemy.orm import Session

from models import schedules, session, shares
from models.api_key import Scope
from models.job_states import JobKind
from models.new_job import NewJob
from models.schedule import Schedule
from web import (
    accepting,
    auth,
    cursor,
    delivery_preview,
    delivery_preview_schemas,
    idempotency_key,
    job_object,
    job_views,
    json_body,
    once,
    paging,
    problem_types,
    problems,
    query,
    request_context,
    schedule_views,
    schemas,
)
from web import schedule_schemas as shapes
from workers.deliveries import withdrawing
from workers.schedules import pausing, planning

blueprint = flask.Blueprint("schedules", __name__, url_prefix="/v1/schedules")

PATH = "/v1/schedules"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MOMENT = (datetime(9999, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


@blueprint.post("")
@auth.requires(Scope.SCHEDULES)
def create() -> flask.Response:
    options = query.read(shapes.CreateQuery)
    raw = json_body.read()
    request = json_body.validated(shapes.ScheduleRequest, raw)
    _demand_naming(raw.get("deliveries"))
    key = idempotency_key.bind(idempotency_key.given(), {"body": raw})
    if options.dry_run:
        return _preview_of(request, count=shapes.PreviewQuery().n)
    made = once.effect(key, lambda db: _made(db, request), _known)
    response = _answer(made.made, status=201)
    response.headers["Location"] = f"{PATH}/{made.made.id}"
    response.headers.update(made.headers)
    return response


@blueprint.post("/preview")
@auth.requires(Scope.SCHEDULES)
def preview_unsaved() -> flask.Response:
    wanted = query.read(shapes.PreviewQuery)
    request = json_body.validated(shapes.ScheduleRequest, json_body.read())
    return _preview_of(request, count=wanted.n)


@blueprint.get("")
@auth.requires(Scope.SCHEDULES)
def listing() -> flask.Response:
    parameters = query.read(shapes.ScheduleListQuery)
    wanted = schedules.Wanted(
        organisation_id=auth.caller().organisation_id,
        name=parameters.name,
        type=parameters.type,
        paused=parameters.paused,
        before=cursor.decode(parameters.cursor) if parameters.cursor is not None else None,
    )
    with session.transaction() as db:
        rows = schedules.page(db, wanted, limit=paging.to_fetch(parameters))
        page, following = paging.cut(rows, parameters, path=PATH, end=lambda row: cursor.encode(row.id))
        data = schedule_views.shown(db, page)
    return job_object.as_json(schemas.Page(data=data, next=following))


@blueprint.get("/<id:schedule_id>")
@auth.requires(Scope.SCHEDULES)
def show(schedule_id: str) -> flask.Response:
    query.read(schemas.NoParameters)
    with session.transaction() as db:
        shown = schedule_views.shown(db, [schedule_views.find(db, schedule_id)])[0]
    return _answer(shown)


@blueprint.patch("/<id:schedule_id>")
@auth.requires(Scope.SCHEDULES)
def change(schedule_id: str) -> flask.Response:
    query.read(schemas.NoParameters)
    patch = json_body.read(also="application/merge-patch+json")
    with session.transaction() as db:
        schedule = schedule_views.find(db, schedule_id, lock=True)
        _demand_match(schedule)
        document = schedule_views.document(schedule)
        wanted = schedule_views.merged(document, patch)
        request = json_body.validated(shapes.ScheduleRequest, wanted)
        if wanted.get("deliveries") != document.get("deliveries"):
            _demand_naming(wanted.get("deliveries"))
        schedule_views.apply(db, schedule, request, now=schedules.now(db))
        db.flush()
        withdrawing.withdraw(db, schedule.id)
        shown = schedule_views.shown(db, [schedule])[0]
    return _answer(shown)


@blueprint.delete("/<id:schedule_id>")
@auth.requires(Scope.SCHEDULES)
def delete(schedule_id: str) -> flask.Response:
    query.read(schemas.NoParameters)
    with session.transaction() as db:
        schedule = schedule_views.find(db, schedule_id, lock=True)
        _demand_match(schedule)
        schedules.drop_waiting(db, schedule, reason="deleted", detail="The schedule was deleted.")
        schedule.deleted_at = schedules.now(db)
        db.flush()
        withdrawing.withdraw(db, schedule.id)
    return job_object.as_json(shapes.DeletedSchedule(id=schedule.id))


@blueprint.post("/<schedule_id>/pause")
@auth.requires(Scope.SCHEDULES)
def pause(schedule_id: str) -> flask.Response:
    query.read(schemas.NoParameters)
    request = json_body.validated(shapes.PauseRequest, json_body.read_if_any())
    with session.transaction() as db:
        schedule = schedule_views.find(db, schedule_id, lock=True)
        if schedule.paused_at is None:
            pausing.pause(schedule, at=schedules.now(db), by=auth.caller().name, why=request.reason)
            db.flush()
        shown = schedule_views.shown(db, [schedule])[0]
    return _answer(shown)


@blueprint.post("/<schedule_id>/resume")
@auth.requires(Scope.SCHEDULES)
def resume(schedule_id: str) -> flask.Response:
    query.read(schemas.NoParameters)
    with session.transaction() as db:
        schedule = schedule_views.find(db, schedule_id, lock=True)
        if schedule.paused_at is not None:
            pausing.resume(schedule)
            db.flush()
        shown = schedule_views.shown(db, [schedule])[0]
    return _answer(shown)


@blueprint.get("/<schedule_id>/preview")
@auth.requires(Scope.SCHEDULES)
def preview(schedule_id: str) -> flask.Response:
    wanted = query.read(shapes.PreviewQuery)
    with session.transaction() as db:
        schedule = schedule_views.find(db, schedule_id)
        after = schedules.now(db)
        if schedule.next_due_at is not None and schedule.paused_at is None:
            after = schedule.next_due_at - schedule_views.JUST_BEFORE
        found = schedule_views.preview(db, schedule, None, after=after, count=wanted.n)
    return job_object.as_json(found)


@blueprint.post("/<schedule_id>/run")
@auth.requires(Scope.SCHEDULES)
def run(schedule_id: str) -> flask.Response:
    options = query.read(schemas.WaitQuery)
    raw = json_body.read_if_any()
    request = json_body.validated(shapes.RunRequest, raw)
    key = idempotency_key.bind(idempotency_key.given(), {"body": raw})
    return accepting.answer(accepting.accept(lambda db: _new_job(db, schedule_id, request), key), options.wait)


@blueprint.get("/<schedule_id>/occurrences")
@auth.requires(Scope.SCHEDULES)
def occurrences(schedule_id: str) -> flask.Response:
    parameters = query.read(shapes.OccurrenceListQuery)
    before = None
    if parameters.cursor is not None:
        before = EPOCH + timedelta(microseconds=min(cursor.decode_number(parameters.cursor), LAST_MOMENT))
    with session.transaction() as db:
        schedule = schedule_views.find(db, schedule_id, even_deleted=True)
        limit = paging.to_fetch(parameters)
        rows = schedules.occurrences(db, schedule.id, limit=limit, status=parameters.status, before=before)
        path = f"{PATH}/{schedule.id}/occurrences"
        page, following = paging.cut(rows, parameters, path=path, end=lambda one: _cursor_of(one.occurrence.due_at))
        data = schedule_views.occurrences(db, page)
    return job_object.as_json(schemas.Page(data=data, next=following))


@blueprint.post("/<schedule_id>/preview-deliveries")
@auth.requires(Scope.SCHEDULES)
def preview_deliveries(schedule_id: str) -> flask.Response:
    """Say who would get what of the newest slot whose result is kept; nothing is sent."""
    query.read(schemas.NoParameters)
    # Counts by any filter tell what is in the rows.
    auth.demand(Scope.REPORTS_READ)
    with session.transaction() as db:
        schedule = schedule_views.find(db, schedule_id)
        slot = shares.newest_slot(db, schedule.id)
    wanted = json_body.validated(delivery_preview_schemas.ScheduleDeliveriesRequest, json_body.read_if_any())
    if slot is None:
        raise delivery_preview.no_slot(schedule.id)
    job = job_views.find(str(slot.job_id), JobKind.REPORT)
    if wanted.deliveries is not None:
        return job_object.as_json(delivery_preview.of_request(job, wanted.deliveries, slot=slot))
    return job_object.as_json(delivery_preview.of_kept(job, schedule.deliveries, slot=slot))


def _made(db: Session, request: shapes.ScheduleRequest) -> tuple[uuid.UUID, shapes.ScheduleObject]:
    schedule_views.refuse_more_than_allowed(db)
    schedule = schedule_views.build(db, request)
    schedule_views.check_times(schedule, now=schedules.now(db))
    if schedule.next_due_at is not None:
        planning.plan(db, schedule, schedule.next_due_at)
    db.add(schedule)
    db.flush()
    db.refresh(schedule)
    return schedule.id, schedule_views.shown(db, [schedule])[0]


def _known(db: Session, schedule_id: uuid.UUID) -> shapes.ScheduleObject:
    return schedule_views.shown(db, [schedule_views.find(db, str(schedule_id))])[0]


def _preview_of(request: shapes.ScheduleRequest, *, count: int) -> flask.Response:
    """Answer with what a schedule would do, had it been made; nothing is."""
    with session.transaction() as db:
        schedule, now = schedule_views.build(db, request), schedules.now(db)
        schedule_views.check_times(schedule, now=now)
        plan = planning.plan(db, schedule, schedule.next_due_at or now)
        return job_object.as_json(schedule_views.preview(db, schedule, plan, after=now, count=count))


def _new_job(db: Session, schedule_id: str, request: shapes.RunRequest) -> NewJob:
    schedule, now = schedule_views.find(db, schedule_id), schedules.now(db)
    due_at = schedule_views.slot_to_run(schedule, request.due_at, now=now)
    job = planning.new_job(
        schedule,
        planning.plan(db, schedule, due_at),
        due_at=due_at,
        request_id=request_context.request_id(),
        traceparent=request_context.traceparent(),
    )
    return job if request.deliver else dataclasses.replace(job, deliveries=None)


def _etag(revision: int) -> str:
    return f"r{revision}"


def _demand_naming(deliveries: object) -> None:
    """Let a report go only to receivers that are named by whoever may read it, and may decide who is told."""
    if deliveries:
        auth.demand(Scope.REPORTS_READ)
        auth.demand(Scope.WEBHOOKS)


def _demand_match(schedule: Schedule) -> None:
    """Refuse to change what is not any more what the caller has seen, if the caller says what that was."""
    if "If-Match" not in flask.request.headers or _etag(schedule.revision) in flask.request.if_match:
        return
    detail = f"The schedule is at revision {schedule.revision}; it was changed after what `If-Match` names."
    raise problems.Problem(problem_types.PRECONDITION_FAILED, detail, facts={"revision": schedule.revision})


def _answer(shown: shapes.ScheduleObject, *, status: int = 200) -> flask.Response:
    response = job_object.as_json(shown, status=status)
    response.set_etag(_etag(shown.revision))
    return response


def _cursor_of(due_at: datetime) -> str:
    return cursor.encode_number((due_at - EPOCH) // timedelta(microseconds=1))
