"""Firing: every slot of every schedule is decided once, by whichever beat comes first.

Beat only pokes. Each schedule is locked, decided and committed in a transaction of its own: the row of the occurrence, the
job, and the slot that comes next, all or nothing. Any number may do it at once, and each may die anywhere.
"""

import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from models import failpoints, schedules, session, settings, transitions, upkeep
from models.failpoints import Point
from models.job_states import JobStatus
from models.schedule import CatchUp, OccurrenceStatus, Overlap, Schedule, ScheduleOccurrence
from models.schedules import Decision
from models.upkeep import Upkeep
from workers import errors, publisher
from workers.deliveries import poking
from workers.publisher import Lane
from workers.refusals import RefusedError
from workers.schedules import alerting, pausing, planning, reusing

# So many slots of one outage are listed at most, and so many wait for an earlier one.
MOST_LISTED = 100
MOST_WAITING = 100
LONGEST_DETAIL = 1_000
JUST_BEFORE = timedelta(microseconds=1)

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Done:
    """What one round has decided."""

    fired: int = 0
    waiting: int = 0
    skipped: int = 0
    failed: int = 0
    paused: int = 0
    to_evaluate: int = 0
    """Slots whose alerts are to be evaluated now."""

    @property
    def did_something(self) -> bool:
        return any((self.fired, self.waiting, self.skipped, self.failed, self.paused, self.to_evaluate))


@dataclass(slots=True)
class _Turn:
    """One schedule, locked, and the moment it is looked at."""

    db: Session
    schedule: Schedule
    moment: datetime
    done: Done = field(default_factory=Done)
    lanes: set[Lane] = field(default_factory=set)


_Find = Callable[[Session, datetime, Collection[uuid.UUID]], Schedule | None]


def poke() -> Done:
    """Do what is due by the database's clock."""
    with session.transaction() as db:
        upkeep.note(db, Upkeep.SCHEDULES)
    return tend()


def stand_in() -> bool:
    """Do what is due if nobody has looked for three times as long as they should; False: somebody has.

    The way of an ordinary poke is through Redis and a worker. This one needs neither, so that an outage of either lets no slot
    come too late.
    """
    overdue = 3 * settings.load().schedule_seconds
    with session.transaction() as db:
        taken = upkeep.take_over(db, Upkeep.SCHEDULES, overdue_seconds=overdue)
    if taken:
        tend()
    return taken


def tend(moment: datetime | None = None) -> Done:
    """Count the jobs that have ended, let go what waited for them, then decide every slot that is due.

    Args:
        moment: the time to go by; None: the database's, looked at anew for each schedule.
    """
    done = Done()
    rounds: tuple[tuple[_Find, Callable[[_Turn], None]], ...] = (
        (lambda db, _, but: schedules.lock_unsettled(db, but=but), _settle),
        (lambda db, _, but: schedules.lock_released(db, but=but), _release),
        (lambda db, now, but: schedules.lock_due(db, now, but=but), _fire),
    )
    for find, act in rounds:
        _each(find, act, moment, done)
    if done.did_something:
        log.info(
            "schedules",
            fired=done.fired,
            waiting=done.waiting,
            skipped=done.skipped,
            failed=done.failed,
            paused=done.paused,
            to_evaluate=done.to_evaluate,
        )
    if done.to_evaluate:
        poking.poke()
    return done


def _each(find: _Find, act: Callable[[_Turn], None], moment: datetime | None, done: Done) -> None:
    """Take one schedule after another for as long as there are any. One that cannot be dealt with does not stop the others."""
    broken: set[uuid.UUID] = set()
    while True:
        held = None
        try:
            with session.transaction() as db:
                now = moment or schedules.now(db)
                schedule = find(db, now, broken)
                if schedule is None:
                    return
                held, turn = schedule.id, _Turn(db, schedule, now)
                act(turn)
                db.flush()
                failpoints.hit(Point.SCHEDULE_BEFORE_COMMIT)
        except (*errors.DATABASE_AWAY, *errors.OUT_OF_TIME):
            raise
        except Exception as error:
            # An error nobody foresaw is of one schedule: it is tried again with the next poke, after all the others.
            if held is None:
                raise
            log.exception("a schedule could not be dealt with", schedule_id=str(held), exc_info=error)
            broken.add(held)
            continue
        failpoints.hit(Point.SCHEDULE_AFTER_COMMIT)
        _add(done, turn.done)
        publisher.publish(turn.lanes)


def _add(total: Done, one: Done) -> None:
    for name in Done.__slots__:
        setattr(total, name, getattr(total, name) + getattr(one, name))


def _settle(turn: _Turn) -> None:
    """Count how the jobs of fired slots ended. One that somebody cancelled counts neither way."""
    for occurrence, job in schedules.ended(turn.db, turn.schedule):
        occurrence.settled_at = turn.moment
        # One that somebody cancelled says nothing.
        if job.status != JobStatus.CANCELLED:
            turn.done.to_evaluate += alerting.mark(turn.schedule, occurrence)
        if job.status == JobStatus.SUCCEEDED:
            turn.schedule.consecutive_failures = 0
        elif job.status == JobStatus.FAILED:
            problem = job.error or {}
            _count_failure(turn, str(problem.get("detail") or problem.get("title") or "The job failed."))


def _release(turn: _Turn) -> None:
    """Start the oldest slot that waits, now that nothing is unfinished before it; those that fail at once make way."""
    for occurrence in schedules.waiting(turn.db, turn.schedule):
        if turn.schedule.paused_at is not None or schedules.has_unfinished_job(turn.db, turn.schedule):
            return
        _start(turn, occurrence)


def _fire(turn: _Turn) -> None:
    """Decide every slot that is due."""
    schedule = turn.schedule
    if schedule.next_due_at is None:
        return
    last = schedule.next_due_at - JUST_BEFORE
    found = planning.recurrence_of(schedule).newest(last, turn.moment, limit=MOST_LISTED)
    if not found.complete:
        log.warning("more slots were missed than are listed", schedule_id=str(schedule.id), listed=MOST_LISTED)
    due = [slot for slot in found.slots if planning.fire_at(schedule, slot) <= turn.moment]
    late = [slot for slot in due if _is_late(turn, slot)]
    wanted = _wanted(schedule, due, late)
    for slot in due:
        if slot in wanted:
            _take(turn, slot, made_up=len(late) > 1 and slot in late)
        else:
            _skip(turn, slot, "missed", "Nothing fired it in time, and `catch_up` does not make up for it.")
        last = slot
        if schedule.paused_at is not None:
            break
    planning.go_on(schedule, after=last)


def _is_late(turn: _Turn, slot: datetime) -> bool:
    allowed = timedelta(seconds=settings.load().schedule_late_seconds)
    return turn.moment - planning.fire_at(turn.schedule, slot) > allowed


def _wanted(schedule: Schedule, due: Sequence[datetime], late: Sequence[datetime]) -> set[datetime]:
    """Return the slots to fire: those on time, and of the late ones those that are made up for."""
    on_time = set(due) - set(late)
    match CatchUp(schedule.catch_up):
        case CatchUp.SKIP:
            return on_time
        case CatchUp.LAST:
            return on_time or set(late[-1:])
        case CatchUp.ALL:
            return on_time | set(late[-schedule.catch_up_max :])


def _take(turn: _Turn, slot: datetime, *, made_up: bool) -> None:
    """Start a slot, or let it wait or go because of an earlier one.

    Slots that are made up for come all at once, which is the outage's doing: they wait for each other, whatever `overlap` says.
    """
    line = schedules.waiting(turn.db, turn.schedule)
    if not line and not schedules.has_unfinished_job(turn.db, turn.schedule):
        if _write(turn, slot, OccurrenceStatus.WAITING):
            _start(turn, turn.db.get_one(ScheduleOccurrence, (turn.schedule.id, slot)))
    elif turn.schedule.overlap == Overlap.SKIP and not made_up:
        _skip(turn, slot, "overlap", "The job of an earlier slot had not ended.")
    elif len(line) >= MOST_WAITING:
        _skip(turn, slot, "queue-full", f"{MOST_WAITING} earlier slots were waiting already.")
    elif _write(turn, slot, OccurrenceStatus.WAITING):
        turn.done.waiting += 1


def _start(turn: _Turn, occurrence: ScheduleOccurrence) -> None:
    """Accept the job of a slot that is written down, or write why there is none."""
    occurrence.decided_at = turn.moment
    try:
        plan = planning.plan(turn.db, turn.schedule, occurrence.due_at)
    except RefusedError as refusal:
        occurrence.status = OccurrenceStatus.FAILED
        occurrence.reason, occurrence.detail = refusal.why, refusal.detail[:LONGEST_DETAIL]
        turn.done.failed += 1
        turn.done.to_evaluate += alerting.mark(turn.schedule, occurrence)
        _count_failure(turn, refusal.detail)
        return
    new = planning.new_job(turn.schedule, plan, due_at=occurrence.due_at)
    job = reusing.accept(turn.db, new, max_age=turn.schedule.max_age) or transitions.accept(turn.db, new)
    failpoints.hit(Point.SCHEDULE_AFTER_JOB)
    occurrence.status = OccurrenceStatus.FIRED
    occurrence.job_id = job.id
    turn.lanes.add(Lane(job.organisation_id, job.queue))
    turn.done.fired += 1


def _count_failure(turn: _Turn, detail: str) -> None:
    if pausing.count_failure(turn.db, turn.schedule, at=turn.moment, detail=detail):
        log.warning("schedule paused", schedule_id=str(turn.schedule.id), failures=turn.schedule.consecutive_failures)
        turn.done.paused += 1


def _skip(turn: _Turn, slot: datetime, reason: str, detail: str) -> None:
    if _write(turn, slot, OccurrenceStatus.SKIPPED, reason=reason, detail=detail):
        turn.done.skipped += 1


def _write(
    turn: _Turn, slot: datetime, status: OccurrenceStatus, *, reason: str | None = None, detail: str | None = None
) -> bool:
    decision = Decision(slot, status, turn.moment, reason=reason, detail=detail)
    return schedules.decide(turn.db, turn.schedule, decision)
