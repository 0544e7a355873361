"""Computes `churn_survival`: the engine counts lifetimes by length, `analytics.stats.survival` draws the curves."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import ibis
import numpy as np
from ibis.expr import types as ir

from analytics import result
from analytics.catalogue import churn_survival, clv
from analytics.reports import cells, lifetimes, silent_customers, survival_rows
from analytics.reports.survival_rows import Key
from analytics.stats import survival

_FEW_EVENTS = 10
_AHEAD = {
    clv.TimeUnit.DAY: 30.0,
    clv.TimeUnit.WEEK: 4.0,
    clv.TimeUnit.MONTH: 1.0,
    clv.TimeUnit.YEAR: 1.0,
}


@dataclass(frozen=True, slots=True)
class _Found:
    """Curves and what they were made of."""

    seen: lifetimes.Lifetimes
    drawn: survival_rows.Curves
    horizon: float

    @property
    def curves(self) -> Mapping[Key, survival.Curve]:
        return self.drawn.by_key

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
            does not suit its column, there are too many groups, or, without contracts, too few customers came back.
    """
    ahead = 1.0 if params.duration is not None else _AHEAD[params.unit]
    horizon = ahead if params.horizon is None else params.horizon
    if params.without_contracts:
        return silent_customers.compute(tables, params, horizon=horizon)
    seen = lifetimes.build(tables, params)
    described = tuple(
        dataclasses.replace(column, unit=seen.unit) if column.unit == "time_unit" else column
        for column in cells.describe(churn_survival.TYPE.columns, params, currency=params.currency)
    )
    labels = [column.name for column in described[len(churn_survival.TYPE.columns) :]]
    drawn = survival_rows.Curves(_curves(seen, params), labels, seen.unit, params.confidence)
    found = _Found(seen, drawn, horizon)
    test = survival.log_rank(_strata(found))
    return result.Result(
        columns=described,
        rows=survival_rows.table(drawn, described),
        summary=_summary(found, params, test),
        charts=survival_rows.draw(drawn),
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
        survival_rows.refuse_many(len(curves) + 1)
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


def _summary(
    found: _Found, params: churn_survival.ChurnSurvivalParams, test: survival.LogRank | None
) -> dict[str, Any]:
    as_of = found.seen.as_of
    groups = [_group(found, key) for key in found.curves]
    return {
        "mode": str(churn_survival.Mode.CONTRACTUAL),
        "as_of": None if as_of is None else as_of.isoformat().replace("+00:00", "Z"),
        "lifetimes": sum(group["n"] for group in groups),
        "events": sum(group["events"] for group in groups),
        "time_unit": found.seen.unit,
        "horizon": found.horizon,
        "groups": groups,
        "logrank": None if test is None else {"chi2": test.chi2, "df": test.df, "p": test.p},
        "at_risk_by_time": survival_rows.at_risk_by_time(found.drawn),
        "at_risk_list": _at_risk(found, params),
    }


def _group(found: _Found, key: Key) -> dict[str, Any]:
    curve = found.curves[key]
    median, lower, upper = curve.median()
    ages, present = curve.counts.times, curve.counts.censored
    chances = found.leaving(key, ages)
    known = ~np.isnan(chances)
    return {
        **found.drawn.named(key),
        "n": int((curve.counts.events + present).sum()),
        "events": int(curve.counts.events.sum()),
        "median": median,
        "median_lower": lower,
        "median_upper": upper,
        "present": int(present.sum()),
        "expected_losses": float(np.sum(chances[known] * present[known])),
        "beyond_the_curve": int(present[~known].sum()),
    }


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
        {"customer_id": customer, **found.drawn.named(key), "t": age, "chance_to_leave": chance}
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
    made = [
        result.Invariant(
            "every_lifetime_counts_once", counted == total, f"events and censored {counted}; lifetimes {total}"
        ),
        *survival_rows.invariants(found.curves.values()),
    ]
    if test is not None:
        held = abs(test.excess) <= 1e-6 * max(1, counted)
        made.append(
            result.Invariant("observed_is_expected", held, "over all groups, the log-rank test expects what happened")
        )
    return tuple(made)
