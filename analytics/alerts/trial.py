"""What alerts would say of a result, had they been there: for whoever declares them. Plain values in and out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analytics.alerts import evaluation, figures
from analytics.alerts.evaluation import Row, Said
from analytics.alerts.figures import WHOLE, Figures, ProblemError, Wanted
from analytics.alerts.judging import Clock
from analytics.catalogue import alert_words
from analytics.catalogue.alerts import Alert, OfEach

ROWS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Run:
    """One of a schedule's results.

    Attributes:
        header: with the parameters of the report within; None: there was no report.
        stored: its chunks, which are read once.
        clock: its slot, and the zone of its days.
    """

    header: Mapping[str, Any] | None
    stored: Iterable[bytes]
    clock: Clock


def clock_of(header: Mapping[str, Any] | None, due_at: Any, *, zone: str) -> Clock:
    """Return the clock of a run: days are of the report's zone, or of the schedule's where there is no report."""
    return Clock(due_at, zone if header is None else figures.zone_of(header))


def preview(declared: Sequence[Mapping[str, Any]], this: Run, before: Run | None) -> list[dict[str, Any]]:
    """Return what each alert would say of a run, seen after the one before it."""
    wanted = [Alert.model_validate(one) for one in declared]
    earlier: list[dict[bytes, Row]] = [{} for _ in wanted]
    if before is not None:
        earlier = [{} if isinstance(one, ProblemError) else one.rows for one in _said(wanted, earlier, before)]
    return [_described(alert, said) for alert, said in zip(wanted, _said(wanted, earlier, this), strict=True)]


def _said(wanted: Sequence[Alert], before: Sequence[Mapping[bytes, Row]], run: Run) -> list[Said | ProblemError]:
    found: Sequence[Figures | ProblemError | None] = [None] * len(wanted)
    if run.header is not None:
        asked = [Wanted(alert, known=rows.keys()) for alert, rows in zip(wanted, before, strict=True)]
        found = figures.read(asked, run.header, run.stored, run.clock)
    return [_one(alert, rows, one, run.clock) for alert, rows, one in zip(wanted, before, found, strict=True)]


def _one(
    alert: Alert, rows: Mapping[bytes, Row], found: Figures | ProblemError | None, clock: Clock
) -> Said | ProblemError:
    if isinstance(found, ProblemError):
        return found
    try:
        return evaluation.evaluate(alert, rows, found, clock)
    except ProblemError as problem:
        return problem


def _described(alert: Alert, said: Said | ProblemError) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": alert.name,
        "figure": alert_words.figure(alert.of),
        "condition": alert_words.condition(alert.when),
        "holds": None,
        "value": None,
        "previous": None,
        "rows": [],
        "count": 0,
        "remark": None,
        "problem": None,
    }
    if isinstance(said, ProblemError):
        return {**told, "problem": {"code": said.code, "detail": said.detail}}
    whole = said.rows.get(WHOLE) if not isinstance(alert.of, OfEach) else None
    rows = [row for known_as, row in said.holding.items() if known_as != WHOLE]
    told |= {"holds": bool(said.holding), "count": len(rows), "remark": said.remark}
    if whole is not None:
        told |= {"value": whole.value, "previous": whole.previous}
    told["rows"] = [{"key": row.key, "value": row.value, "previous": row.previous} for row in rows[:ROWS_SHOWN]]
    return told
