"""The messages to webhooks, as the section `webhooks` of the OpenAPI document has them."""

from collections.abc import Callable, Iterator
from typing import Any

from models.outbox import EventType
from web import told_events

SIGNATURE = {
    "webhook-id": (
        "The delivery's id, the same at every attempt: whoever must not act twice remembers it",
        "0198c2f0-8d44-7a12-8f3b-90c6e2d7a1b4",
    ),
    "webhook-timestamp": ("When this attempt was made, in seconds since 1970", "1795341603"),
    "webhook-signature": (
        "`v1,` and the base64 of HMAC-SHA256 over id, timestamp and body, joined by dots; two of them while a secret is rotated",
        "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    ),
}
ANSWERS = {
    "2XX": "It has arrived",
    "410": "The receiver wants no more: the webhook is disabled",
    "default": "It has not arrived, and is tried again for about three days",
}


def described(reference: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """Describe every message, with its model among the components."""
    return {event.value: {"post": _message(event, reference)} for event in EventType}


def _message(event: EventType, reference: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    return {
        "operationId": f"told_{event.value.replace('.', '_')}",
        "tags": ["Webhooks"],
        "summary": f"`{event.value}`, sent to every webhook that subscribes to it",
        "security": [],
        "parameters": list(_headers()),
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": reference(told_events.model(event)),
                    "example": told_events.example(event),
                }
            },
        },
        "responses": {status: {"description": meaning} for status, meaning in ANSWERS.items()},
    }


def _headers() -> Iterator[dict[str, Any]]:
    for name, (description, example) in SIGNATURE.items():
        yield {
            "name": name,
            "in": "header",
            "required": True,
            "description": description,
            "schema": {"type": "string"},
            "example": example,
        }
