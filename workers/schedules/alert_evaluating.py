"""What one slot makes of a schedule's alerts, and writing it: rows, the log, and the messages that tell of it. Heavy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from analytics.alerts import evaluation, figures, sharing
from analytics.alerts.evaluation import Row, Said
from analytics.alerts.figures import Figures, ProblemError, Wanted
from analytics.alerts.judging import Clock, State, Step
from analytics.alerts.sharing import Shares
from analytics.catalogue.alerts import Alert, Kind
from models import alerts
from models.alert import AlertRow, AlertStanding, Change
from models.base import Json, new_id
from models.outbox import Target
from workers.deliveries import receivers
from workers.schedules import alert_telling
from workers.schedules.alerting import Turn

GONE = ProblemError("result-gone", "The result of the report was no longer kept when it was to be looked at.")
GIVEN_UP = ProblemError(
    "evaluation-failed",
    "It could not be evaluated, again and again. The log of the worker for deliveries has the reason.",
)


@dataclass(slots=True)
class Outcome:
    """What a slot makes of one alert.

    Attributes:
        declared: as the schedule has it.
        rows: those that are kept; None: they stay as they are, because there is a problem.
        shares: of rows, the digests of those receivers with a filter whose they are.
    """

    alert: Alert
    declared: Json
    before: dict[bytes, AlertRow]
    standing: AlertStanding | None
    rows: dict[bytes, Row] | None = None
    fired: dict[bytes, Row] = field(default_factory=dict)
    recovered: dict[bytes, Row] = field(default_factory=dict)
    shares: Shares = field(default_factory=Shares)
    remark: str | None = None
    problem: ProblemError | None = None

    def owners(self, known_as: bytes) -> list[str]:
        """Return whose a row is now; of one that is not there nobody knows."""
        return self.shares.seen.get(known_as, [])

    def former_owners(self, known_as: bytes) -> list[str]:
        """Return whose the value was that a row is compared with."""
        return self.before[known_as].owned_by if known_as in self.before else []

    def told_of(self, known_as: bytes) -> list[str]:
        """Return who may hear of a row: whose it was when it began to fire, which may be now.

        A change tells of the value before as well, and so is for those alone whose that was, too.
        """
        before = self.before.get(known_as)
        if before is not None and before.state == State.FIRING:
            return before.seen_by
        owners, former = self.owners(known_as), self.former_owners(known_as)
        match self.alert.when.kind:
            case Kind.CHANGE:
                return [owner for owner in owners if owner in former]
            case Kind.MISSING:
                return owners if known_as in self.shares.seen else former
            case _:
                return owners


def outcomes(turn: Turn, *, gives_up: bool) -> list[Outcome]:
    """Judge every alert that has not seen this slot, or a later one."""
    due = [one for one in map(_outcome_of(turn), turn.schedule.alerts) if _is_due(turn, one)]
    problem = GIVEN_UP if gives_up else GONE if not turn.has_failed and turn.stored is None else None
    if problem is not None:
        for outcome in due:
            outcome.problem = problem
        return due
    filtered = [target for target in _targets(turn) if target.filter is not None]
    header = None if turn.has_failed else _header(turn)
    clock = Clock(turn.due_at, turn.schedule.timezone if header is None else figures.zone_of(header))
    found = _found(turn, due, header, clock, with_rows=bool(filtered))
    for outcome, one in zip(due, found, strict=True):
        _judge(outcome, one, clock)
        if isinstance(one, Figures) and header is not None and outcome.problem is None:
            _share(outcome, one, header, filtered)
    return due


def write(db: Session, turn: Turn, outcome: Outcome) -> None:
    """Write what came of an alert, and who is to be told of it."""
    _write_standing(db, turn, outcome)
    if outcome.rows is not None:
        kept = outcome.rows
        alerts.put_rows(
            db,
            turn.schedule.id,
            outcome.alert.name,
            changed=[_row(turn, outcome, known_as, row) for known_as, row in kept.items()],
            gone=[known_as for known_as in outcome.before if known_as not in kept],
        )
    alerts.log(db, _entries(turn, outcome))
    alert_telling.tell(db, turn, outcome, _targets(turn))


def is_newly_broken(outcome: Outcome) -> bool:
    return outcome.problem is not None and (outcome.standing is None or outcome.standing.problem is None)


def _outcome_of(turn: Turn) -> Any:
    def made(declared: Json) -> Outcome:
        alert = Alert.model_validate(declared)
        standing = turn.standings.get(alert.name)
        # One that asks something else now begins anew.
        same = standing if standing is not None and standing.declaration == declared else None
        return Outcome(alert, declared, turn.rows.get(alert.name, {}) if same is not None else {}, same)

    return made


def _is_due(turn: Turn, outcome: Outcome) -> bool:
    return outcome.standing is None or outcome.standing.due_at < turn.due_at


def _targets(turn: Turn) -> list[Target]:
    return [Target.of(kept) for kept in receivers.expand(turn.schedule.organisation_id, turn.schedule.deliveries)]


def _header(turn: Turn) -> dict[str, Any]:
    if turn.stored is None or turn.job is None:
        raise ValueError("a slot without a result has no header")
    header = turn.stored.header
    return {**header, "params": {**turn.job.params, **(header.get("params") or {})}}


def _found(
    turn: Turn, due: Sequence[Outcome], header: Mapping[str, Any] | None, clock: Clock, *, with_rows: bool
) -> Sequence[Figures | ProblemError | None]:
    if header is None:
        return [None] * len(due)
    wanted = [Wanted(one.alert, known=one.before.keys(), with_rows=with_rows and one.alert.is_of_each) for one in due]
    return figures.read(wanted, header, turn.chunks(), clock)


def _judge(outcome: Outcome, found: Figures | ProblemError | None, clock: Clock) -> None:
    before = {known_as: _known(row) for known_as, row in outcome.before.items()}
    try:
        if isinstance(found, ProblemError):
            raise found
        said: Said = evaluation.evaluate(outcome.alert, before, found, clock)
    except ProblemError as problem:
        outcome.problem = problem
        return
    outcome.rows, outcome.fired, outcome.recovered = said.rows, said.fired, said.recovered
    outcome.remark = said.remark


def _known(row: AlertRow) -> Row:
    return Row(row.key, Step(State(row.state), row.streak), row.value, row.previous)


def _share(outcome: Outcome, found: Figures, header: Mapping[str, Any], filtered: Sequence[Target]) -> None:
    """Find out whose the rows are: of those that are to be told of, and of those that may be in a later run."""
    if outcome.alert.is_of_each and filtered:
        by = {receivers.digest(target): target.filter or {} for target in filtered}
        outcome.shares = sharing.seen_by(found, found.of.keys(), by, header)


def _write_standing(db: Session, turn: Turn, outcome: Outcome) -> None:
    problem, standing = outcome.problem, outcome.standing
    since = None
    if problem is not None:
        since = turn.due_at if is_newly_broken(outcome) or standing is None else standing.problem_since
    if standing is None and outcome.alert.name in turn.standings:
        alerts.forget(db, turn.schedule.id, [outcome.alert.name])
    alerts.put_standing(
        db,
        {
            "schedule_id": turn.schedule.id,
            "name": outcome.alert.name,
            "organisation_id": turn.schedule.organisation_id,
            "declaration": outcome.declared,
            "due_at": turn.due_at,
            "job_id": turn.job_id,
            "remark": outcome.remark,
            "problem": None if problem is None else problem.code,
            "detail": None if problem is None else problem.detail,
            "problem_since": since,
        },
    )


def _row(turn: Turn, outcome: Outcome, known_as: bytes, row: Row) -> Json:
    before = outcome.before.get(known_as)
    has_changed = before is None or before.state != row.at.state
    return {
        "schedule_id": turn.schedule.id,
        "name": outcome.alert.name,
        "digest": known_as,
        "organisation_id": turn.schedule.organisation_id,
        "key": row.key,
        "state": row.at.state.value,
        "streak": row.at.streak,
        "value": row.value,
        "previous": row.previous,
        "since": turn.due_at if has_changed or before is None else before.since,
        "due_at": turn.due_at,
        "job_id": turn.job_id,
        "seen_by": outcome.told_of(known_as) if row.at.state is State.FIRING else [],
        "owned_by": outcome.former_owners(known_as) if row.value is None else outcome.owners(known_as),
    }


def _entries(turn: Turn, outcome: Outcome) -> list[Json]:
    told = [(Change.FIRING, row) for row in outcome.fired.values()]
    told += [(Change.RECOVERED, row) for row in outcome.recovered.values()]
    entries = [_entry(turn, outcome, change, row) for change, row in told]
    if is_newly_broken(outcome):
        entries.append(_entry(turn, outcome, Change.BROKEN, None))
    elif outcome.problem is None and outcome.standing is not None and outcome.standing.problem is not None:
        entries.append(_entry(turn, outcome, Change.MENDED, None))
    return entries


def _entry(turn: Turn, outcome: Outcome, change: Change, row: Row | None) -> Json:
    problem = outcome.problem
    return {
        "id": new_id(),
        "organisation_id": turn.schedule.organisation_id,
        "schedule_id": turn.schedule.id,
        "name": outcome.alert.name,
        "change": change.value,
        "key": None if row is None else row.key,
        "value": None if row is None else row.value,
        "previous": None if row is None else row.previous,
        "problem": None if problem is None else problem.code,
        "detail": None if problem is None else problem.detail,
        "due_at": turn.due_at,
        "job_id": turn.job_id,
    }
