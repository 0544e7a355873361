"""Schedules over HTTP: what is sent to make and change them, and how they and their occurrences are shown."""

import uuid
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from analytics.catalogue.parameters import TimeZone
from models import new_job
from models.job_states import JobStatus
from models.schedule import CatchUp, OccurrenceStatus, Overlap, PauseReason
from web import alert_schemas, delivery_schemas, moments, schemas
from workers.schedules import recurrence

SCHEDULE_ID = "0198c2f0-9b11-7d02-8a6e-51c0b7d2e9f4"

MOST_SLOTS = 100
SHOWN_AHEAD = 5
# Calendars are computed with, and theirs end: a date this side of it leaves room for the slots that follow.
LAST_YEAR = 2200

EXAMPLE: dict[str, Any] = {
    "name": "Monthly RFM for the board",
    "type": "rfm",
    "params": {"range": {"last": "1 month", "complete": True}},
    "cron": "0 6 1 * *",
    "timezone": "Europe/London",
}


def _cron(text: str) -> str:
    try:
        return recurrence.parse(text)
    except recurrence.CronError as error:
        raise PydanticCustomError(error.code, "{detail}", {"detail": error.detail}) from error


def _near(moment: datetime) -> datetime:
    if not 1970 <= moment.year <= LAST_YEAR:
        raise PydanticCustomError("out_of_range", "Give a time between 1970 and {year}", {"year": LAST_YEAR})
    return moment.astimezone(UTC)


Cron = Annotated[str, Field(min_length=1, max_length=recurrence.LONGEST), AfterValidator(_cron)]
Moment = Annotated[moments.Moment, AfterValidator(_near)]
Count = Annotated[int, Field(strict=True)]


class ScheduleRequest(schemas.Request):
    """A report that is to be asked for again and again."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    name: str = Field(min_length=1, max_length=200, description="What people call it")
    type: str = Field(max_length=64, description="Name of the report type; see /v1/report-types")
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="Parameters of the type. Dates may be relative to the slot: `today`, `start_of_quarter - 1 year`; `range` "
        'gives start and end at once: `{"last": "1 month", "complete": true}`',
    )
    cron: Cron = Field(
        description="Five fields: minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly, "
        "@quarterly, @yearly"
    )
    timezone: TimeZone | None = Field(
        default=None, description="IANA time zone of the fields and of relative dates; left out = the organisation's"
    )
    starts_at: Moment | None = Field(default=None, description="Nothing is due before")
    ends_at: Moment | None = Field(default=None, description="Nothing is due after")
    catch_up: CatchUp = Field(
        default=CatchUp.LAST,
        description="Which slots that were missed, in an outage or while paused, are made up for: none, the last one, or all, "
        "at most `catch_up_max`",
    )
    catch_up_max: Count = Field(default=12, ge=1, le=MOST_SLOTS, description="Most slots that `all` makes up for")
    overlap: Overlap = Field(
        default=Overlap.QUEUE,
        description="What becomes of a slot that comes while an earlier one's job is unfinished: it is skipped, or waits",
    )
    jitter_seconds: Count = Field(
        default=0,
        ge=0,
        le=3600,
        description="A slot fires later by up to this, always the same for the same slot; its dates are not moved by it",
    )
    max_failures: Count = Field(
        default=5, ge=0, le=1000, description="After so many failures in a row it is paused, and you are told. 0: never"
    )
    max_age: Count | None = Field(
        default=None,
        ge=0,
        le=schemas.LARGEST_MAX_AGE,
        description="How many seconds ago a stored result of the same question about the same data may have been made to be used "
        "instead of a new one. Left out: any time. 0: always make a new one",
    )
    label: str | None = Field(default=None, max_length=200, description="Label of its jobs; left out = its name")
    priority: Count = Field(
        default=new_job.DEFAULT_PRIORITY, ge=0, le=schemas.LARGEST_PRIORITY, description=schemas.PRIORITY
    )
    deliveries: delivery_schemas.Receivers = Field(default_factory=list)
    alerts: alert_schemas.Alerts = Field(default_factory=list)


class SchedulePatch(ScheduleRequest):
    """What is to change of a schedule: a JSON merge patch (RFC 7396) of what it was made of. null goes back to the default."""

    model_config = ConfigDict(
        json_schema_extra=lambda schema: schema.update(required=[], examples=[{"cron": "0 7 * * MON", "label": None}])
    )


class PauseRequest(schemas.Request):
    """Why nothing is to fire. The body may be left out."""

    reason: str | None = Field(default=None, max_length=500, description="Shown with the schedule while it is paused")


class RunRequest(schemas.Request):
    """Which run is wanted. The body may be left out: then it is one for this moment."""

    due_at: Moment | None = Field(
        default=None,
        description="A slot of the schedule, not in the future, that is to be run, or run again; its dates are resolved for it. "
        "Left out: this moment",
    )
    deliver: bool = Field(default=True, description="Whether the result goes to those whom the schedule delivers to")


class ScheduleListQuery(schemas.Request):
    limit: int = Field(default=25, ge=1, le=100, description="Longest page")
    cursor: str | None = Field(default=None, max_length=64, description="Where to go on; taken from the `next` link")
    name: str | None = Field(default=None, max_length=200, description="Only schedules of this name")
    type: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]{0,63}$", description="Only of this report type")
    paused: bool | None = Field(default=None, description="Only paused ones, or only those that are not")


class OccurrenceListQuery(schemas.Request):
    limit: int = Field(default=25, ge=1, le=100, description="Longest page")
    cursor: str | None = Field(default=None, max_length=64, description="Where to go on; taken from the `next` link")
    status: OccurrenceStatus | None = Field(default=None, description="Only occurrences in this state")


class CreateQuery(schemas.Request):
    dry_run: bool = Field(default=False, description="Only say what would be made, and when it would fire")


class PreviewQuery(schemas.Request):
    n: int = Field(default=10, ge=1, le=MOST_SLOTS, description="How many slots")


class DeletedSchedule(schemas.Answer):
    id: uuid.UUID
    deleted: Literal[True] = True


class OccurrenceObject(schemas.Answer):
    """What became of one slot."""

    due_at: datetime = Field(description="The slot, without jitter")
    status: OccurrenceStatus = Field(
        description="fired: it has a job; waiting: for the job of an earlier slot to end; skipped, failed: `reason` says why"
    )
    reason: str | None = Field(
        description="missed: nothing fired it in time; overlap: an earlier job had not ended; queue-full; or the kind of problem "
        "that kept the report from being planned"
    )
    detail: str | None
    decided_at: datetime
    job_id: uuid.UUID | None = Field(
        description="Its job; null where it has none, or where that is no longer remembered"
    )
    job_status: JobStatus | None
    runs: list[uuid.UUID] = Field(description="Jobs that somebody asked for to run this slot, newest first")


class Pause(schemas.Answer):
    """That nothing fires, since when and why."""

    at: datetime
    by: str | None = Field(
        description="The caller's key, by the part that is no secret; null where it paused by itself"
    )
    reason: PauseReason = Field(description="asked: somebody wanted it; failures: it failed too often in a row")
    detail: str | None


class ScheduleStatus(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"
    """No slot is left."""


class ScheduleLinks(schemas.Answer):
    """Where to go from a schedule."""

    self: str
    preview: str = Field(description="The slots to come, with their parameters")
    occurrences: str = Field(description="What became of the slots so far")
    reports: str = Field(description="Its jobs")
    alerts: str = Field(description="How its alerts stand")
    run: str = Field(description="POST here to run it now, or one of its slots")
    pause: str = Field(description="POST here to stop it from firing")
    resume: str = Field(description="POST here to let it go on")


class ScheduleObject(schemas.Answer):
    """A schedule, and how it stands."""

    id: uuid.UUID = Field(examples=[SCHEDULE_ID])
    name: str
    status: ScheduleStatus
    type: str
    params: dict[str, Any] = Field(description="As they were given, relative dates and all")
    cron: str
    timezone: str
    starts_at: datetime | None
    ends_at: datetime | None
    catch_up: CatchUp
    catch_up_max: int
    overlap: Overlap
    jitter_seconds: int
    max_failures: int
    max_age: int | None
    label: str | None
    priority: int
    deliveries: list[dict[str, Any]]
    alerts: list[dict[str, Any]] = Field(description="As they were declared; `links.alerts` says how they stand")
    consecutive_failures: int = Field(description="Failures since it last succeeded")
    pause: Pause | None
    next_occurrences: list[datetime] = Field(description=f"The next {SHOWN_AHEAD} slots; none while it is paused")
    last_occurrence: OccurrenceObject | None = Field(description="What became of the latest slot that was decided")
    created_by: str | None = Field(description="The key it was made with, by the part that is no secret")
    created_at: datetime
    updated_at: datetime
    revision: int = Field(
        description="Counts the changes of what it was made of; the ETag, which `If-Match` takes, says the same"
    )
    links: ScheduleLinks


class Slot(schemas.Answer):
    """A slot to come, and what would be asked for."""

    due_at: datetime
    local: str = Field(
        description="The same by the clock of the schedule's zone, with its offset",
        examples=["2026-12-01T06:00:00+00:00"],
    )
    fires_at: datetime = Field(description="When it fires: the same, or later by the jitter")
    params: dict[str, Any] | None = Field(
        description="Canonical parameters of the report, relative dates resolved, defaults filled in"
    )
    problem: str | None = Field(
        description="Why the report could not be asked for at this slot; then there are no parameters"
    )


class SchedulePreview(schemas.Answer):
    """The slots to come."""

    type: str
    cron: str
    timezone: str
    slots: list[Slot]
    datasets: dict[str, schemas.DryRunDataset] = Field(description="What the report would read, if it ran now")
    rows: int = Field(description="Rows of all those datasets together")
    problem: str | None = Field(description="Why the report could not be planned now; then the datasets are not known")
