"""Alerts judged when they are declared, as far as the columns of the report are known then, and shown as they stand."""

from collections.abc import Iterator, Sequence

from sqlalchemy.orm import Session

from analytics.catalogue import alert_checks, alert_words, alerts, row_filters
from models import alerts as standing_alerts
from models.alert import AlertChange, AlertRow, AlertStanding, AlertState, Change
from models.alerts import Seen
from models.base import Json
from models.schedule import Schedule
from web import alert_schemas as shapes
from web import problems
from web.delivery_schemas import EmailReceiver, FileReceiver, Receiver, WebhookReceiver
from web.problems import FieldError
from web.receivers import Question

TOLD = frozenset({"firing", "recovered", "broken"})


def check(declared: Sequence[alerts.Alert], question: Question, receivers: Sequence[Receiver] = ()) -> list[Json]:
    """Return alerts as they are kept: canonical, with defaults filled in.

    Raises:
        problems.Problem: two have one name, one does not suit the columns of the report, or a receiver waits for what these
            alerts will never tell.
    """
    wrong = [*_repeated(declared), *_unfit(declared, question), *_untold(declared, receivers)]
    if wrong:
        raise problems.refused(*wrong)
    return [alert.as_json() for alert in declared]


def _repeated(declared: Sequence[alerts.Alert]) -> Iterator[FieldError]:
    for place in alerts.repeated_names(list(declared)):
        detail = f"Another alert of the schedule is called {declared[place].name!r}; each has its own name."
        yield FieldError(f"#/alerts/{place}/name", "repeated-name", detail)


def _unfit(declared: Sequence[alerts.Alert], question: Question) -> Iterator[FieldError]:
    try:
        known = row_filters.kinds(question.type, question.params)
    except row_filters.UnfitError:
        # The columns of a pivot are named by what it finds; its rows can be watched all the same.
        return
    if known is None:
        return
    for place, alert in enumerate(declared):
        for misfit in alert_checks.misfits(alert, known, zone=question.timezone):
            yield FieldError(f"#/alerts/{place}{misfit.path}", misfit.code, misfit.detail)


def _untold(declared: Sequence[alerts.Alert], receivers: Sequence[Receiver]) -> Iterator[FieldError]:
    """Find receivers that would wait for ever."""
    is_of_rows = any(alert.is_of_each for alert in declared)
    for number, receiver in enumerate(receivers):
        for place, word in enumerate(receiver.on):
            pointer = f"#/deliveries/{number}/on/{place}"
            if word not in TOLD:
                continue
            if not declared:
                detail = f"The schedule has no alerts, so that nothing is ever {word}. Give `alerts` as well."
                yield FieldError(pointer, "no-alerts", detail)
            elif _sees_a_part(receiver) and (word == "broken" or not is_of_rows):
                detail = "Whoever gets only some of the rows is told of alerts about each row (`each`), and not that one is broken."
                yield FieldError(pointer, "not-for-parts", detail)


def _sees_a_part(receiver: Receiver) -> bool:
    match receiver:
        case EmailReceiver():
            return receiver.filter is not None or receiver.burst is not None
        case FileReceiver():
            return receiver.filter is not None
        case WebhookReceiver():
            return False


def shown(db: Session, schedule: Schedule) -> shapes.AlertList:
    """Return how the alerts of a schedule stand."""
    seen = standing_alerts.seen(db, schedule)
    data = [_object(declared, seen[str(declared["name"])]) for declared in schedule.alerts]
    return shapes.AlertList(data=data, next=None)


def _object(declared: Json, seen: Seen) -> shapes.AlertObject:
    alert = alerts.Alert.model_validate(declared)
    first = seen.firing[0] if seen.firing else seen.whole
    return shapes.AlertObject(
        name=alert.name,
        declaration=declared,
        figure=alert_words.figure(alert.of),
        condition=alert_words.condition(alert.when),
        recovery=None if alert.recovers is None else alert_words.condition(alert.recovers),
        state=seen.state,
        since=None if first is None else first.since,
        value=None if alert.is_of_each or seen.whole is None else seen.whole.value,
        previous=None if alert.is_of_each or seen.whole is None else seen.whole.previous,
        counts=shapes.AlertCounts(
            firing=seen.counts.get(AlertState.FIRING, 0), pending=seen.counts.get(AlertState.PENDING, 0)
        ),
        firing=[_row(row) for row in seen.firing],
        remark=None if seen.standing is None else seen.standing.remark,
        problem=None if seen.standing is None else _problem(seen.standing),
        evaluated=None if seen.standing is None else _evaluated(seen.standing),
    )


def _row(row: AlertRow) -> shapes.FiringRow:
    return shapes.FiringRow(key=row.key, value=row.value, previous=row.previous, since=row.since)


def _problem(standing: AlertStanding) -> shapes.LastingProblem | None:
    if standing.problem is None:
        return None
    since = standing.problem_since or standing.due_at
    return shapes.LastingProblem(code=standing.problem, detail=standing.detail or "", since=since)


def _evaluated(standing: AlertStanding) -> shapes.Evaluated:
    return shapes.Evaluated(due_at=standing.due_at, job_id=standing.job_id, at=standing.evaluated_at)


def changes(rows: Sequence[AlertChange]) -> list[shapes.AlertChangeObject]:
    """Return entries of the log as they are answered."""
    return [
        shapes.AlertChangeObject(
            id=row.id,
            name=row.name,
            change=Change(row.change),
            key=row.key,
            value=row.value,
            previous=row.previous,
            problem=None if row.problem is None else shapes.AlertProblem(code=row.problem, detail=row.detail or ""),
            due_at=row.due_at,
            job_id=row.job_id,
            at=row.at,
        )
        for row in rows
    ]
