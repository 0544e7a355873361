"""What is asked of one result by many receivers: with which filters its rows are waited for, and whether it is still kept."""

import uuid
from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.base import Json
from models.delivery import Delivery, DeliveryStatus
from models.result import StoredResult
from models.schedule import ScheduleOccurrence

MOST_LOOKED_AT = 1_000


def filters_waiting(session: Session, job_id: uuid.UUID) -> list[Json]:
    """Return the filters of what is to be sent of a result now, those that wait longest first; some may be the same."""
    query = (
        select(Delivery.filter)
        .where(
            Delivery.job_id == job_id,
            Delivery.filter.is_not(None),
            Delivery.status == DeliveryStatus.PENDING,
            Delivery.next_attempt_at <= func.now(),
        )
        .order_by(Delivery.next_attempt_at, Delivery.id)
        .limit(MOST_LOOKED_AT)
    )
    return [found for found in session.scalars(query) if found is not None]


def results_kept(session: Session, job_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Return those of these jobs whose results are still there."""
    return set(session.scalars(select(StoredResult.job_id).where(StoredResult.job_id.in_(job_ids))))


def newest_slot(session: Session, schedule_id: uuid.UUID) -> ScheduleOccurrence | None:
    """Return the latest slot of a schedule whose result is still kept."""
    query = (
        select(ScheduleOccurrence)
        .join(StoredResult, StoredResult.job_id == ScheduleOccurrence.job_id)
        .where(ScheduleOccurrence.schedule_id == schedule_id)
        .order_by(ScheduleOccurrence.due_at.desc())
        .limit(1)
    )
    return session.scalar(query)
