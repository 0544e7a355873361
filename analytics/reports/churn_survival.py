"""Computes `churn_survival`: the engine counts lifetimes by length, `analytics.stats.survival` draws the curves."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
from ibis.expr import types as ir

from analytics import errors, result
from analytics.catalogue import churn_survival
from analytics.reports import cells, charts, lifetimes
from analytics.stats import survival

MAX_GROUPS = 200
_CHARTED = 8
_FEW_EVENTS = 10
_TICKS = 6
_AHEAD = {
    churn_survival.TimeUnit.DAY: 30.0,
    churn_survival.TimeUnit.WEEK: 4.0,
    churn_survival.TimeUnit.MONTH: 1.0,
    churn_survival.TimeUnit.YEAR: 1.0,
}

# The segments, then the group.
Key = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """The curves by segment and group, in order, and what they were made of; `labels` name the segments."""

    seen: lifetimes.Lifetimes
    labels: Sequence[str]
    curves: Mapping[Key, survival.Curve]
    horizon: float

    @property
    def names(self) -> list[str]:
        return [*self.seen.segments, "group"]

    def leaving(self, key: Key, ages: survival.Floats) -> survival.Floats:
        """Return the chance to leave within the horizon at each age; NaN where the curve does not reach that far."""
        curve = self.curves[key]
        now, then = curve.at(ages), curve.at(ages + self.horizon)
        with np.errstate(divide="ignore", invalid="ignore"):
            chance = np.where(now > 0.0, 1.0 - then / now, np.nan)
        return np.where(ages + self.horizon <= curve.reach, chance, np.nan)


def compute(tables: Mapping[str, ir.Table], params: churn_survival.ChurnSurvivalParams) -> result.Result:
    """Return one row per segment, group and time, in that order, as `catalogue.churn_survival` defines.

    Raises:
        errors.Refusal: a dataset or column is not there, a value does not say whether somebody left, a filter value
            does not suit its column, or there are too many groups.
    """
    seen = lifetimes.build(tables, params)
    horizon = params.horizon or (1.0 if params.duration is not None else _AHEAD[params.time_unit])
    described = tuple(
        dataclasses.replace(column, unit=seen.unit) if column.unit == "time_unit" else column
        for column in cells.describe(churn_survival.TYPE.columns, params, currency=params.currency)
    )
    labels = [column.name for column in described[len(churn_survival.TYPE.columns) :]]
    found = _Found(seen, labels, _curves(seen, params), horizon)
    test = survival.log_rank(_strata(found))
    return result.Result(
        columns=described,
        rows=_rows(found, [column.name for column in described], described),
        summary=_summary(found, params, test),
        charts=_charts(found, params),
        warnings=(*seen.warnings, *_warnings(found)),
        dropped=seen.dropped,
        invariants=_invariants(found, test),
        rows_read=seen.rows_read,
    )


def _curves(seen: lifetimes.Lifetimes, params: churn_survival.ChurnSurvivalParams) -> dict[Key, survival.Curve]:
    names = [*seen.segments, "group"]
    table = seen.table
    counted = table.group_by(*names, "t").aggregate(
        events=table.left.cast("int64").sum(), censored=(~table.left).cast("int64").sum()
    )
    ordered = counted.order_by([*(ibis.asc(name, nulls_first=False) for name in names), "t"]).to_pyarrow()
    keys = list(zip(*(ordered[name].to_pylist() for name in names), strict=True))
    columns = [ordered[name].to_numpy() for name in ("t", "events", "censored")]
    curves: dict[Key, survival.Curve] = {}
    begin = 0
    for place in range(1, len(keys) + 1):
        if place < len(keys) and keys[place] == keys[begin]:
            continue
        if len(curves) == MAX_GROUPS:
            raise errors.Refusal(
                "too-many-groups",
                f"More than {MAX_GROUPS} groups; group by a column with fewer values, or filter.",
                {"limit": MAX_GROUPS},
            )
        counts = survival.Counts(*(column[begin:place] for column in columns))
        log_log = params.interval is churn_survival.Interval.LOGLOG
        curves[keys[begin]] = survival.kaplan_meier(counts, confidence=params.confidence, log_log=log_log)
        begin = place
    return curves


def _strata(found: _Found) -> list[list[survival.Counts]]:
    """Return per segment the counts of every group, empty where a segment has none of it."""
    nobody = survival.Counts(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
    groups = list(dict.fromkeys(key[-1] for key in found.curves))
    segments = list(dict.fromkeys(key[:-1] for key in found.curves))
    return [
        [found.curves[(*segment, group)].counts if (*segment, group) in found.curves else nobody for group in groups]
        for segment in segments
    ]


def _rows(found: _Found, names: Sequence[str], described: Sequence[Any]) -> pa.Table:
    schema = pa.schema([(column.name, cells.ARROW_TYPES[column.type]) for column in described])
    parts = [pa.Table.from_pylist([], schema=schema)]
    for key, curve in found.curves.items():
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
                names=list(names),
            ).cast(schema)
        )
    return pa.concat_tables(parts).combine_chunks()


def _summary(
    found: _Found, params: churn_survival.ChurnSurvivalParams, test: survival.LogRank | None
) -> dict[str, Any]:
    as_of = found.seen.as_of
    groups = [_group(found, key) for key in found.curves]
    return {
        "as_of": None if as_of is None else as_of.isoformat().replace("+00:00", "Z"),
        "lifetimes": sum(group["n"] for group in groups),
        "events": sum(group["events"] for group in groups),
        "time_unit": found.seen.unit,
        "horizon": found.horizon,
        "groups": groups,
        "logrank": None if test is None else {"chi2": test.chi2, "df": test.df, "p": test.p},
        "at_risk_by_time": [line for key in found.curves for line in _ticks(found, key)],
        "at_risk_list": _at_risk(found, params),
    }


def _named(found: _Found, key: Key) -> dict[str, Any]:
    return {"group": key[-1], **dict(zip(found.labels, key[:-1], strict=True))}


def _group(found: _Found, key: Key) -> dict[str, Any]:
    curve = found.curves[key]
    median, lower, upper = curve.median()
    ages, present = curve.counts.times, curve.counts.censored
    chances = found.leaving(key, ages)
    known = ~np.isnan(chances)
    return {
        **_named(found, key),
        "n": int((curve.counts.events + present).sum()),
        "events": int(curve.counts.events.sum()),
        "median": median,
        "median_lower": lower,
        "median_upper": upper,
        "present": int(present.sum()),
        "expected_losses": float(np.sum(chances[known] * present[known])),
        "beyond_the_curve": int(present[~known].sum()),
    }


def _ticks(found: _Found, key: Key) -> Iterator[dict[str, Any]]:
    """Yield how many reach each of a few evenly spaced times, the same for all groups."""
    longest = max(float(curve.counts.times[-1]) for curve in found.curves.values())
    step = max(round(longest / _TICKS), 1)
    curve = found.curves[key]
    at_risk = np.concatenate([curve.counts.at_risk, [0]])
    for time in np.arange(0.0, longest + 1e-9, step):
        place = int(np.searchsorted(curve.counts.times, time, side="left"))
        yield {**_named(found, key), "t": float(time), "at_risk": int(at_risk[place])}


def _at_risk(found: _Found, params: churn_survival.ChurnSurvivalParams) -> list[dict[str, Any]]:
    """Return the present customers most likely to leave, by the cells of the curves they are in."""
    places = sorted(
        (-float(chance), position, float(age), int(count))
        for position, key in enumerate(found.curves)
        for age, count, chance in zip(
            found.curves[key].counts.times,
            found.curves[key].counts.censored,
            found.leaving(key, found.curves[key].counts.times),
            strict=True,
        )
        if count and chance > 0.0
    )
    keys, listed, room = list(found.curves), [], params.at_risk_size
    for chance, position, age, count in places:
        if room <= 0:
            break
        listed.append((keys[position], age, -chance))
        room -= count
    who = _present(found, [(key, age) for key, age, _ in listed])
    named = [
        {"customer_id": customer, **_named(found, key), "t": age, "chance_to_leave": chance}
        for key, age, chance in listed
        for customer in who.get((key, age), ())
    ]
    return named[: params.at_risk_size]


def _present(found: _Found, wanted: Sequence[tuple[Key, float]]) -> dict[tuple[Key, float], list[str]]:
    if not wanted:
        return {}
    table, names = found.seen.table, found.names
    tests = [
        reduce(
            lambda one, other: one & other,
            [
                table[name].identical_to(ibis.literal(value, type="string"))
                for name, value in zip(names, key, strict=True)
            ],
        )
        & (table.t == age)
        for key, age in wanted
    ]
    chosen = table.filter(~table.left & reduce(or_, tests)).select("customer_id", *names, "t")
    people: dict[tuple[Key, float], list[str]] = {}
    for row in chosen.order_by("customer_id").to_pyarrow().to_pylist():
        people.setdefault((tuple(row[name] for name in names), row["t"]), []).append(row["customer_id"])
    return people


def _charts(found: _Found, params: churn_survival.ChurnSurvivalParams) -> tuple[result.Chart, ...]:
    largest = sorted(found.curves, key=lambda key: -int(found.curves[key].counts.at_risk[0]))[:_CHARTED]
    shown = [key for key in found.curves if key in largest]
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
        for time, chance, lower, upper in _points(found.curves[key])
    ]
    title = (
        "Customers who stay" if len(shown) == len(found.curves) else f"Customers who stay, {_CHARTED} largest groups"
    )
    return (
        charts.steps(
            f"{title}, with {params.confidence:.0%} intervals", rows, x="t", y="survival", unit=found.seen.unit
        ),
    )


def _points(curve: survival.Curve) -> Iterator[tuple[float, float, float, float]]:
    if curve.counts.times[0] > 0.0:
        yield 0.0, 1.0, 1.0, 1.0
    columns = (curve.counts.times, curve.survival, curve.lower, curve.upper)
    yield from zip(*(column.tolist() for column in columns), strict=True)


def _warnings(found: _Found) -> Iterator[result.ResultWarning]:
    curves = found.curves.values()
    zeros = sum(int(curve.counts.at_risk[0]) - _reaching(curve) for curve in curves)
    if zeros:
        detail = f"{zeros} lifetimes are 0 {found.seen.unit} long; they are at risk at 0 and at no later time."
        yield result.ResultWarning("zero-lifetimes", detail)
    events = [int(curve.counts.events.sum()) for curve in curves]
    if events and not sum(events):
        yield result.ResultWarning("no-events", "Nobody has left, so the curves stay at 1 and say nothing of when.")
    elif any(count < _FEW_EVENTS for count in events):
        few = sum(count < _FEW_EVENTS for count in events)
        detail = f"{few} of {len(events)} groups have fewer than {_FEW_EVENTS} events; their intervals are rough."
        yield result.ResultWarning("few-events", detail)


def _reaching(curve: survival.Curve) -> int:
    """Return how many lifetimes are longer than 0."""
    counts = curve.counts
    return int((counts.events + counts.censored)[counts.times > 0.0].sum())


def _invariants(found: _Found, test: survival.LogRank | None) -> tuple[result.Invariant, ...]:
    total = int(found.seen.table.count().to_pyarrow().as_py())
    counted = sum(int((curve.counts.events + curve.counts.censored).sum()) for curve in found.curves.values())
    falling = all(
        bool(np.all(np.diff(curve.survival, prepend=1.0) <= 0.0) and np.all(curve.survival >= 0.0))
        for curve in found.curves.values()
    )
    inside = all(
        not np.any((curve.lower > curve.survival + 1e-12) | (curve.upper < curve.survival - 1e-12))
        for curve in found.curves.values()
    )
    made = [
        result.Invariant(
            "every_lifetime_counts_once", counted == total, f"events and censored {counted}; lifetimes {total}"
        ),
        result.Invariant(
            "survival_never_rises", falling, f"{len(found.curves)} curves fall from 1 and end above or at 0"
        ),
        result.Invariant("interval_holds_survival", inside, "lower <= survival <= upper wherever they are defined"),
    ]
    if test is not None:
        held = abs(test.excess) <= 1e-6 * max(1, counted)
        made.append(
            result.Invariant("observed_is_expected", held, "over all groups, the log-rank test expects what happened")
        )
    return tuple(made)
