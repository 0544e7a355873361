"""The outbox: events become deliveries in the transaction in which they happen, so that neither is there without the other.

For the end of a job a trigger does this (migration 0016): no way of ending a job can forget it. Everything else calls
`record`. Nothing here sends; whoever commits may say `workers.deliveries.poking.poke()`, and beat says it regularly.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC
from enum import StrEnum

from sqlalchemy import Uuid, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from models.base import Json, new_id
from models.delivery import Channel, Delivery
from models.webhook import Webhook


class EventType(StrEnum):
    """What organisations can be told of. A webhook may also ask for `report.*`, or for `*`."""

    REPORT_SUCCEEDED = "report.succeeded"
    REPORT_FAILED = "report.failed"
    REPORT_CANCELLED = "report.cancelled"
    IMPORT_SUCCEEDED = "import.succeeded"
    IMPORT_FAILED = "import.failed"
    IMPORT_CANCELLED = "import.cancelled"
    RESTORE_SUCCEEDED = "restore.succeeded"
    RESTORE_FAILED = "restore.failed"
    RESTORE_CANCELLED = "restore.cancelled"
    ERASURE_SUCCEEDED = "erasure.succeeded"
    ERASURE_FAILED = "erasure.failed"
    ERASURE_CANCELLED = "erasure.cancelled"
    SCHEDULE_PAUSED = "schedule.paused"
    """A schedule has failed so often that it fires no more until somebody resumes it."""

    ALERT_FIRING = "alert.firing"
    """A figure or row that a schedule watches has crossed its line."""

    ALERT_RECOVERED = "alert.recovered"
    """It is back."""

    ALERT_BROKEN = "alert.broken"
    """An alert cannot be evaluated any more. Told once until it can be again."""

    DELIVERY_FAILED = "delivery.failed"
    """Something could not be delivered, and is not tried any more by itself."""

    WEBHOOK_DISABLED = "webhook.disabled"
    """A webhook gets no more messages: it answered 410, or nothing has got through to it for days."""

    WEBHOOK_TEST = "webhook.test"
    """Somebody asked for a test message. Sent to the webhook that is tested, whatever it subscribes to."""


# Said of a row `jobs`: whether there may be anybody to send something to at its end.
CONCERNS_SOMEBODY = """(
    deliveries IS NOT NULL
    OR EXISTS (SELECT FROM webhooks WHERE organisation_id = jobs.organisation_id AND disabled_at IS NULL)
)"""
JOB_ENDS = ("succeeded", "failed", "cancelled")
# What tells of deliveries must not give rise to more of its kind.
ABOUT_DELIVERING = frozenset({EventType.DELIVERY_FAILED, EventType.WEBHOOK_DISABLED, EventType.WEBHOOK_TEST})


@dataclass(frozen=True, slots=True)
class Target:
    """One receiver of a job's result. A list of these, as JSON, is in `jobs.deliveries`.

    Attributes:
        lane: receivers of one lane share a bounded number of senders.
        address: `{"webhook_id"}`, `{"to", "formats", ...}` or `{"url", "format", "name"}`.
        on: the ends of the job that are told: succeeded, failed, cancelled; or the second word of another event.
        filter: which rows this receiver may see; None: all.
    """

    channel: Channel
    lane: str
    address: Json
    on: tuple[str, ...] = field(default=("succeeded",))
    filter: Json | None = None

    @classmethod
    def of(cls, kept: Json) -> "Target":
        """Return what `as_json` was made of."""
        return cls(Channel(kept["channel"]), kept["lane"], kept["target"], on=tuple(kept["on"]), filter=kept["filter"])

    def as_json(self) -> Json:
        return {
            "channel": self.channel.value,
            "lane": self.lane,
            "target": self.address,
            "on": list(self.on),
            "filter": self.filter,
        }


def record_for(session: Session, webhook: Webhook, event_type: str, data: Json) -> Delivery:
    """Write the delivery of an event to one webhook, whatever it subscribes to, in the caller's transaction."""
    made = Delivery(
        id=new_id(),
        organisation_id=webhook.organisation_id,
        channel=Channel.WEBHOOK,
        lane=webhook.lane,
        target={"url": webhook.url},
        webhook_id=webhook.id,
        event_type=event_type,
        payload=_body(session, event_type, data),
    )
    session.add(made)
    session.flush()
    return made


def record(  # noqa: PLR0913 - an event has as many sides
    session: Session,
    organisation_id: uuid.UUID,
    event_type: str,
    data: Json,
    *,
    job_id: uuid.UUID | None = None,
    schedule_id: uuid.UUID | None = None,
    targets: Sequence[Target] = (),
    but_not_to: uuid.UUID | None = None,
) -> int:
    """Write the deliveries of an event, in the caller's transaction; returns how many.

    Every webhook that subscribes to the event gets it, and so does every target whose `on` has its second word;
    the webhook `but_not_to` does not. What a disabled webhook would get is written as cancelled.
    """
    written = select(
        func.record_event(
            organisation_id,
            event_type,
            literal(data, JSONB),
            literal(job_id, type_=Uuid()),
            literal(schedule_id, type_=Uuid()),
            literal([target.as_json() for target in targets], JSONB),
            literal(but_not_to, type_=Uuid()),
        )
    )
    return int(session.scalar(written) or 0)


def record_to(  # noqa: PLR0913 - as above
    session: Session,
    organisation_id: uuid.UUID,
    event_type: str,
    data: Json,
    target: Target,
    *,
    job_id: uuid.UUID | None = None,
    schedule_id: uuid.UUID | None = None,
) -> Delivery:
    """Write the delivery of an event to one e-mail address or folder, which is told something of its own."""
    made = Delivery(
        id=new_id(),
        organisation_id=organisation_id,
        channel=target.channel,
        lane=target.lane,
        target=target.address,
        filter=target.filter,
        job_id=job_id,
        schedule_id=schedule_id,
        event_type=event_type,
        payload=_body(session, event_type, data),
    )
    session.add(made)
    session.flush()
    return made


def _body(session: Session, event_type: str, data: Json) -> Json:
    now = session.scalars(select(func.clock_timestamp())).one().astimezone(UTC)
    return {"type": event_type, "timestamp": now.isoformat().replace("+00:00", "Z"), "data": data}
