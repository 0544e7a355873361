"""Who is told that an alert fires, is over, or is broken, and what: receivers with a filter only of rows that are their own."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from analytics.catalogue import alert_words
from analytics.catalogue.alerts import OfEach
from models import outbox
from models.base import Json
from models.delivery import Channel
from models.outbox import EventType, Target
from workers.deliveries import receivers

if TYPE_CHECKING:
    from analytics.alerts.evaluation import Row
    from workers.schedules.alert_evaluating import Outcome
    from workers.schedules.alerting import Turn

ROWS_TOLD = 20


def tell(db: Session, turn: "Turn", outcome: "Outcome", targets: Sequence[Target]) -> None:
    """Record what is to be told of a slot's evaluation: one event for each direction, however many rows."""
    for event, rows in ((EventType.ALERT_FIRING, outcome.fired), (EventType.ALERT_RECOVERED, outcome.recovered)):
        if rows:
            _tell_of_rows(db, turn, outcome, (event, rows), targets)
    if outcome.problem is not None and (outcome.standing is None or outcome.standing.problem is None):
        _tell_of_problem(db, turn, outcome, targets)


def _tell_of_rows(
    db: Session,
    turn: "Turn",
    outcome: "Outcome",
    told: "tuple[EventType, Mapping[bytes, Row]]",
    targets: Sequence[Target],
) -> None:
    event, rows = told
    firing = _firing(outcome)
    counts = {"changed": len(rows), "firing": len(firing)}
    _record(db, turn, event, {**_about(turn, outcome), **counts, "links": _links(turn)}, targets)
    for target in _wanting(event, targets):
        if target.channel is Channel.FILE and (event is not EventType.ALERT_FIRING or turn.has_failed):
            continue
        mine = rows if target.filter is None else _theirs(outcome, rows, target)
        # A filter that does not suit the rows fails when it is to be sent, and that is told: nobody waits for ever.
        if mine or (event is EventType.ALERT_FIRING and _digest(target) in outcome.shares.unfit):
            _record_to(db, turn, event, _letter(turn, outcome, mine, target), target)


def _letter(turn: "Turn", outcome: "Outcome", rows: "Mapping[bytes, Row]", target: Target) -> Json:
    """Return what one receiver is told: rows, counts and links are of what this one may see."""
    firing = _firing(outcome)
    if target.filter is not None:
        firing = [known_as for known_as in firing if _digest(target) in outcome.told_of(known_as)]
    alert = outcome.alert
    return {
        **_about(turn, outcome),
        "changed": len(rows),
        "firing": len(firing),
        "figure": alert_words.figure(alert.of),
        "condition": alert_words.condition(alert.when),
        "of_each": alert.is_of_each,
        "has_report": not turn.has_failed,
        "key": _key_columns(outcome),
        "rows": [_told(outcome, known_as, row, target) for known_as, row in list(rows.items())[:ROWS_TOLD]],
        "links": _links(turn) if target.filter is None else {},
    }


def _told(outcome: "Outcome", known_as: bytes, row: "Row", target: Target) -> list[Any]:
    """Return what is told of a row: its key, its value and the one before, as far as they are of a row that was the receiver's.

    As a list it is a record to an erasure, which takes the whole of it out when it is about the person.
    """
    value, previous = row.value, row.previous
    if target.filter is not None:
        digest = _digest(target)
        value = value if digest in outcome.owners(known_as) else None
        previous = previous if digest in outcome.former_owners(known_as) else None
    return [*((row.key or {}).get(name) for name in _key_columns(outcome)), value, previous]


def _key_columns(outcome: "Outcome") -> list[str]:
    # In the order in which they are declared: the database keeps the members of an object in one of its own.
    of = outcome.alert.of
    return list(of.each) if isinstance(of, OfEach) else []


def _tell_of_problem(db: Session, turn: "Turn", outcome: "Outcome", targets: Sequence[Target]) -> None:
    if outcome.problem is None:
        return
    problem = {"problem": outcome.problem.code, "detail": outcome.problem.detail}
    data = {**_about(turn, outcome), **problem, "links": _links(turn)}
    _record(db, turn, EventType.ALERT_BROKEN, data, targets)
    named = [target for target in _wanting(EventType.ALERT_BROKEN, targets) if target.channel is Channel.EMAIL]
    # What is said of an alert that cannot be evaluated is about no row, and so for nobody who sees a part.
    wanting = [target for target in named if target.filter is None]
    for target in wanting or receivers.contact(db, turn.schedule.organisation_id, on="broken"):
        _record_to(db, turn, EventType.ALERT_BROKEN, data, target)


def _firing(outcome: "Outcome") -> Collection[bytes]:
    return [known_as for known_as, row in (outcome.rows or {}).items() if row.at.state == "firing"]


def _theirs(outcome: "Outcome", rows: "Mapping[bytes, Row]", target: Target) -> "Mapping[bytes, Row]":
    """Return the rows that are a receiver's own. Of figures of all rows it is told nothing."""
    if not outcome.alert.is_of_each:
        return {}
    digest = _digest(target)
    return {
        known_as: row for known_as, row in rows.items() if row.key is not None and digest in outcome.told_of(known_as)
    }


def _digest(target: Target) -> str:
    return receivers.digest(target)


def _wanting(event: EventType, targets: Sequence[Target]) -> list[Target]:
    word = event.value.partition(".")[2]
    return [target for target in targets if target.channel is not Channel.WEBHOOK and word in target.on]


def _about(turn: "Turn", outcome: "Outcome") -> Json:
    return {
        "schedule_id": str(turn.schedule.id),
        "schedule": turn.schedule.name,
        "alert": outcome.alert.name,
        "due_at": turn.due_at.isoformat().replace("+00:00", "Z"),
        "job_id": None if turn.job_id is None else str(turn.job_id),
    }


def _links(turn: "Turn") -> dict[str, str]:
    here = f"/v1/schedules/{turn.schedule.id}/alerts"
    links = {"self": here, "changes": f"{here}/changes"}
    return links if turn.job_id is None else {**links, "report": f"/v1/reports/{turn.job_id}"}


def _record(db: Session, turn: "Turn", event: EventType, data: Json, targets: Sequence[Target]) -> None:
    webhooks = [target for target in targets if target.channel is Channel.WEBHOOK]
    outbox.record(
        db,
        turn.schedule.organisation_id,
        event,
        data,
        job_id=turn.job_id,
        schedule_id=turn.schedule.id,
        targets=webhooks,
    )


def _record_to(db: Session, turn: "Turn", event: EventType, data: Json, target: Target) -> None:
    outbox.record_to(
        db, turn.schedule.organisation_id, event, data, target, job_id=turn.job_id, schedule_id=turn.schedule.id
    )
