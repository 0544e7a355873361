"""Webhooks and deliveries as callers see them."""

from collections.abc import Sequence

from models.delivery import Channel, Delivery, DeliveryAttempt, DeliveryStatus, Outcome
from models.webhook import Webhook
from web import delivery_schemas as shapes


def webhook(row: Webhook) -> shapes.WebhookObject:
    return shapes.WebhookObject(**_of_webhook(row))


def new_webhook(row: Webhook, secret: str | None) -> shapes.NewWebhook:
    return shapes.NewWebhook(**_of_webhook(row), secret=secret)


def _of_webhook(row: Webhook) -> dict[str, object]:
    here = f"/v1/webhooks/{row.id}"
    return {
        "id": row.id,
        "url": row.url,
        "events": row.events,
        "description": row.description,
        "status": "enabled" if row.disabled_at is None else "disabled",
        "disabled_at": row.disabled_at,
        "disabled_reason": row.disabled_reason,
        "old_secret_until": row.previous_until,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "links": {
            "self": here,
            "deliveries": f"{here}/deliveries",
            "test": f"{here}/test",
            "rotate_secret": f"{here}/rotate-secret",
            "enable": f"{here}/enable",
            "redeliver": f"{here}/redeliver",
        },
    }


def delivery(row: Delivery) -> shapes.DeliveryObject:
    return shapes.DeliveryObject(**_of_delivery(row))


def with_attempts(row: Delivery, attempts: Sequence[DeliveryAttempt]) -> shapes.DeliveryWithAttempts:
    return shapes.DeliveryWithAttempts(
        **_of_delivery(row),
        payload={name: row.payload[name] for name in ("type", "timestamp", "data")},
        attempt_log=[_attempt(one) for one in attempts],
    )


def _of_delivery(row: Delivery) -> dict[str, object]:
    here = f"/v1/deliveries/{row.id}"
    about = row.payload["data"].get("links") or {}
    return {
        "id": row.id,
        "channel": Channel(row.channel),
        "status": DeliveryStatus(row.status),
        "event_type": row.event_type,
        "target": row.target,
        "filter": row.filter,
        "webhook_id": row.webhook_id,
        "job_id": row.job_id,
        "schedule_id": row.schedule_id,
        "attempts": row.attempts,
        "next_attempt_at": row.next_attempt_at if row.finished_at is None else None,
        "error": row.error,
        "created_at": row.created_at,
        "finished_at": row.finished_at,
        "links": {
            "self": here,
            "redeliver": f"{here}/redeliver",
            "job": about.get("self") if row.job_id is not None and "kind" in row.payload["data"] else None,
            "webhook": f"/v1/webhooks/{row.webhook_id}" if row.webhook_id is not None else None,
        },
    }


def _attempt(row: DeliveryAttempt) -> shapes.AttemptObject:
    return shapes.AttemptObject(
        number=row.number,
        started_at=row.started_at,
        duration_ms=row.duration_ms,
        outcome=Outcome(row.outcome),
        status_code=row.status_code,
        error=row.error,
        excerpt=row.excerpt,
    )
