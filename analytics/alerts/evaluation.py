"""What one run of a report makes of an alert: its rows' new states, and which of them began or ended to fire."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from analytics.alerts import judging
from analytics.alerts.figures import WHOLE, Figure, Figures, ProblemError, as_value
from analytics.alerts.judging import Clock, MisjudgedError, State, Step, Verdict
from analytics.catalogue.alerts import MOST_KEYS, Alert, Kind, OfCount, OfEach

# Remarks: why there was nothing to compare, without anything being wrong with the alert.
REPORT_FAILED = "report-failed"
NO_PREVIOUS = "no-previous"
NO_VALUE = "no-value"


@dataclass(frozen=True, slots=True)
class Row:
    """How one row stands, or the one figure of an alert that is not about each row; values as they are shown."""

    key: dict[str, Any] | None
    at: Step
    value: Any = None
    previous: Any = None

    @property
    def baseline(self) -> Any:
        """The last value there was."""
        return self.previous if self.value is None else self.value


Rows = Mapping[bytes, Row]


@dataclass(slots=True)
class Said:
    """What is to be kept, and what is to be told; rows by their digests.

    Attributes:
        rows: those that the next run needs.
        fired: those that fire since this run, as they stand now.
        recovered: those that fire no more since this run.
        holding: those for which the alert holds in this run, whether or not in enough runs.
    """

    rows: dict[bytes, Row] = field(default_factory=dict)
    fired: dict[bytes, Row] = field(default_factory=dict)
    recovered: dict[bytes, Row] = field(default_factory=dict)
    holding: dict[bytes, Row] = field(default_factory=dict)
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class _Judged:
    """A row, what was known of it, what is found of it now, and what that says."""

    known_as: bytes
    row: Row | None
    figure: Figure | None
    verdict: Verdict


def evaluate(alert: Alert, before: Rows, found: Figures | None, clock: Clock) -> Said:
    """Judge every row that there is, and every one that was there before.

    Args:
        alert: what is asked.
        before: what the last evaluation kept.
        found: the figures of this run; None: there is no report.
        clock: the slot.

    Raises:
        ProblemError: it cannot be judged. Whatever fires goes on.
    """
    said = Said()
    if found is None:
        _without_report(alert, before, said)
    else:
        for known_as in dict.fromkeys([*before, *found.of]):
            row, figure = before.get(known_as), found.of.get(known_as)
            verdict = _verdict(alert, known_as, row, figure, clock)
            _note(said, alert, _Judged(known_as, row, figure, verdict))
        said.remark = _remark(alert, before, found)
    if len(said.rows) > MOST_KEYS:
        raise ProblemError("too-many-keys", f"More than {MOST_KEYS:,} rows are to be remembered.")
    return said


def _without_report(alert: Alert, before: Rows, said: Said) -> None:
    """Leave everything as it is: what is unknown has not recovered. That there is no report is told by who waits for that."""
    said.rows = dict(before)
    said.remark = REPORT_FAILED
    if alert.when.kind is Kind.MISSING:
        _note(said, alert, _Judged(WHOLE, before.get(WHOLE), None, Verdict.HOLDS))


def _verdict(alert: Alert, known_as: bytes, row: Row | None, figure: Figure | None, clock: Clock) -> Verdict:
    if figure is None:
        # The row is gone. As for the whole of an alert about each row: it only ever says that there was no report.
        is_missed = alert.when.kind is Kind.MISSING and known_as != WHOLE
        return Verdict.HOLDS if is_missed else Verdict.OVER
    if alert.when.kind is Kind.MISSING and not isinstance(alert.of, OfEach):
        # No rows are none to be counted.
        is_nothing = figure.value is None or (figure.value == 0 and isinstance(alert.of, OfCount))
        return Verdict.HOLDS if is_nothing else Verdict.OVER
    previous = None if row is None else as_value(row.baseline)
    if alert.when.kind is Kind.CHANGE and not isinstance(previous, Decimal):
        previous = None
    try:
        return judging.judge(alert, figure.value, previous, clock)
    except MisjudgedError as error:
        raise ProblemError("alert-type", str(error)) from error


def _note(said: Said, alert: Alert, judged: _Judged) -> None:
    row, figure = judged.row, judged.figure
    at = Step() if row is None else row.at
    new = Row(
        key=figure.key if figure is not None else None if row is None else row.key,
        at=judging.step(at, judged.verdict, after=alert.after, recovers_after=alert.recovers_after),
        value=None if figure is None else figure.shown,
        previous=None if row is None else row.baseline,
    )
    if judged.verdict is Verdict.HOLDS:
        said.holding[judged.known_as] = new
    if new.at.state is State.FIRING and at.state is not State.FIRING:
        said.fired[judged.known_as] = new
    if at.state is State.FIRING and new.at.state is not State.FIRING:
        said.recovered[judged.known_as] = new
    if _is_needed(alert, new, figure):
        said.rows[judged.known_as] = new
    else:
        said.rows.pop(judged.known_as, None)


def _is_needed(alert: Alert, row: Row, figure: Figure | None) -> bool:
    """Whether the next run must know of it."""
    if row.at.state is not State.OK or not isinstance(alert.of, OfEach):
        return True
    return figure is not None and alert.when.kind in {Kind.CHANGE, Kind.MISSING}


def _remark(alert: Alert, before: Rows, found: Figures) -> str | None:
    """Say why there was nothing to compare, if there was not."""
    values = [figure.value for figure in found.of.values()]
    if alert.when.kind is Kind.CHANGE and not before and values:
        return NO_PREVIOUS
    if not isinstance(alert.of, OfEach) and alert.when.kind is not Kind.MISSING and values == [None]:
        return NO_VALUE
    return None
