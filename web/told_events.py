"""What receivers of webhooks are told, for the OpenAPI document: one model per kind of message, and an example of each."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import Field

from models.job_states import JobKind, JobStatus
from models.outbox import EventType
from web import schemas
from web.schemas import Answer

Data = TypeVar("Data", bound=Answer)


class FailureTold(Answer):
    type: str = Field(description="Page that says what the problem is and what to do")
    title: str


class JobLinksTold(Answer):
    self: str
    result: str | None = Field(description="Where the result is; null where there is none")


class JobEnded(Answer):
    """A job has reached its final state. Fetch `links.self` for more: no figure of a customer is in a message."""

    id: uuid.UUID
    kind: JobKind
    type: str
    status: JobStatus
    label: str | None
    schedule_id: uuid.UUID | None
    created_at: datetime
    finished_at: datetime
    error: FailureTold | None
    links: JobLinksTold


class SchedulePaused(Answer):
    """A schedule has failed so often that it fires no more until somebody resumes it."""

    id: uuid.UUID
    name: str
    type: str
    consecutive_failures: int
    reason: str
    detail: str | None
    links: dict[str, str]


class AlertTold(Answer):
    """An alert of a schedule began to fire, or is over. How many rows, but not which: fetch `links.self` for those."""

    schedule_id: uuid.UUID
    schedule: str = Field(description="Its name")
    alert: str = Field(description="Its name")
    due_at: datetime = Field(description="The slot")
    job_id: uuid.UUID | None = Field(description="The report; null where it could not be asked for")
    changed: int = Field(
        description="How many rows began to fire in this run, or are over; 1 where it is about one figure"
    )
    firing: int = Field(description="How many rows fire now")
    links: dict[str, str]


class AlertBroken(Answer):
    """An alert cannot be evaluated any more. It is told once until it can be again."""

    schedule_id: uuid.UUID
    schedule: str = Field(description="Its name")
    alert: str = Field(description="Its name")
    due_at: datetime = Field(description="The slot")
    job_id: uuid.UUID | None
    problem: str = Field(description="What it is, for programs")
    detail: str = Field(description="The same, for people")
    links: dict[str, str]


class DeliveryFailed(Answer):
    """Something could not be delivered, and is not tried any more by itself."""

    id: uuid.UUID
    channel: str
    event_type: str
    webhook_id: uuid.UUID | None
    job_id: uuid.UUID | None
    schedule_id: uuid.UUID | None
    attempts: int
    error: str | None
    links: dict[str, str]


class WebhookDisabled(Answer):
    """A webhook gets no more messages."""

    id: uuid.UUID
    url: str
    reason: str
    links: dict[str, str]


class WebhookTest(Answer):
    """Somebody asked for a test message."""

    id: uuid.UUID
    message: str
    requested_by: str | None


class Message(Answer, Generic[Data]):
    """The body of a webhook (Standard Webhooks 1.0)."""

    type: EventType
    timestamp: datetime = Field(description="When it happened")
    data: Data


OTHERS: Mapping[EventType, type[Answer]] = {
    EventType.SCHEDULE_PAUSED: SchedulePaused,
    EventType.ALERT_FIRING: AlertTold,
    EventType.ALERT_RECOVERED: AlertTold,
    EventType.ALERT_BROKEN: AlertBroken,
    EventType.DELIVERY_FAILED: DeliveryFailed,
    EventType.WEBHOOK_DISABLED: WebhookDisabled,
    EventType.WEBHOOK_TEST: WebhookTest,
}
_ID = "0198c2f0-8c03-7f61-9d0e-2b7a64c1f5e8"
_OF_ALERT = {
    "schedule_id": _ID,
    "schedule": "Revenue, every morning",
    "alert": "A country collapses",
    "due_at": "2026-11-22T06:00:00Z",
    "job_id": schemas.JOB_ID,
    "links": {
        "self": f"/v1/schedules/{_ID}/alerts",
        "changes": f"/v1/schedules/{_ID}/alerts/changes",
        "report": f"/v1/reports/{schemas.JOB_ID}",
    },
}
_OTHER_EXAMPLES: Mapping[EventType, Mapping[str, Any]] = {
    EventType.SCHEDULE_PAUSED: {
        "id": _ID,
        "name": "Monthly RFM for the board",
        "type": "rfm",
        "consecutive_failures": 5,
        "reason": "failures",
        "detail": "5 reports failed one after another.",
        "links": {"self": f"/v1/schedules/{_ID}", "resume": f"/v1/schedules/{_ID}/resume"},
    },
    EventType.ALERT_FIRING: {**_OF_ALERT, "changed": 2, "firing": 3},
    EventType.ALERT_RECOVERED: {**_OF_ALERT, "changed": 3, "firing": 0},
    EventType.ALERT_BROKEN: {
        **_OF_ALERT,
        "problem": "unknown-column",
        "detail": "The result has no column 'by_country'; it has: month, net",
    },
    EventType.DELIVERY_FAILED: {
        "id": _ID,
        "channel": "webhook",
        "event_type": "report.succeeded",
        "webhook_id": "0198c2f0-8d44-7a12-8f3b-90c6e2d7a1b4",
        "job_id": schemas.JOB_ID,
        "schedule_id": None,
        "attempts": 10,
        "error": "The receiver answered 500.",
        "links": {"self": f"/v1/deliveries/{_ID}", "redeliver": f"/v1/deliveries/{_ID}/redeliver"},
    },
    EventType.WEBHOOK_DISABLED: {
        "id": _ID,
        "url": "https://example.com/hook",
        "reason": "The receiver answered 410.",
        "links": {"self": f"/v1/webhooks/{_ID}", "enable": f"/v1/webhooks/{_ID}/enable"},
    },
    EventType.WEBHOOK_TEST: {"id": _ID, "message": "This is a test.", "requested_by": "key rk_3kQ9xPz"},
}


def model(event: EventType) -> Any:
    return Message.__class_getitem__(OTHERS.get(event, JobEnded))


def example(event: EventType) -> dict[str, Any]:
    data = _OTHER_EXAMPLES[event] if event in OTHERS else _job(event)
    return {"type": event.value, "timestamp": "2026-11-22T10:00:03.500000Z", "data": dict(data)}


def _job(event: EventType) -> dict[str, Any]:
    kind, status = event.value.split(".")
    here = f"/v1/{'reports' if kind == 'report' else 'imports' if kind == 'import' else 'jobs'}/{schemas.JOB_ID}"
    failure = {"type": "/docs/problems/timed-out", "title": "The job ran longer than it may"}
    return {
        "id": schemas.JOB_ID,
        "kind": kind,
        "type": "rfm" if kind == "report" else "customers" if kind == "erasure" else "orders",
        "status": status,
        "label": "Board meeting" if kind == "report" else None,
        "schedule_id": None,
        "created_at": "2026-11-22T10:00:00.123456Z",
        "finished_at": "2026-11-22T10:00:03.500000Z",
        "error": failure if status == "failed" else None,
        "links": {"self": here, "result": f"{here}/result" if event is EventType.REPORT_SUCCEEDED else None},
    }
