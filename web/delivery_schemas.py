"""Webhooks, deliveries, and who gets the result of a report: what goes in and what comes out."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator, model_validator
from pydantic_core import PydanticCustomError

from analytics.catalogue import filters
from analytics.catalogue.filters import Filter
from models.delivery import Channel, DeliveryStatus, Outcome
from models.outbox import EventType
from web import moments, schemas
from web.schemas import Answer, Request

MOST_RECEIVERS = 20
MOST_ADDRESSES = 50
MOST_SHARES = 500
MOST_FORMATS = 5
LONGEST_URL = 2048
LONGEST_OVERLAP = 7 * 86_400

# As browsers judge what is typed into a field for an address; it can hold nothing that ends a header.
# Without the question mark that mail systems allow and nobody has: it would begin an encoded word.
ADDRESS = (
    r"^[A-Za-z0-9.!#$%&'*+/=^_`{|}~-]{1,64}"
    r"@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$"
)
ONE_LINE = r"^[^\x00-\x1f\x7f\u0085\u2028\u2029]*$"

End = Literal["succeeded", "failed", "cancelled"]
EndOrAlert = Literal["succeeded", "failed", "cancelled", "firing", "recovered", "broken"]
FileFormat = Literal["csv", "json", "ndjson", "html", "pdf", "parquet", "xlsx"]
Address = Annotated[str, Field(max_length=254, pattern=ADDRESS)]


def _each_once(named: list[str]) -> list[str]:
    return list(dict.fromkeys(named))


On = Annotated[
    tuple[End, ...],
    Field(min_length=1, max_length=3, description="Which ends of the job are told; files are made of successes only"),
]
OnOfSchedule = Annotated[
    tuple[EndOrAlert, ...],
    Field(
        min_length=1,
        max_length=6,
        description="Which ends of its jobs are told, and what of its alerts: that one fires, has recovered, or cannot be "
        'evaluated (`broken`). `["firing"]` sends the report only when an alert fires',
    ),
]


IfEmpty = Annotated[
    Literal["skip", "send"],
    Field(description="What becomes of it when none of the rows is the receiver's; without a filter it has no meaning"),
]


class _Filtered(Request):
    filter: Filter | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="Which rows of the result are sent, by its columns. Left out: all, with summary and charts; with a filter "
        "nothing is sent that tells of other rows",
    )
    if_empty: IfEmpty = Field(default="skip", exclude_if=lambda value: value == "skip")

    @field_validator("filter", mode="before")
    @classmethod
    def _filter_is_bounded(cls, raw: Any) -> Any:
        return filters.check_size(raw)


class Burst(Request):
    """Rows shared out by the values of a column: each goes to those who are named for its value."""

    column: filters.ColumnName = Field(description="A column of the result", examples=["owner"])
    recipients: dict[
        Annotated[str, Field(min_length=1, max_length=filters.MAX_TEXT)],
        Annotated[list[Address], Field(min_length=1, max_length=MOST_ADDRESSES)],
    ] = Field(
        min_length=1,
        max_length=MOST_SHARES,
        description="Who gets the rows of each value",
        examples=[{"ada": ["ada@example.com"], "grace": ["grace@example.com"]}],
    )
    otherwise: list[Address] = Field(
        default=[],
        max_length=MOST_ADDRESSES,
        description="Who gets the rows of all other values, and of none; [] = nobody",
    )


class EmailReceiver(_Filtered):
    """People who get a report by e-mail: headline numbers, charts, first rows, and the wanted files. Each gets their own."""

    channel: Literal["email"]
    to: Annotated[list[Address], Field(min_length=1, max_length=MOST_ADDRESSES)] | None = Field(
        default=None, exclude_if=lambda value: value is None, description="Who gets it; left out where `burst` says so"
    )
    burst: Burst | None = Field(
        default=None, exclude_if=lambda value: value is None, description="Each gets their own rows; instead of `to`"
    )
    formats: Annotated[list[FileFormat], AfterValidator(_each_once)] = Field(
        default=[], max_length=MOST_FORMATS, description="Files to attach, each once"
    )
    subject: str | None = Field(
        default=None,
        min_length=1,
        max_length=150,
        pattern=ONE_LINE,
        description="Left out = the report's label or title",
    )
    on: OnOfSchedule = ("succeeded",)

    @model_validator(mode="after")
    def _goes_to_somebody(self) -> Self:
        if (self.to is None) is (self.burst is None):
            raise PydanticCustomError("recipients", "Give either `to` or `burst`")
        return self


class WebhookReceiver(Request):
    """One of your webhooks, whatever events it subscribes to otherwise."""

    channel: Literal["webhook"]
    webhook_id: uuid.UUID
    on: OnOfSchedule = ("succeeded",)


class FileReceiver(_Filtered):
    """A folder or object store, below one that whoever runs the server has opened for this."""

    channel: Literal["file"]
    url: str = Field(max_length=LONGEST_URL, description="The folder: `/path`, `file:///path` or `s3://bucket/path`")
    format: FileFormat = "csv"
    name: str | None = Field(
        default=None,
        max_length=150,
        description="Name of the file, with `{type}`, `{date}`, `{time}`, `{id}` and `{schedule}`; "
        "left out = `{type}-{date}-{id}` with the format's ending",
    )
    on: Annotated[
        tuple[Literal["succeeded", "firing"], ...],
        Field(
            min_length=1,
            max_length=2,
            description="Files are made of successes only: of all, or of those that make an alert fire",
        ),
    ] = ("succeeded",)


class ReportEmailReceiver(EmailReceiver):
    """People who get one report by e-mail. It has no alerts: those are of schedules."""

    on: On = ("succeeded",)


class ReportWebhookReceiver(WebhookReceiver):
    """One of your webhooks, told of one report."""

    on: On = ("succeeded",)


class ReportFileReceiver(FileReceiver):
    """A folder or object store that gets the file of one report."""

    on: Annotated[tuple[Literal["succeeded"]], Field(description="Files are made of successes only")] = ("succeeded",)


_WHO = "Who gets the result, beside the subscribers of its event"
Receiver = Annotated[EmailReceiver | WebhookReceiver | FileReceiver, Field(discriminator="channel")]
Receivers = Annotated[list[Receiver], Field(max_length=MOST_RECEIVERS, description=_WHO)]
ReceiversOfReport = Annotated[
    list[Annotated[ReportEmailReceiver | ReportWebhookReceiver | ReportFileReceiver, Field(discriminator="channel")]],
    Field(max_length=MOST_RECEIVERS, description=_WHO),
]


class ReportRequest(schemas.ReportRequest):
    """A report that is asked for, and who gets its result."""

    deliveries: ReceiversOfReport = Field(default_factory=list)


GROUPS = tuple(dict.fromkeys(f"{known.partition('.')[0]}.*" for known in EventType))
EVENTS = ("*", *GROUPS, *(known.value for known in EventType))
Event = Annotated[str, WithJsonSchema({"type": "string", "enum": list(EVENTS)})]


def _known_event(event: str) -> str:
    if event in EVENTS:
        return event
    raise ValueError(f"there is no event {event!r}; there are {', '.join(EventType)}, groups such as report.*, and *")


class _Events(Request):
    @field_validator("events", check_fields=False)
    @classmethod
    def _know_events(cls, events: list[str] | None) -> list[str] | None:
        return None if events is None else [_known_event(event) for event in dict.fromkeys(events)]


class WebhookRequest(_Events):
    """An address that is to be told of what happens."""

    url: str = Field(
        max_length=LONGEST_URL, description="Where to POST: `https://…`", examples=["https://example.com/hook"]
    )
    events: list[Event] = Field(
        default=["*"], min_length=1, max_length=50, description="Event types, groups such as `report.*`, or `*` for all"
    )
    description: str | None = Field(default=None, max_length=200, description="A few words of your own")


class WebhookChange(_Events):
    """What is to be different; what is left out stays as it is."""

    url: str | None = Field(default=None, max_length=LONGEST_URL)
    events: list[Event] | None = Field(default=None, min_length=1, max_length=50)
    description: str | None = Field(default=None, max_length=200)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        for name in ("url", "events"):
            if name in self.model_fields_set and getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null")
        return self


class RotateRequest(Request):
    """A new secret. The body may be left out."""

    overlap_seconds: Annotated[int, Field(strict=True)] = Field(
        default=86_400,
        ge=0,
        le=LONGEST_OVERLAP,
        description="For so long messages are signed with the old secret as well; 0 = from now on with the new one alone",
    )


class WebhookLinks(Answer):
    self: str
    deliveries: str = Field(description="What was sent there")
    test: str = Field(description="POST here to send a test message")
    rotate_secret: str = Field(description="POST here for a new secret")
    enable: str = Field(description="POST here after it was disabled")
    redeliver: str = Field(description="POST here to send again what did not get through")


class WebhookObject(Answer):
    """An address that is told of what happens."""

    id: uuid.UUID
    url: str
    events: list[str]
    description: str | None
    status: Literal["enabled", "disabled"]
    disabled_at: datetime | None
    disabled_reason: str | None = Field(description="It answered 410, nothing got through for days, or you disabled it")
    old_secret_until: datetime | None = Field(description="Until when messages are signed with the old secret as well")
    created_at: datetime
    updated_at: datetime
    links: WebhookLinks


class NewWebhook(WebhookObject):
    """A webhook with its secret, which is shown in this answer and never again."""

    secret: str | None = Field(
        description="`whsec_…`: what receivers verify messages with, in this answer alone. Null in an answer that is replayed for "
        "an `Idempotency-Key`; ask for a new one with `rotate_secret`, which leaves the old one working for a while",
        examples=["whsec_C2FVsBQIhrscChlQIMV…"],
    )


class DeletedWebhook(Answer):
    id: uuid.UUID
    deleted: Literal[True]


class WebhookListQuery(Request):
    limit: int = Field(default=25, ge=1, le=100, description="Longest page")
    cursor: str | None = Field(default=None, max_length=512, description="Where to go on; taken from the `next` link")


class DeliveriesOfWebhookQuery(WebhookListQuery):
    status: DeliveryStatus | None = Field(default=None, description="Only deliveries in this state")


class DeliveryListQuery(DeliveriesOfWebhookQuery):
    channel: Channel | None = Field(default=None, description="Only deliveries of this kind")
    webhook_id: uuid.UUID | None = Field(default=None, description="Only those to this webhook")
    job_id: uuid.UUID | None = Field(default=None, description="Only those about this job")
    schedule_id: uuid.UUID | None = Field(default=None, description="Only those about jobs of this schedule")


class DeletedDelivery(Answer):
    id: uuid.UUID
    deleted: Literal[True]


class RedeliverQuery(Request):
    only: Literal["failed", "cancelled", "unsuccessful"] = Field(
        default="unsuccessful", description="Those that failed, those that were cancelled with their webhook, or both"
    )


class RedeliverToWebhookQuery(RedeliverQuery):
    since: moments.Moment | None = Field(default=None, description="Only those made at this time or later")


class Redelivered(Answer):
    count: int = Field(description="How many are sent again, under the ids they had")
    withdrawn: int = Field(description="How many are not, because their schedule does not send them there any more")


class DeliveryLinks(Answer):
    self: str
    redeliver: str = Field(description="POST here to send it again, under the same id")
    job: str | None
    webhook: str | None


class DeliveryObject(Answer):
    """One message to one receiver."""

    id: uuid.UUID = Field(description="The same over all attempts: receivers get it as `webhook-id` or in `Message-ID`")
    channel: Channel
    status: DeliveryStatus
    event_type: str
    target: dict[str, Any] = Field(description="Where to: `url`, `to`, `formats`, `name` … by channel")
    filter: dict[str, Any] | None = Field(description="Which rows of the result it has; null: all")
    webhook_id: uuid.UUID | None
    job_id: uuid.UUID | None
    schedule_id: uuid.UUID | None
    attempts: int = Field(description="How often it was tried")
    next_attempt_at: datetime | None = Field(description="When it is tried next; null once it is finished")
    error: str | None = Field(description="Why the last attempt failed")
    created_at: datetime
    finished_at: datetime | None
    links: DeliveryLinks


class AttemptObject(Answer):
    """One attempt, as it went."""

    number: int
    started_at: datetime
    duration_ms: int | None
    outcome: Outcome = Field(description="`lost`: the sending process ended in the middle; the receiver may have it")
    status_code: int | None = Field(description="Of HTTP or SMTP")
    error: str | None
    excerpt: str | None = Field(description="How the receiver's answer begins")


class DeliveryWithAttempts(DeliveryObject):
    payload: dict[str, Any] = Field(description="What is sent to webhooks; e-mails and files are made of the result")
    attempt_log: list[AttemptObject]
