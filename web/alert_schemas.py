"""Alerts of schedules: what is declared, how each stands, what has happened, and what one would say of a result."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from analytics.catalogue import alerts
from models.alert import AlertState, Change
from web.schemas import Answer, Request

EXAMPLE: dict[str, Any] = {"name": "Revenue falls", "of": {"summary": "totals.net"}, "when": {"falls_by": "20%"}}

Alerts = Annotated[
    list[alerts.Alert],
    Field(
        max_length=alerts.MOST_ALERTS,
        description="What somebody wants to be told of when a result of its slots shows it, and when it is over",
    ),
]
Value = Annotated[
    Any, Field(description="A number, an exact one as text; a text; a truth; or null where there is none")
]
Key = Annotated[
    dict[str, Any] | None,
    Field(
        description="The cells by which a row is known; null where it is about one figure of all rows, or about there being no "
        "report"
    ),
]


class AlertProblem(Answer):
    """Why an alert cannot be evaluated."""

    code: str = Field(description="For programs: `unknown-column`, `ambiguous-key`, `too-many-keys` …")
    detail: str


class LastingProblem(AlertProblem):
    """Why an alert cannot be evaluated, and since when."""

    since: datetime = Field(description="The first slot at which it could not be")


class FiringRow(Answer):
    """A row that fires, or the one figure that does."""

    key: Key
    value: Value = Field(description="At the last slot that was evaluated")
    previous: Value = Field(description="At the one before")
    since: datetime = Field(description="The slot at which it began to fire")


class AlertCounts(Answer):
    firing: int = Field(description="How many rows fire; 1 where it is about one figure")
    pending: int = Field(description="How many have crossed, but not in as many runs in a row as `after` wants")


class Evaluated(Answer):
    """The last slot at which an alert was evaluated."""

    due_at: datetime
    job_id: uuid.UUID | None = Field(description="Its report; null where it could not be asked for")
    at: datetime = Field(description="When that was done")


class AlertObject(Answer):
    """An alert, and how it stands."""

    name: str
    declaration: dict[str, Any] = Field(description="What it was made of, defaults filled in")
    figure: str = Field(description="What is watched, in words", examples=["net of each country"])
    condition: str = Field(description="When it fires, in words", examples=["below 1000"])
    recovery: str | None = Field(
        description="What it takes to recover, in words; null: that the condition does not hold any more"
    )
    state: AlertState | None = Field(
        description="Of several rows the gravest. null: it has not been evaluated yet, or asks something else since"
    )
    since: datetime | None = Field(
        description="The slot since which it fires, or since which the one figure is in this state; null where that is not known"
    )
    value: Value = Field(description="The one figure; null where it is about each row")
    previous: Value = Field(description="The figure at the slot before")
    counts: AlertCounts
    firing: list[FiringRow] = Field(
        description="The first 100 that fire, those that have done so for longest first; `counts` says how many there are"
    )
    remark: str | None = Field(
        description="Why there was nothing to compare at the last slot, though nothing is wrong with the alert: `report-failed`, "
        "`no-previous`, `no-value`"
    )
    problem: LastingProblem | None = Field(
        description="Why it cannot be evaluated; whatever fired goes on firing meanwhile"
    )
    evaluated: Evaluated | None


class AlertList(Answer):
    """All alerts of a schedule, in the order in which they are declared."""

    data: list[AlertObject]
    next: None = Field(description="There is one page")


class AlertChangeObject(Answer):
    """What happened to an alert, or to one row of it."""

    id: uuid.UUID
    name: str = Field(description="The alert's name at that time")
    change: Change = Field(
        description="`firing`, `recovered`; `broken`: it could not be evaluated any more; `mended`: it could be again"
    )
    key: Key
    value: Value
    previous: Value
    problem: AlertProblem | None
    due_at: datetime = Field(description="The slot")
    job_id: uuid.UUID | None
    at: datetime = Field(description="When it was noticed")


class ChangeListQuery(Request):
    limit: int = Field(default=25, ge=1, le=100, description="Longest page")
    cursor: str | None = Field(default=None, max_length=64, description="Where to go on; taken from the `next` link")
    name: str | None = Field(default=None, max_length=alerts.LONGEST_NAME, description="Only of the alert of this name")


class AlertPreviewRequest(Request):
    """Alerts to be tried; left out = the schedule's own. The body may be left out as well."""

    alerts: Alerts | None = None


class TriedRow(Answer):
    key: Key
    value: Value
    previous: Value


class TriedAlert(Answer):
    """What an alert would say of a result."""

    name: str
    figure: str = Field(description="What is watched, in words")
    condition: str = Field(description="When it fires, in words")
    holds: bool | None = Field(
        description="Whether the condition holds, so that the alert would fire; with `after`, if it did so in as many runs. null: "
        "it cannot be evaluated"
    )
    value: Value = Field(description="The one figure; null where it is about each row")
    previous: Value
    count: int = Field(description="For how many rows it holds; 0 where it is about one figure")
    rows: list[TriedRow] = Field(description="The first 100 of them")
    remark: str | None = Field(description="Why there was nothing to compare: `no-previous`, `no-value`")
    problem: AlertProblem | None = Field(description="Why it cannot be evaluated")


class TriedRun(Answer):
    """A result of the schedule that is still kept."""

    due_at: datetime = Field(description="Its slot, or the moment it was run for by hand")
    job_id: uuid.UUID


class AlertPreview(Answer):
    """What alerts would say of the newest result. Nothing was kept or told."""

    run: TriedRun
    before: TriedRun | None = Field(description="What it is compared with; null: no earlier result is kept")
    alerts: list[TriedAlert]
