"""Tells an organisation that something does not reach anybody: by its other webhooks, and by its contact's e-mail."""

from sqlalchemy.orm import Session

from models import outbox
from models.base import Json
from models.deliveries import Attempted
from models.delivery import Delivery
from models.outbox import EventType
from models.webhook import Webhook
from workers.deliveries import receivers


def of_failure(db: Session, delivery: Delivery, made: Attempted) -> None:
    """Record that a delivery has failed for good; never of one that itself told of such a thing."""
    if delivery.event_type in outbox.ABOUT_DELIVERING:
        return
    data: Json = {
        "id": str(delivery.id),
        "channel": delivery.channel,
        "event_type": delivery.event_type,
        "webhook_id": _text(delivery.webhook_id),
        "job_id": _text(delivery.job_id),
        "schedule_id": _text(delivery.schedule_id),
        "attempts": delivery.attempts,
        "error": made.error,
        "links": {
            "self": f"/v1/deliveries/{delivery.id}",
            "redeliver": f"/v1/deliveries/{delivery.id}/redeliver",
        },
    }
    outbox.record(
        db,
        delivery.organisation_id,
        EventType.DELIVERY_FAILED,
        data,
        job_id=delivery.job_id,
        schedule_id=delivery.schedule_id,
        targets=receivers.contact(db, delivery.organisation_id, on="failed"),
        but_not_to=delivery.webhook_id,
    )


def of_disabled(db: Session, webhook: Webhook, reason: str) -> None:
    """Record that a webhook gets no more messages."""
    data: Json = {
        "id": str(webhook.id),
        "url": webhook.url,
        "reason": reason,
        "links": {"self": f"/v1/webhooks/{webhook.id}", "enable": f"/v1/webhooks/{webhook.id}/enable"},
    }
    outbox.record(
        db,
        webhook.organisation_id,
        EventType.WEBHOOK_DISABLED,
        data,
        targets=receivers.contact(db, webhook.organisation_id, on="disabled"),
        but_not_to=webhook.id,
    )


def _text(identity: object) -> str | None:
    return None if identity is None else str(identity)
