"""A schedule stops firing, because somebody asked or because it failed too often, and goes on again."""

from datetime import datetime

from sqlalchemy.orm import Session

from models import outbox
from models.base import Json
from models.outbox import EventType
from models.schedule import PauseReason, Schedule
from workers.deliveries import receivers

LONGEST_DETAIL = 1_000


def pause(schedule: Schedule, *, at: datetime, by: str | None, why: str | None) -> None:
    """Let nothing fire until it is resumed, because somebody asked for that."""
    schedule.paused_at = at
    schedule.paused_by = by
    schedule.pause_reason = PauseReason.ASKED
    schedule.pause_detail = why


def resume(schedule: Schedule) -> None:
    """Let it go on. What it missed meanwhile is made up for, or not, as `catch_up` says, when it is next looked at."""
    schedule.paused_at = schedule.paused_by = schedule.pause_reason = schedule.pause_detail = None
    schedule.consecutive_failures = 0


def count_failure(db: Session, schedule: Schedule, *, at: datetime, detail: str) -> bool:
    """Count a slot that failed; at `max_failures` in a row the schedule is paused, and its owner told. Tells whether it is."""
    schedule.consecutive_failures += 1
    stopped = schedule.paused_at is not None or schedule.deleted_at is not None
    if schedule.max_failures == 0 or schedule.consecutive_failures < schedule.max_failures or stopped:
        return False
    schedule.paused_at = at
    schedule.paused_by = None
    schedule.pause_reason = PauseReason.FAILURES
    schedule.pause_detail = detail[:LONGEST_DETAIL]
    _tell(db, schedule)
    return True


def _tell(db: Session, schedule: Schedule) -> None:
    here = f"/v1/schedules/{schedule.id}"
    data: Json = {
        "id": str(schedule.id),
        "name": schedule.name,
        "type": schedule.type,
        "consecutive_failures": schedule.consecutive_failures,
        "reason": schedule.pause_reason,
        "detail": schedule.pause_detail,
        "links": {"self": here, "occurrences": f"{here}/occurrences", "resume": f"{here}/resume"},
    }
    outbox.record(
        db,
        schedule.organisation_id,
        EventType.SCHEDULE_PAUSED,
        data,
        schedule_id=schedule.id,
        targets=receivers.contact(db, schedule.organisation_id, on="paused"),
    )
