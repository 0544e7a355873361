"""How the outbox stands: what waits, for how long, what was given up. For `/metrics` and the doctor."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import liveness
from models.delivery import Delivery, DeliveryStatus


@dataclass(frozen=True, slots=True)
class DeliveryFigures:
    """The state of all deliveries that are on record."""

    counts: Mapping[tuple[str, str], int]
    """How many there are, by channel and status."""

    oldest_due: float | None
    """For how many seconds the longest-waiting one that is due has waited for a sender; None: none is due."""

    failed_lately: int
    """How many were given up in the last day."""


def read(session: Session) -> DeliveryFigures:
    counted = select(Delivery.channel, Delivery.status, func.count()).group_by(Delivery.channel, Delivery.status)
    due = select(liveness.seconds_since(func.min(Delivery.next_attempt_at))).where(
        Delivery.status == DeliveryStatus.PENDING,
        Delivery.next_attempt_at <= func.now(),
        Delivery.claim_token.is_(None) | (Delivery.claim_until <= func.now()),
    )
    failed = select(func.count()).where(
        Delivery.status == DeliveryStatus.FAILED, Delivery.finished_at > func.now() - func.make_interval(0, 0, 0, 1)
    )
    oldest = session.scalar(due)
    return DeliveryFigures(
        counts={(channel, status): count for channel, status, count in session.execute(counted)},
        oldest_due=None if oldest is None else float(oldest),
        failed_lately=int(session.scalar(failed) or 0),
    )
