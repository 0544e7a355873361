"""What a schedule has taken back: deliveries to receivers who were taken off it, or whose rows are others by now.

A delivery may wait for days between two attempts. Before each, and before one is sent again, it is asked whether its schedule
would send the same rows to the same receiver today; the links in an e-mail go by the same rule.
"""

import json
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import deliveries, schedules
from models.base import Json
from models.deliveries import Attempted
from models.delivery import Channel, Delivery, DeliveryStatus
from models.outbox import EventType
from workers.deliveries import receivers

WHY = "The schedule does not send this to them any more."
ATTEMPTED = Attempted(succeeded=False, withdrawn=True, error=WHY)
# What has rows or figures, and goes to receivers of the schedule only. Of the rest the organisation's contact is told as well.
_WITH_FIGURES = frozenset({EventType.REPORT_SUCCEEDED, EventType.ALERT_FIRING, EventType.ALERT_RECOVERED})


def withdrawn(db: Session, some: Iterable[Delivery]) -> set[uuid.UUID]:
    """Return the ids of those deliveries that their schedules would not make any more.

    What no schedule asked for is never among them, nor what has no figures: words that a report failed, messages to webhooks.
    """
    of_schedules: dict[tuple[uuid.UUID, uuid.UUID], list[Delivery]] = defaultdict(list)
    for one in some:
        has_figures = one.channel != Channel.WEBHOOK and one.event_type in _WITH_FIGURES
        if one.schedule_id is not None and has_figures:
            of_schedules[one.organisation_id, one.schedule_id].append(one)
    return {
        one.id
        for (organisation_id, schedule_id), made in of_schedules.items()
        for one in _without_receiver(db, organisation_id, schedule_id, made)
    }


def withdraw(db: Session, schedule_id: uuid.UUID) -> None:
    """Give up what waits to be sent by a schedule that has just been changed or deleted, to whom it sends it no more."""
    waiting = select(Delivery).where(Delivery.schedule_id == schedule_id, Delivery.status == DeliveryStatus.PENDING)
    ids = withdrawn(db, db.scalars(waiting))
    if ids:
        deliveries.cancel(db, Delivery.id.in_(ids), why=WHY)


def _without_receiver(
    db: Session, organisation_id: uuid.UUID, schedule_id: uuid.UUID, made: Collection[Delivery]
) -> Iterable[Delivery]:
    schedule = schedules.find(db, schedule_id, organisation_id=organisation_id)
    if schedule is None or schedule.deleted_at is not None:
        return made
    lacking = {_receiver(one.channel, one.target, one.filter) for one in made}
    for target in receivers.targets(organisation_id, schedule.deliveries):
        if not lacking:
            break
        lacking.discard(_receiver(target.channel, target.address, target.filter))
    return [one for one in made if _receiver(one.channel, one.target, one.filter) in lacking]


def _receiver(channel: str, address: Json, filter_: Json | None) -> tuple[str, str, str]:
    """Return who gets which rows; in which formats, or under which name, does not matter."""
    return str(channel), address.get("to") or address.get("url") or "", json.dumps(filter_, sort_keys=True)
