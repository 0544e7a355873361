"""Schedules made, changed and shown: what is sent becomes a row that can fire, and a row becomes what is answered."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from pydantic_core import to_jsonable_python
from sqlalchemy.orm import Session

from models import alerts, schedules, settings
from models.base import new_id
from models.schedule import OccurrenceStatus, PauseReason, Schedule, ScheduleOccurrence
from models.schedules import Occurred
from web import alert_views, auth, problem_types, problems, receivers, schemas
from web import schedule_schemas as shapes
from workers.refusals import RefusedError
from workers.report_planning import Plan
from workers.schedules import planning, recurrence

JUST_BEFORE = timedelta(microseconds=1)
# What says when it is due, and what the report is: each is checked when it changes.
WHEN = frozenset({"cron", "timezone", "starts_at", "ends_at"})
WHAT = frozenset({"type", "params"})
# What `_fill` leaves to those who check it, or knows a default for.
_APART = frozenset({"alerts", "deliveries", "timezone"})


def find(db: Session, schedule_id: str, *, lock: bool = False, even_deleted: bool = False) -> Schedule:
    """Return a schedule of the caller's organisation.

    Raises:
        problems.Problem: there is none, it is another organisation's, or it was deleted.
    """
    try:
        identity = uuid.UUID(schedule_id)
    except ValueError as error:
        raise _not_found() from error
    found = schedules.find(db, identity, organisation_id=auth.caller().organisation_id, lock=lock)
    if found is None:
        raise _not_found()
    if found.deleted_at is not None and not even_deleted:
        detail = f"The schedule was deleted at {found.deleted_at:%Y-%m-%dT%H:%M:%SZ}."
        raise problems.Problem(problem_types.SCHEDULE_DELETED, detail)
    return found


def _not_found() -> problems.Problem:
    return problems.Problem(problem_types.NOT_FOUND, "There is no schedule with this id.")


def build(db: Session, request: shapes.ScheduleRequest) -> Schedule:
    """Make the row of a schedule of the caller's, without a slot yet.

    Raises:
        problems.Problem: something cannot be delivered or watched as it says.
    """
    caller = auth.caller()
    schedule = Schedule(
        id=new_id(), organisation_id=caller.organisation_id, created_by=caller.name, consecutive_failures=0
    )
    _fill(schedule, request)
    schedule.deliveries = receivers.check(db, caller.organisation_id, request.deliveries, _question(schedule))
    schedule.alerts = alert_views.check(request.alerts, _question(schedule), request.deliveries)
    return schedule


def _question(schedule: Schedule) -> receivers.Question:
    return receivers.Question(schedule.type, schedule.params, schedule.timezone)


def document(schedule: Schedule) -> dict[str, Any]:
    """Return what a schedule was made of, as a request would say it; a patch is merged into this."""
    given = {name: getattr(schedule, name) for name in shapes.ScheduleRequest.model_fields}
    found = to_jsonable_python(given)
    return {name: value for name, value in found.items() if value is not None}


def _fill(schedule: Schedule, request: shapes.ScheduleRequest) -> None:
    for name in shapes.ScheduleRequest.model_fields:
        if name not in _APART:
            setattr(schedule, name, getattr(request, name))
    schedule.timezone = request.timezone or auth.caller().timezone


def merged(target: Any, patch: Any) -> Any:
    """Merge a patch into a document (RFC 7396): null removes, objects are merged, anything else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def check_times(schedule: Schedule, *, now: datetime) -> None:
    """Refuse what would never fire, or too often; the schedule goes on from its first slot after now.

    Raises:
        problems.Problem: it says what is wrong.
    """
    if schedule.starts_at is not None and schedule.ends_at is not None and schedule.ends_at <= schedule.starts_at:
        raise _refused("ends_at", "not-after-start", "Must be later than starts_at.")
    interval = recurrence.shortest_interval(schedule.cron)
    least = settings.load().min_schedule_seconds
    if interval < timedelta(seconds=least):
        detail = f"Two slots are only {interval.total_seconds():.0f} seconds apart; here it is at least {least}."
        raise _refused("cron", "too-often", detail)
    if interval <= timedelta(seconds=schedule.jitter_seconds):
        detail = f"Must be shorter than the {interval.total_seconds():.0f} seconds between two slots."
        raise _refused("jitter_seconds", "jitter-too-long", detail)
    planning.go_on(schedule, after=now)
    if schedule.next_due_at is None:
        raise _refused("ends_at", "never-fires", "No slot lies between now and the end.")


def apply(db: Session, schedule: Schedule, request: shapes.ScheduleRequest, *, now: datetime) -> None:
    """Change a locked schedule into what a request says; what did not change is not checked again.

    Raises:
        problems.Problem: it would never fire, or too often, or something cannot be delivered or watched as it says.
        workers.refusals.RefusedError: its report could not be planned.
    """
    before, due = document(schedule), schedule.next_due_at
    _fill(schedule, request)
    wanted = to_jsonable_python(request.deliveries)
    watched = [alert.as_json() for alert in request.alerts]
    # Another question has other columns, which the filters of receivers and alerts name.
    asks_else = any(getattr(schedule, name) != before.get(name) for name in WHAT)
    if asks_else or wanted != before["deliveries"]:
        schedule.deliveries = receivers.check(db, schedule.organisation_id, request.deliveries, _question(schedule))
    if asks_else or watched != before["alerts"] or wanted != before["deliveries"]:
        schedule.alerts = alert_views.check(request.alerts, _question(schedule), request.deliveries)
        alerts.forget_changed(db, schedule)
    after = document(schedule)
    changed = {name for name in before.keys() | after.keys() if after.get(name) != before.get(name)}
    if not changed:
        return
    if changed & (WHEN | {"jitter_seconds"}):
        check_times(schedule, now=now)
        if not changed & WHEN and due is not None:
            # The slot is the same, only the moment at which it fires moves.
            planning.go_on(schedule, after=due - JUST_BEFORE)
    if changed & (WHAT | {"timezone"}) and schedule.next_due_at is not None:
        planning.plan(db, schedule, schedule.next_due_at)
    schedule.revision += 1
    schedule.updated_at = now


def refuse_more_than_allowed(db: Session) -> None:
    """Refuse to make a schedule more than an organisation may have.

    Raises:
        problems.Problem: it has them.
    """
    most = settings.load().max_schedules
    if schedules.count(db, auth.caller().organisation_id) >= most:
        detail = f"There may be {most} schedules, and there are. Delete one that is not needed."
        raise problems.Problem(problem_types.TOO_MANY_SCHEDULES, detail, facts={"max_schedules": most})


def slot_to_run(schedule: Schedule, wanted: datetime | None, *, now: datetime) -> datetime:
    """Return the moment a run that is asked for is about: a slot, or now.

    Raises:
        problems.Problem: the moment wanted is no slot, or lies in the future.
    """
    if wanted is None:
        return now
    if wanted > now:
        raise _refused("due_at", "in-the-future", "A slot that is not due yet fires by itself.")
    if not planning.recurrence_of(schedule).is_slot(wanted):
        raise _refused("due_at", "not-a-slot", f"{schedule.cron!r} in {schedule.timezone} is not due at this moment.")
    return wanted


def preview(
    db: Session, schedule: Schedule, plan: Plan | None, *, after: datetime, count: int
) -> shapes.SchedulePreview:
    """Return the next slots of a schedule, and what its report would read."""
    problem = None
    coming = list(islice(planning.recurrence_of(schedule).after(after), count))
    if plan is None:
        try:
            plan = planning.plan(db, schedule, coming[0] if coming else after)
        except RefusedError as refusal:
            problem = refusal.detail
    versions = plan.versions if plan is not None else {}
    return shapes.SchedulePreview(
        type=schedule.type,
        cron=schedule.cron,
        timezone=schedule.timezone,
        slots=[_slot(db, schedule, slot) for slot in coming],
        datasets={
            name: schemas.DryRunDataset(version=size.version, rows=size.row_count) for name, size in versions.items()
        },
        rows=plan.rows if plan is not None else 0,
        problem=problem,
    )


def _slot(db: Session, schedule: Schedule, due_at: datetime) -> shapes.Slot:
    params, problem = None, None
    try:
        params = planning.canonical_params(db, schedule, due_at)
    except RefusedError as refusal:
        problem = refusal.detail
    local = due_at.astimezone(ZoneInfo(schedule.timezone)).isoformat()
    fires_at = planning.fire_at(schedule, due_at)
    return shapes.Slot(due_at=due_at, local=local, fires_at=fires_at, params=params, problem=problem)


def shown(db: Session, rows: Sequence[Schedule]) -> list[shapes.ScheduleObject]:
    """Return schedules as they are answered."""
    last = schedules.last_occurrences(db, [row.id for row in rows])
    found = dict(zip(last, occurrences(db, list(last.values())), strict=True))
    return [_object(row, found.get(row.id)) for row in rows]


def occurrences(db: Session, rows: Sequence[Occurred]) -> list[shapes.OccurrenceObject]:
    """Return occurrences as they are answered."""
    jobs = schedules.runs(db, [_key(row.occurrence) for row in rows])
    return [
        shapes.OccurrenceObject(
            due_at=row.occurrence.due_at,
            status=OccurrenceStatus(row.occurrence.status),
            reason=row.occurrence.reason,
            detail=row.occurrence.detail,
            decided_at=row.occurrence.decided_at,
            job_id=row.occurrence.job_id,
            job_status=row.job_status,
            runs=[job for job in jobs.get(_key(row.occurrence), ()) if job != row.occurrence.job_id],
        )
        for row in rows
    ]


def _key(occurrence: ScheduleOccurrence) -> tuple[uuid.UUID, datetime]:
    return occurrence.schedule_id, occurrence.due_at


def _object(row: Schedule, last: shapes.OccurrenceObject | None) -> shapes.ScheduleObject:
    here = f"/v1/schedules/{row.id}"
    given = {name: getattr(row, name) for name in shapes.ScheduleRequest.model_fields}
    return shapes.ScheduleObject(
        **given,
        id=row.id,
        status=_status(row),
        consecutive_failures=row.consecutive_failures,
        pause=_pause(row),
        next_occurrences=_next(row),
        last_occurrence=last,
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
        revision=row.revision,
        links=shapes.ScheduleLinks(
            self=here,
            preview=f"{here}/preview",
            occurrences=f"{here}/occurrences",
            reports=f"/v1/reports?schedule_id={row.id}",
            alerts=f"{here}/alerts",
            run=f"{here}/run",
            pause=f"{here}/pause",
            resume=f"{here}/resume",
        ),
    )


def _status(row: Schedule) -> shapes.ScheduleStatus:
    if row.paused_at is not None:
        return shapes.ScheduleStatus.PAUSED
    return shapes.ScheduleStatus.ACTIVE if row.next_due_at is not None else shapes.ScheduleStatus.ENDED


def _pause(row: Schedule) -> shapes.Pause | None:
    if row.paused_at is None or row.pause_reason is None:
        return None
    return shapes.Pause(
        at=row.paused_at, by=row.paused_by, reason=PauseReason(row.pause_reason), detail=row.pause_detail
    )


def _next(row: Schedule) -> list[datetime]:
    if row.paused_at is not None or row.next_due_at is None:
        return []
    return list(islice(planning.recurrence_of(row).after(row.next_due_at - JUST_BEFORE), shapes.SHOWN_AHEAD))


def _refused(field: str, code: str, detail: str) -> problems.Problem:
    return problems.refused(problems.FieldError(f"#/{field}", code, detail))
