"""The newest results of a schedule that are still kept, for whoever tries alerts on them."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, union
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from models.job import Job
from models.result import StoredResult
from models.schedule import ScheduleOccurrence

# Results are kept for so long that none of earlier ones is left where none of these is.
MOST_LOOKED_AT = 1_000


@dataclass(frozen=True, slots=True)
class KeptRun:
    """A slot, or a moment for which somebody ran the report by hand, and its result."""

    due_at: datetime
    job: Job
    stored: StoredResult


def newest(session: Session, schedule_id: uuid.UUID, *, limit: int) -> list[KeptRun]:
    """Return the runs with the latest slots; of one slot the newest."""
    decided = (
        select(ScheduleOccurrence.due_at, ScheduleOccurrence.job_id)
        .where(ScheduleOccurrence.schedule_id == schedule_id, ScheduleOccurrence.job_id.is_not(None))
        .order_by(ScheduleOccurrence.due_at.desc())
        .limit(MOST_LOOKED_AT)
    )
    by_hand = (
        select(Job.due_at, Job.id)
        .where(Job.schedule_id == schedule_id, Job.due_at.is_not(None))
        .order_by(Job.due_at.desc())
        .limit(MOST_LOOKED_AT)
    )
    runs = union(decided.subquery().select(), by_hand.subquery().select()).subquery()
    query = (
        select(runs.c.due_at, Job, StoredResult)
        .join(Job, Job.id == runs.c.job_id)
        .join(StoredResult, StoredResult.job_id == Job.id)
        .ext(distinct_on(runs.c.due_at))
        .order_by(runs.c.due_at.desc(), Job.id.desc())
        .limit(limit)
    )
    return [KeptRun(due_at, job, stored) for due_at, job, stored in session.execute(query)]
