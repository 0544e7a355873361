"""Reading how alerts stand, and the statements by which any number of workers evaluate each slot once."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, delete, exists, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.alert import AlertChange, AlertRow, AlertStanding, AlertState
from models.base import Json
from models.schedule import Schedule, ScheduleOccurrence

ROWS_SHOWN = 100
# Of what is not about each row.
WHOLE = bytes(16)
# Beside the states of rows, what an alert can be.
BROKEN = "broken"

# --- Reading ---


@dataclass(slots=True)
class Seen:
    """How an alert stands.

    Attributes:
        standing: None: it has not been evaluated yet.
        whole: the one figure of an alert that is not about each row.
        firing: the first rows that fire, those that have done so for longest first.
        counts: how many rows there are in each state.
    """

    standing: AlertStanding | None = None
    whole: AlertRow | None = None
    firing: list[AlertRow] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def state(self) -> AlertState | None:
        """The gravest state of its rows; None: it has not been evaluated yet. Whether it is broken its problem says."""
        if self.standing is None:
            return None
        return next(
            (state for state in (AlertState.FIRING, AlertState.PENDING) if self.counts.get(state)), AlertState.OK
        )


def seen(session: Session, schedule: Schedule) -> dict[str, Seen]:
    """Return how the alerts of a schedule stand, by their names, in the order in which they are declared."""
    found = {str(declared["name"]): Seen() for declared in schedule.alerts}
    for standing in standings(session, schedule.id):
        if _is_current(schedule, standing):
            found[standing.name].standing = standing
    counted = (
        select(AlertRow.name, AlertRow.state, func.count())
        .where(AlertRow.schedule_id == schedule.id)
        .group_by(AlertRow.name, AlertRow.state)
    )
    for name, state, count in session.execute(counted):
        if name in found:
            found[name].counts[state] = count
    for name, one in found.items():
        if one.standing is not None:
            one.whole = session.get(AlertRow, (schedule.id, name, WHOLE))
            one.firing = _firing(session, schedule.id, name) if one.counts.get(AlertState.FIRING) else []
    return found


def _firing(session: Session, schedule_id: uuid.UUID, name: str) -> list[AlertRow]:
    query = (
        select(AlertRow)
        .where(AlertRow.schedule_id == schedule_id, AlertRow.name == name, AlertRow.state == AlertState.FIRING)
        .order_by(AlertRow.since, AlertRow.digest)
        .limit(ROWS_SHOWN)
    )
    return list(session.scalars(query))


def changes(
    session: Session, schedule_id: uuid.UUID, *, limit: int, name: str | None = None, before: uuid.UUID | None = None
) -> list[AlertChange]:
    """Return entries of the log, newest first; with `before`, those that were written before that one."""
    query = select(AlertChange).where(AlertChange.schedule_id == schedule_id)
    if name is not None:
        query = query.where(AlertChange.name == name)
    if before is not None:
        query = query.where(AlertChange.id < before)
    return list(session.scalars(query.order_by(AlertChange.id.desc()).limit(limit)))


def forget_changed(session: Session, schedule: Schedule) -> int:
    """Remove what is known of alerts that the schedule does not have any more as they were; returns of how many.

    Whoever changes `schedule.alerts` calls this in the same transaction, with the schedule locked.
    """
    changed = [one.name for one in standings(session, schedule.id) if not _is_current(schedule, one)]
    return forget(session, schedule.id, changed)


def standings(session: Session, schedule_id: uuid.UUID) -> list[AlertStanding]:
    query = select(AlertStanding).where(AlertStanding.schedule_id == schedule_id).order_by(AlertStanding.name)
    return list(session.scalars(query.execution_options(populate_existing=True)))


def _is_current(schedule: Schedule, standing: AlertStanding) -> bool:
    return standing.declaration in schedule.alerts


def forget(session: Session, schedule_id: uuid.UUID, names: Collection[str]) -> int:
    """Remove what is known of alerts, but for the log; returns of how many."""
    gone = delete(AlertStanding).where(AlertStanding.schedule_id == schedule_id, AlertStanding.name.in_(names))
    return len(session.scalars(gone.returning(AlertStanding.name)).all()) if names else 0


# --- Evaluating ---


def begin(session: Session, *, but: Collection[uuid.UUID]) -> ScheduleOccurrence | None:
    """Return the oldest slot that is to be evaluated, and count that it has been begun; None: there is none.

    Others may begin the same one. Whoever commits first has done it: see `done`.
    """
    oldest = (
        select(ScheduleOccurrence.schedule_id, ScheduleOccurrence.due_at)
        .where(ScheduleOccurrence.alerts_due, ScheduleOccurrence.schedule_id.not_in(but))
        .order_by(ScheduleOccurrence.due_at, ScheduleOccurrence.schedule_id)
        .limit(1)
    ).subquery()
    return session.scalar(
        update(ScheduleOccurrence)
        .where(
            ScheduleOccurrence.schedule_id == oldest.c.schedule_id,
            ScheduleOccurrence.due_at == oldest.c.due_at,
            ScheduleOccurrence.alerts_due,
        )
        .values(alert_tries=ScheduleOccurrence.alert_tries + 1)
        .returning(ScheduleOccurrence)
        .execution_options(populate_existing=True)
    )


def rows(session: Session, schedule_id: uuid.UUID) -> dict[str, dict[bytes, AlertRow]]:
    """Return what is kept of each alert's rows, in an order that is always the same: the log and letters follow it."""
    found: dict[str, dict[bytes, AlertRow]] = defaultdict(dict)
    query = select(AlertRow).where(AlertRow.schedule_id == schedule_id)
    for row in session.scalars(query.order_by(AlertRow.since, AlertRow.digest)):
        found[row.name][row.digest] = row
    return found


def version(known: Iterable[AlertStanding]) -> dict[str, datetime]:
    """Return what tells whether the same has been evaluated: each evaluation, and each erasure, makes another of it."""
    return {one.name: one.evaluated_at for one in known}


def done(session: Session, schedule_id: uuid.UUID, due_at: datetime) -> bool:
    """Take the mark away from a slot; False: somebody else has."""
    taken = (
        update(ScheduleOccurrence)
        .where(
            ScheduleOccurrence.schedule_id == schedule_id,
            ScheduleOccurrence.due_at == due_at,
            ScheduleOccurrence.alerts_due,
        )
        .values(alerts_due=False)
    )
    return session.scalar(taken.returning(ScheduleOccurrence.due_at)) is not None


def put_standing(session: Session, values: Mapping[str, Any]) -> None:
    """Write how an alert stands now."""
    statement = insert(AlertStanding).values(**values, evaluated_at=func.clock_timestamp())
    changed = {name: statement.excluded[name] for name in (*values, "evaluated_at")}
    session.execute(statement.on_conflict_do_update(index_elements=["schedule_id", "name"], set_=changed))


def put_rows(
    session: Session,
    schedule_id: uuid.UUID,
    name: str,
    *,
    changed: Sequence[Json],
    gone: Sequence[bytes],
) -> None:
    """Write rows of an alert, and remove those that are needed no more."""
    if gone:
        of_these = (AlertRow.schedule_id == schedule_id, AlertRow.name == name, AlertRow.digest.in_(gone))
        session.execute(delete(AlertRow).where(*of_these).execution_options(synchronize_session=False))
    if changed:
        statement = insert(AlertRow)
        new = {column: statement.excluded[column] for column in changed[0]}
        session.connection().execute(
            statement.on_conflict_do_update(index_elements=["schedule_id", "name", "digest"], set_=new), list(changed)
        )


def log(session: Session, entries: Sequence[Json]) -> None:
    """Add to the log."""
    if entries:
        session.connection().execute(insert(AlertChange), list(entries))


def forget_old(session: Session, *, keep_for: timedelta, limit: int) -> int:
    """Remove at most so many entries of the log that are older than this; returns how many."""
    old = select(AlertChange.id).where(AlertChange.at < func.now() - keep_for).limit(limit)
    return len(session.scalars(delete(AlertChange).where(AlertChange.id.in_(old)).returning(AlertChange.id)).all())


def forget_deleted(session: Session, *, limit: int) -> int:
    """Remove what is known of the alerts of deleted schedules, but for the log, of at most so many; returns of how many."""
    deleted = (
        select(AlertStanding.schedule_id, AlertStanding.name)
        .join(Schedule, Schedule.id == AlertStanding.schedule_id)
        .where(Schedule.deleted_at.is_not(None))
        .limit(limit)
    )
    gone = delete(AlertStanding).where(tuple_(AlertStanding.schedule_id, AlertStanding.name).in_(deleted))
    return len(session.scalars(gone.returning(AlertStanding.name)).all())


# --- Figures ---


@dataclass(frozen=True, slots=True)
class Figures:
    """How the alerts of all organisations stand."""

    states: Mapping[str, int]
    """How many alerts are ok, pending, firing or broken; of several the gravest, broken before all."""

    due: int
    """How many slots are still to be evaluated."""

    oldest_due: float | None
    """For how many seconds the one has waited that has for longest, since its slot was settled or decided."""


def figures(session: Session) -> Figures:
    has = {
        state: exists().where(
            AlertRow.schedule_id == AlertStanding.schedule_id,
            AlertRow.name == AlertStanding.name,
            AlertRow.state == state,
        )
        for state in (AlertState.FIRING, AlertState.PENDING)
    }
    state = case(
        (AlertStanding.problem.is_not(None), BROKEN),
        (has[AlertState.FIRING], AlertState.FIRING.value),
        (has[AlertState.PENDING], AlertState.PENDING.value),
        else_=AlertState.OK.value,
    )
    states = select(state, func.count()).join(Schedule, Schedule.id == AlertStanding.schedule_id)
    states = states.where(Schedule.deleted_at.is_(None)).group_by(state)
    since = func.coalesce(ScheduleOccurrence.settled_at, ScheduleOccurrence.decided_at)
    waits = select(func.count(), func.extract("epoch", func.now() - func.min(since)))
    due, oldest = session.execute(waits.where(ScheduleOccurrence.alerts_due)).one()
    counted = dict.fromkeys((*map(str, AlertState), BROKEN), 0)
    for name, count in session.execute(states):
        counted[name] = count
    return Figures(counted, due, None if oldest is None else float(oldest))
