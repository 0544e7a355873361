"""Finished jobs past their time: their rows go, what they counted stays."""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, func, or_, select
from sqlalchemy.orm import Session

from models import tally
from models.dataset import DatasetVersion
from models.job import Job, JobEvent
from models.metrics import JobClass
from models.tally import Count


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What one batch removed, and where the next one goes on; `finished_at` is None where nothing was left."""

    jobs: int
    finished_at: datetime | None


def forget(session: Session, *, keep_for: timedelta, limit: int, since: datetime | None = None) -> Forgotten:
    """Remove at most so many jobs that finished longer ago than this, oldest first, those before `since` left out.

    A job stays for as long as a version of a dataset names it as its maker, or its result is kept. The events, keys and
    results of a removed job go with it. Two callers at once remove each job once, because each passes over locked rows.
    """
    made_a_version = exists().where(DatasetVersion.job_id == Job.id)
    query = (
        select(Job.id, Job.kind, Job.queue, Job.status, Job.finished_at)
        .where(
            Job.finished_at < func.now() - keep_for,
            or_(Job.expires_at.is_(None), Job.expires_at < func.now()),
            ~made_a_version,
        )
        .order_by(Job.finished_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    if since is not None:
        query = query.where(Job.finished_at >= since)
    found = session.execute(query).all()
    if not found:
        return Forgotten(jobs=0, finished_at=None)
    remove(session, [row.id for row in found])
    return Forgotten(jobs=len(found), finished_at=found[-1].finished_at)


def remove(session: Session, job_ids: Sequence[uuid.UUID]) -> None:
    """Delete these finished jobs in the caller's transaction, and keep in the tallies what they and their events counted."""
    finished = select(Job.id).where(Job.id.in_(job_ids), Job.finished_at.is_not(None))
    events = select(JobEvent.reason, func.count()).where(JobEvent.job_id.in_(finished)).group_by(JobEvent.reason)
    reasons = dict(session.execute(events).all())
    removed = session.execute(delete(Job).where(Job.id.in_(finished)).returning(Job.kind, Job.queue, Job.status))
    classes = Counter(JobClass(*row).label for row in removed)
    # Always in the same order: two transactions that lock these rows crosswise would wait for each other.
    for label, count in sorted(classes.items()):
        tally.add(session, Count.FORGOTTEN_JOBS, label, by=count)
    for reason, count in sorted(reasons.items()):
        tally.add(session, Count.FORGOTTEN_EVENTS, reason, by=count)
