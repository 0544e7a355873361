"""Survival curves as rows, as a table of who is at risk when, and as a picture, however the curves were found."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from analytics import errors, result
from analytics.catalogue import columns
from analytics.reports import cells, charts
from analytics.stats import survival

MAX_GROUPS = 200
_CHARTED = 8
_TICKS = 6

# The segments, then the group.
Key = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Curves:
    """Curves by segment and group, in order.

    Attributes:
        labels: the columns of the segments.
        unit: of the times.
    """

    by_key: Mapping[Key, survival.Curve]
    labels: Sequence[str]
    unit: str
    confidence: float

    def named(self, key: Key) -> dict[str, Any]:
        """Return the group and the segments of a curve, by their columns."""
        return {"group": key[-1], **dict(zip(self.labels, key[:-1], strict=True))}


def refuse_many(groups: int) -> None:
    """Refuse more groups than anybody can compare.

    Raises:
        errors.Refusal: there are too many.
    """
    if groups > MAX_GROUPS:
        raise errors.Refusal(
            "too-many-groups",
            f"More than {MAX_GROUPS} groups; group by a column with fewer values, or filter.",
            {"limit": MAX_GROUPS},
        )


def table(found: Curves, described: Sequence[columns.Column]) -> pa.Table:
    """Return one row per curve and time."""
    schema = pa.schema([(column.name, cells.ARROW_TYPES[column.type]) for column in described])
    parts = [schema.empty_table()]
    for key, curve in found.by_key.items():
        counts = curve.counts
        arrays = [counts.times, counts.at_risk, counts.events, counts.censored]
        estimates = [curve.survival, curve.std_err, curve.lower, curve.upper]
        size = len(counts.times)
        parts.append(
            pa.table(
                [
                    pa.array([key[-1]] * size, pa.string()),
                    *(pa.array(values) for values in arrays),
                    *(pa.array(values, from_pandas=True) for values in estimates),
                    *(pa.array([value] * size, pa.string()) for value in key[:-1]),
                ],
                names=schema.names,
            ).cast(schema)
        )
    return pa.concat_tables(parts).combine_chunks()


def at_risk_by_time(found: Curves) -> list[dict[str, Any]]:
    """Return how many reach each of a few evenly spaced times, the same for all curves."""
    longest = max((float(curve.counts.times[-1]) for curve in found.by_key.values()), default=0.0)
    times = np.arange(0.0, longest + 1e-9, max(round(longest / _TICKS), 1))
    lines = []
    for key, curve in found.by_key.items():
        at_risk = [*curve.counts.at_risk.tolist(), 0]
        for time in times.tolist():
            place = int(np.searchsorted(curve.counts.times, time, side="left"))
            lines.append({**found.named(key), "t": time, "at_risk": at_risk[place]})
    return lines


def draw(found: Curves) -> tuple[result.Chart, ...]:
    """Return the picture of the largest groups; none of nobody."""
    curves = found.by_key
    largest = sorted(curves, key=lambda key: -float(curves[key].counts.at_risk[0]))[:_CHARTED]
    shown = [key for key in curves if key in largest]
    if not shown:
        return ()
    rows = [
        {
            "t": time,
            "survival": chance,
            "lower": None if np.isnan(lower) else lower,
            "upper": None if np.isnan(upper) else upper,
            "group": " / ".join(str(part) for part in (key[-1], *key[:-1])),
        }
        for key in shown
        for time, chance, lower, upper in _points(curves[key])
    ]
    title = "Customers who stay" if len(shown) == len(curves) else f"Customers who stay, {_CHARTED} largest groups"
    return (
        charts.steps(f"{title}, with {found.confidence:.0%} intervals", rows, x="t", y="survival", unit=found.unit),
    )


def _points(curve: survival.Curve) -> Iterator[tuple[float, float, float, float]]:
    if curve.counts.times[0] > 0.0:
        yield 0.0, 1.0, 1.0, 1.0
    found = (curve.counts.times, curve.survival, curve.lower, curve.upper)
    yield from zip(*(values.tolist() for values in found), strict=True)


def invariants(curves: Iterable[survival.Curve]) -> tuple[result.Invariant, ...]:
    """Return what holds of every curve."""
    every = list(curves)
    falling = all(
        bool(np.all(np.diff(curve.survival, prepend=1.0) <= 0.0) and np.all(curve.survival >= 0.0)) for curve in every
    )
    inside = all(
        not np.any((curve.lower > curve.survival + 1e-12) | (curve.upper < curve.survival - 1e-12)) for curve in every
    )
    return (
        result.Invariant("survival_never_rises", falling, f"{len(every)} curves fall from 1 and end above or at 0"),
        result.Invariant("interval_holds_survival", inside, "lower <= survival <= upper wherever they are defined"),
    )
