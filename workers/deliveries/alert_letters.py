"""Letters about alerts: what crossed its line, with the report it was seen in, or by themselves where there is none."""

from typing import TYPE_CHECKING

from models.delivery import Delivery
from models.outbox import EventType
from workers.deliveries import rendering
from workers.deliveries.rendering import EmptyError, GoneError, Report

if TYPE_CHECKING:
    from analytics.render.letter import Letter

EVENTS = frozenset({EventType.ALERT_FIRING, EventType.ALERT_RECOVERED, EventType.ALERT_BROKEN})


def subject(delivery: Delivery) -> str:
    from analytics.render import alert_letter  # noqa: PLC0415 - heavy

    return alert_letter.subject(_told(delivery), delivery.payload["data"])


def lead(delivery: Delivery, address: str | None) -> "Letter":
    """Say what happened, as the beginning of a letter."""
    from analytics.render import alert_letter  # noqa: PLC0415 - heavy

    return alert_letter.lead(_told(delivery), delivery.payload["data"], address)


def alone(delivery: Delivery, address: str | None) -> "Letter":
    """Say what happened, as a whole letter."""
    from analytics.render import alert_letter  # noqa: PLC0415 - heavy

    return alert_letter.alone(_told(delivery), delivery.payload["data"], lead(delivery, address))


def report(delivery: Delivery) -> Report | None:
    """Return the report in which an alert began to fire; None: there is none to be sent with the letter.

    Raises:
        ValueError: the receiver's filter does not suit the rows: nothing is sent.
    """
    if delivery.event_type != EventType.ALERT_FIRING or not delivery.payload["data"].get("has_report"):
        return None
    try:
        return rendering.load(delivery)
    except (GoneError, EmptyError):
        # What the letter says is worth saying without it. Rows that are missing are in no part of it.
        return None


def _told(delivery: Delivery) -> str:
    return delivery.event_type.partition(".")[2]
