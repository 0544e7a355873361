"""Whether an alert suits the columns that a result will have. Light: the web asks here."""

from collections.abc import Iterator

from analytics.catalogue import row_filters, thresholds
from analytics.catalogue.alerts import Alert, Kind, OfColumn, OfCount, OfEach, OfSummary, Take
from analytics.catalogue.columns import ColumnType
from analytics.catalogue.row_filters import Kinds, Misfit

_DATES = frozenset({ColumnType.DATE, ColumnType.TIMESTAMP})


def misfits(alert: Alert, known: Kinds, *, zone: str) -> Iterator[Misfit]:
    """Yield what is wrong with an alert over a result with these columns; a summary is known once there is a result."""
    of = alert.of
    if isinstance(of, OfSummary):
        return
    if of.where is not None:
        yield from row_filters.misfits(of.where, known, zone=zone, path="/of/where")
    if isinstance(of, OfCount):
        return
    named = [("/of/column", of.column)]
    if isinstance(of, OfEach):
        named += [(f"/of/each/{place}", name) for place, name in enumerate(of.each)]
    missing = [(path, name) for path, name in named if name not in known]
    for path, name in missing:
        yield Misfit(
            path, "unknown-column", f"The result has no column {name!r}; it has: {', '.join(known) or 'no columns'}"
        )
    if not missing:
        yield from _of_other_type(alert, of, known[of.column])


def _of_other_type(alert: Alert, of: OfColumn | OfEach, kind: ColumnType | None) -> Iterator[Misfit]:
    if kind is None:
        return
    if isinstance(of, OfColumn) and of.take in {Take.SUM, Take.MEAN} and kind not in row_filters.NUMERIC:
        yield Misfit(
            "/of/take", "alert-type", f"Column {of.column!r} is of type {kind}, of which there is no {of.take}."
        )
    if alert.when.kind is Kind.AGE and kind not in _DATES:
        yield Misfit("/when/older_than", "alert-type", f"Column {of.column!r} is of type {kind}, and has no age.")
    if alert.when.kind is Kind.CHANGE and kind not in row_filters.NUMERIC:
        yield Misfit(f"/when/{alert.when.name}", "alert-type", f"Column {of.column!r} is of type {kind}, not a number.")
    for part, condition in (("when", alert.when), ("recovers", alert.recovers)):
        if condition is None or (part == "when" and alert.when.kind is not Kind.THRESHOLD):
            continue
        if not thresholds.suits(condition.name, condition.value, is_number=kind in row_filters.NUMERIC):
            detail = f"Column {of.column!r} is of type {kind}; it cannot be compared like this."
            yield Misfit(f"/{part}/{condition.name}", "alert-type", detail)
