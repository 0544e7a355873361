"""Evaluating alerts: every slot whose report has ended, or could not be asked for, is looked at once, in the order of slots.

Any number of workers may do it at once, and each may die anywhere. A slot is read and judged outside of any transaction; what
came of it is written in one, which also takes its mark away, and only if nothing it rests on has changed meanwhile.
"""

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from models import alerts, failpoints, result, schedules, session
from models.alert import AlertRow, AlertStanding
from models.failpoints import Point
from models.job import Job
from models.job_states import JobStatus
from models.result import StoredResult
from models.schedule import OccurrenceStatus, Schedule, ScheduleOccurrence
from workers import errors
from workers.deliveries import poking

# A slot that has been begun so often without an end is what stops the process.
MOST_TRIES = 20
# After that what is due is sent first; the next message goes on.
LONGEST_RUN_SECONDS = 120.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Turn:
    """A slot to be evaluated, and what is known at the beginning.

    Attributes:
        job: the slot's; None: it has none, or that is no longer remembered.
        stored: its result; None: there is none, or it is no longer kept.
        standings: how the alerts stood after the last slot, by name.
        rows: what was kept of their rows.
    """

    schedule: Schedule
    occurrence: ScheduleOccurrence
    job: Job | None
    stored: StoredResult | None
    standings: dict[str, AlertStanding] = field(default_factory=dict)
    rows: dict[str, dict[bytes, AlertRow]] = field(default_factory=dict)

    @property
    def due_at(self) -> datetime:
        return self.occurrence.due_at

    @property
    def job_id(self) -> uuid.UUID | None:
        return self.occurrence.job_id

    @property
    def has_failed(self) -> bool:
        """Whether there is no report, because it failed or could not be asked for."""
        if self.occurrence.status == OccurrenceStatus.FAILED:
            return True
        return self.job is not None and self.job.status == JobStatus.FAILED

    def chunks(self) -> Iterator[bytes]:
        """Read the result chunk by chunk, each in a transaction of its own.

        Raises:
            ChangedError: it was removed meanwhile.
        """
        count, position = 0, 0
        while self.stored is not None and count < self.stored.row_count:
            with session.transaction() as db:
                chunk = result.read_chunk(db, self.stored.job_id, position)
            if chunk is None:
                raise ChangedError
            yield chunk.data
            count, position = count + chunk.row_count, position + 1


class ChangedError(Exception):
    """What was being evaluated is not any more what it was: it is begun anew."""


def mark(schedule: Schedule, occurrence: ScheduleOccurrence) -> bool:
    """Let a slot be evaluated, if there is anything to evaluate; tells whether there is."""
    if schedule.alerts and schedule.deleted_at is None:
        occurrence.alerts_due = True
    return occurrence.alerts_due


def evaluate_due() -> int:
    """Evaluate the slots that are marked, oldest first, for as long as there is time; returns how many were."""
    poking.hear()
    began = time.monotonic()
    evaluated = 0
    broken: set[uuid.UUID] = set()
    while time.monotonic() - began < LONGEST_RUN_SECONDS:
        held: uuid.UUID | None = None
        try:
            turn = _begin(broken)
            if turn is None:
                return evaluated
            held = turn.schedule.id
            _evaluate(turn)
        except ChangedError:
            log.debug("a slot is evaluated anew", schedule_id=str(held))
        except (*errors.DATABASE_AWAY, *errors.OUT_OF_TIME) as error:
            log.warning("alerts could not be evaluated; it is tried again", error=type(error).__name__)
            return evaluated
        except Exception as error:
            # An error nobody foresaw is of one schedule: it is tried again with the next poke, after all the others.
            if held is None:
                raise
            log.exception("alerts of a schedule could not be evaluated", schedule_id=str(held), exc_info=error)
            broken.add(held)
        else:
            evaluated += 1
    return evaluated


def _begin(broken: set[uuid.UUID]) -> Turn | None:
    with session.transaction() as db:
        occurrence = alerts.begin(db, but=broken)
        if occurrence is None:
            return None
        schedule = db.get_one(Schedule, occurrence.schedule_id)
        job = None if occurrence.job_id is None else db.get(Job, occurrence.job_id)
        return Turn(
            schedule,
            occurrence,
            job,
            None if job is None else result.find(db, job.id),
            {one.name: one for one in alerts.standings(db, schedule.id)},
            alerts.rows(db, schedule.id),
        )


def _evaluate(turn: Turn) -> None:
    from workers.schedules import alert_evaluating  # noqa: PLC0415 - heavy, and most looks find nothing

    is_asked = turn.schedule.deleted_at is None and (turn.job is None or turn.job.status != JobStatus.CANCELLED)
    outcomes = alert_evaluating.outcomes(turn, gives_up=turn.occurrence.alert_tries > MOST_TRIES) if is_asked else []
    with session.transaction() as db:
        _hold(db, turn)
        for outcome in outcomes:
            alert_evaluating.write(db, turn, outcome)
        db.flush()
        failpoints.hit(Point.ALERT_BEFORE_COMMIT)
    failpoints.hit(Point.ALERT_AFTER_COMMIT)
    log.info(
        "alerts",
        schedule_id=str(turn.schedule.id),
        due_at=turn.due_at.isoformat(),
        fired=sum(len(outcome.fired) for outcome in outcomes),
        recovered=sum(len(outcome.recovered) for outcome in outcomes),
        broken=sum(outcome.problem is not None for outcome in outcomes),
    )


def _hold(db: Session, turn: Turn) -> None:
    """Keep everything the evaluation rests on as it is until the transaction ends, and take the mark away.

    Raises:
        ChangedError: it is another already.
    """
    was = turn.schedule
    now = schedules.find(db, was.id, organisation_id=was.organisation_id, lock=True)
    if now is None or (now.alerts, now.deliveries, now.deleted_at) != (was.alerts, was.deliveries, was.deleted_at):
        raise ChangedError
    if alerts.version(alerts.standings(db, was.id)) != alerts.version(turn.standings.values()):
        raise ChangedError
    # Rows of a result that has been erased are not to be written down any more.
    if turn.stored is not None and not result.hold(db, turn.stored.job_id):
        raise ChangedError
    if not alerts.done(db, was.id, turn.due_at):
        raise ChangedError
