"""Fair share: which jobs of an organisation go to the broker next.

An organisation has at most `max_in_flight` jobs of each queue published or running; the others wait in PostgreSQL and are
let in, by priority and then by age, as those finish. Where several organisations wait for a queue, one job of each at a time
travels in the queue's express list, which workers empty first: with everybody's next job in front, free slots go round the
organisations, however much each has waiting.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import and_, func, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from models.job import Job
from models.job_states import JobStatus


class Lane(NamedTuple):
    """The jobs of one organisation that wait for one queue."""

    organisation_id: uuid.UUID
    queue: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """A job that is to have a message now."""

    id: uuid.UUID
    kind: str
    queue: str
    express: bool
    publishes: int


_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:lane, 7325366))")

_WAITING = and_(Job.status == JobStatus.QUEUED, Job.published_at.is_(None))

# Said of the row `jobs`, whose lane it is about. A few are let in at a time, not one for each that finishes: a lane has enough
# while a quarter of its share waits in the broker, unless it has no place in an express list that it needs.
WANTS_MORE = """(
    EXISTS (
        SELECT FROM jobs AS waiting
        WHERE waiting.organisation_id = jobs.organisation_id AND waiting.queue = jobs.queue
            AND waiting.status = 'queued' AND waiting.published_at IS NULL AND waiting.run_at <= now()
    ) AND (
        (
            SELECT count(*) * 4 FROM jobs AS message
            WHERE message.organisation_id = jobs.organisation_id AND message.queue = jobs.queue
                AND message.status = 'queued' AND message.published_at IS NOT NULL
        ) <= coalesce((SELECT max_in_flight FROM organisations WHERE id = jobs.organisation_id), :max_in_flight)
        OR EXISTS (
            SELECT FROM jobs AS rival
            WHERE rival.queue = jobs.queue AND rival.organisation_id <> jobs.organisation_id
                AND rival.status = 'queued' AND rival.published_at IS NOT NULL
        )
    )
)"""

# One statement, so that the count and the choice see the same state; the lock before it keeps two from counting at once.
_ADMIT = text(
    """
    WITH flight AS (
        SELECT count(*) AS jobs, count(*) FILTER (WHERE status = 'queued') AS messages,
            coalesce(bool_or(express AND status = 'queued'), false) AS has_express
        FROM jobs
        WHERE organisation_id = :organisation_id AND queue = :queue
            AND (status = 'running' OR (status = 'queued' AND published_at IS NOT NULL))
    ), share AS (
        SELECT coalesce((SELECT max_in_flight FROM organisations WHERE id = :organisation_id), :max_in_flight) AS size
    ), contest AS (
        SELECT EXISTS (
            SELECT FROM jobs
            WHERE queue = :queue AND organisation_id <> :organisation_id AND status = 'queued' AND published_at IS NOT NULL
        ) AS found
    ), room AS (
        -- A few at a time, not one for each that finishes: the lane has enough while a quarter of its share waits.
        SELECT CASE
            WHEN messages > size / 4 AND (has_express OR NOT found) THEN 0 ELSE greatest(0, size - jobs)
        END AS size
        FROM flight, share, contest
    ), chosen AS (
        SELECT id, row_number() OVER (ORDER BY priority DESC, run_at, id) AS place
        FROM (
            SELECT id, priority, run_at FROM jobs
            WHERE organisation_id = :organisation_id AND queue = :queue AND status = 'queued'
                AND published_at IS NULL AND run_at <= now()
            ORDER BY priority DESC, run_at, id
            LIMIT (SELECT size FROM room)
            FOR UPDATE SKIP LOCKED
        ) AS next
    )
    UPDATE jobs SET published_at = now(), publishes = publishes + 1,
        express = chosen.place = 1 AND (SELECT found AND NOT has_express FROM contest, flight)
    FROM chosen WHERE jobs.id = chosen.id
    RETURNING jobs.id, jobs.kind, jobs.queue, jobs.express, jobs.publishes, chosen.place
    """
)


def admit(session: Session, lane: Lane, *, max_in_flight: int) -> list[Admitted]:
    """Mark as published as many of a lane's due jobs as its share has room for, and return them in their order.

    The caller commits, and then sends the messages. A message that is lost in between is found missing by the sweep.
    Two callers at once: the second waits for the first, and then counts what that one has let in.
    """
    session.execute(_LOCK, {"lane": f"{lane.organisation_id}/{lane.queue}"})
    arguments = {"organisation_id": lane.organisation_id, "queue": lane.queue, "max_in_flight": max_in_flight}
    rows = sorted(session.execute(_ADMIT, arguments), key=lambda row: row.place)
    return [Admitted(row.id, row.kind, row.queue, row.express, row.publishes) for row in rows]


def admit_again(session: Session, job_ids: Sequence[uuid.UUID]) -> list[Admitted]:
    """Mark those of these jobs as published that are due: they had been let in, and lost their worker.

    They keep their place in the share, and go to the express list: they have waited once already.
    """
    due = update(Job).where(Job.id.in_(job_ids), _WAITING, Job.run_at <= func.now())
    rows = session.execute(
        due.values(express=True, published_at=func.now(), publishes=Job.publishes + 1).returning(
            Job.id, Job.kind, Job.queue, Job.express, Job.publishes
        )
    )
    return [Admitted(*row) for row in rows]


def withdraw(session: Session, job_ids: Sequence[uuid.UUID]) -> None:
    """Take jobs as having no message after all: the broker did not take them."""
    session.execute(
        update(Job)
        .where(Job.id.in_(job_ids), Job.status == JobStatus.QUEUED)
        .values(published_at=None, publishes=Job.publishes - 1, express=False)
    )


def lanes_waiting(session: Session, *, for_seconds: float) -> list[Lane]:
    """Return the lanes with a job that has been due for so long and has no message."""
    due_since = func.greatest(Job.run_at, Job.created_at)
    query = (
        select(Job.organisation_id, Job.queue)
        .where(_WAITING, due_since < func.now() - timedelta(seconds=for_seconds))
        .distinct()
    )
    return [Lane(organisation_id, queue) for organisation_id, queue in session.execute(query)]


def published(session: Session, *, for_seconds: float) -> dict[uuid.UUID, Lane]:
    """Return the queued jobs whose messages have been on their way for so long."""
    query = select(Job.id, Job.organisation_id, Job.queue).where(
        Job.status == JobStatus.QUEUED, Job.published_at < func.now() - timedelta(seconds=for_seconds)
    )
    return {job_id: Lane(organisation_id, queue) for job_id, organisation_id, queue in session.execute(query)}


def forget_messages(session: Session, job_ids: Sequence[uuid.UUID] | None = None) -> int:
    """Take queued jobs as having no message any more; all of them, where none are named. Returns how many."""
    statement = update(Job).where(Job.status == JobStatus.QUEUED, Job.published_at.is_not(None))
    if job_ids is not None:
        statement = statement.where(Job.id.in_(job_ids))
    statement = statement.values(published_at=None, express=False)
    return len(session.scalars(statement.returning(Job.id)).all())


def promote_overtaken(session: Session, *, after_seconds: float) -> list[Admitted]:
    """Give a second message, in the express list, to the oldest job of each lane that the express list passes by.

    Such a lane has everything it was allowed in the ordinary list, and others keep the express list full. Without this
    it would wait for as long as they do.
    """
    has_express = select(Job.organisation_id, Job.queue).where(Job.status == JobStatus.QUEUED, Job.express).distinct()
    with_express = {tuple(row) for row in session.execute(has_express)}
    oldest = (
        select(Job.id, Job.organisation_id, Job.queue)
        .ext(distinct_on(Job.organisation_id, Job.queue))
        .where(Job.status == JobStatus.QUEUED, Job.published_at < func.now() - timedelta(seconds=after_seconds))
        .order_by(Job.organisation_id, Job.queue, Job.priority.desc(), Job.published_at, Job.id)
    )
    contested = {queue for _, queue in with_express}
    passed_by = [
        row.id
        for row in session.execute(oldest)
        if row.queue in contested and (row.organisation_id, row.queue) not in with_express
    ]
    if not passed_by:
        return []
    promoted = session.execute(
        update(Job)
        .where(Job.id.in_(passed_by), Job.status == JobStatus.QUEUED)
        .values(express=True, published_at=func.now(), publishes=Job.publishes + 1)
        .returning(Job.id, Job.kind, Job.queue, Job.express, Job.publishes)
    )
    return [Admitted(*row) for row in promoted]
