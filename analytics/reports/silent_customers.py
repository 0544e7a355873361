"""Computes `churn_survival` without contracts: customers of `clv`'s model, counted as it expects them to have left."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from ibis.expr import types as ir

from analytics import result
from analytics.catalogue import churn_survival, columns, parameters
from analytics.catalogue import clv as clv_type
from analytics.reports import cells, clv, clv_charts, clv_checks, clv_summary, survival_rows
from analytics.reports.survival_rows import Key
from analytics.stats import buying, silence, survival
from analytics.stats.histories import Floats, Places

_COUNTS = frozenset({"at_risk", "events", "censored"})
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class _Found:
    """What the model says of each customer, and the curves of groups.

    Attributes:
        members: the places of each group's customers, in the order of the curves.
        staying: the chance of each, if still a customer, to be one after the horizon too.
        at_stake: what is expected over the horizon of each if not lost: orders, or revenue.
    """

    told: clv_summary.Told
    params: churn_survival.ChurnSurvivalParams
    drawn: survival_rows.Curves
    members: Mapping[Key, Places]
    staying: Floats
    at_stake: Floats

    @property
    def alive(self) -> Floats:
        return self.told.predicted.alive


def compute(
    tables: Mapping[str, ir.Table], params: churn_survival.ChurnSurvivalParams, *, horizon: float
) -> result.Result:
    """Return one row per segment, group and time, in that order, as `catalogue.churn_survival` defines.

    Raises:
        errors.Refusal: a dataset or column is not there, a filter value does not suit its column, there are too many
            groups, or too few customers came back to learn from.
    """
    told = clv.tell(tables, _question(params, horizon))
    described = _describe(params)
    found = _find(told, params, labels=[column.name for column in described[len(churn_survival.TYPE.columns) :]])
    return result.Result(
        columns=described,
        rows=survival_rows.table(found.drawn, described),
        summary=_summary(found),
        charts=(*survival_rows.draw(found.drawn), *clv_charts.draw(told)),
        warnings=(
            *told.orders.warnings,
            *told.span.warnings,
            *clv_checks.warnings(told, told.observed.customers, []),
            *_warnings(found),
        ),
        dropped={**told.orders.dropped, **told.observed.left_out},
        invariants=(*clv_checks.invariants(told), *_invariants(found)),
        rows_read=told.orders.rows_read,
    )


def _question(params: churn_survival.ChurnSurvivalParams, horizon: float) -> clv_type.ClvParams:
    """Return what to ask of `clv`; the column of `group_by` is read in the way of a segment, after the others."""
    common = params.model_dump(include=set(parameters.ReportParams.model_fields), exclude={"filter"})
    by_value = params.at_risk_by is churn_survival.AtRiskBy.VALUE
    asked = clv_type.ClvParams.model_validate(
        {
            **common,
            "model": params.model,
            "spend": clv_type.Spend.GAMMA_GAMMA if by_value else clv_type.Spend.NONE,
            "time_unit": params.unit,
            "horizon": horizon,
            "discount_step": horizon,
        }
    )
    named = () if params.group_by is None else (params.group_by,)
    return asked.model_copy(update={"filter": params.filter, "segment_by": (*params.segment_by, *named)})


def _describe(params: churn_survival.ChurnSurvivalParams) -> tuple[columns.Column, ...]:
    """Return the columns; expected customers are no whole numbers."""
    changes: dict[str, dict[str, Any]] = {
        name: {"type": columns.ColumnType.NUMBER, "unit": "expected customers"} for name in _COUNTS
    }
    changes["t"] = {"unit": f"{params.unit}s"}
    return tuple(
        dataclasses.replace(column, **changes.get(column.name, {}))
        for column in cells.describe(churn_survival.TYPE.columns, params, currency=params.currency)
    )


def _find(told: clv_summary.Told, params: churn_survival.ChurnSurvivalParams, *, labels: list[str]) -> _Found:
    unit, histories = params.unit.days, told.observed.histories
    members = _members(told, params)
    curves: dict[Key, survival.Curve] = {}
    if told.fitted.dropout_seen:
        asked = told.fitted.asked
        name = buying.ModelName(params.model.value)
        fitted = silence.Uncertain(
            lambda logs: buying.model_of(name, np.exp(logs)), np.log(asked.parameters), asked.log_covariance
        )
        log_log = params.interval is churn_survival.Interval.LOGLOG
        curves = {
            key: silence.curve(histories.part(places), fitted, unit=unit, confidence=params.confidence, log_log=log_log)
            for key, places in members.items()
        }
    alive = np.where(np.isnan(told.predicted.alive), 1.0, told.predicted.alive)
    worth = told.predicted.spend if params.at_risk_by is churn_survival.AtRiskBy.VALUE else np.ones_like(alive)
    return _Found(
        told=told,
        params=params,
        drawn=survival_rows.Curves(curves, labels, f"{params.unit}s", params.confidence),
        members=members,
        staying=buying.staying(told.fitted.model, histories, told.params.horizon * unit),
        at_stake=np.divide(told.predicted.orders, alive, out=np.zeros_like(alive), where=alive > 0) * worth,
    )


def _members(told: clv_summary.Told, params: churn_survival.ChurnSurvivalParams) -> dict[Key, Places]:
    """Return the places of the customers of each segment and group, in the order of rows."""
    people, segments = told.observed.customers, list(told.orders.segments)
    frame = people[segments].astype(object).where(people[segments].notna(), None)
    if params.group_by is None:
        frame = frame.assign(group="all")
    if frame.empty:
        return {}
    names = list(frame.columns)
    grouped = frame.groupby(names, dropna=False, sort=False).indices
    keys = {tuple(None if pd.isna(each) else str(each) for each in _several(key)): key for key in grouped}
    survival_rows.refuse_many(len(keys))
    ordered = sorted(keys, key=lambda key: [(each is None, each or "") for each in key])
    return {key: np.asarray(grouped[keys[key]], dtype=np.int64) for key in ordered}


def _several(key: Any) -> tuple[Any, ...]:
    return key if isinstance(key, tuple) else (key,)


def _summary(found: _Found) -> dict[str, Any]:
    told, params = found.told, found.params
    as_of = told.orders.as_of
    groups = [_group(found, key) for key in found.members]
    seen = told.fitted.dropout_seen
    return {
        "mode": str(churn_survival.Mode.NON_CONTRACTUAL),
        "as_of": None if as_of is None else as_of.isoformat().replace("+00:00", "Z"),
        "lifetimes": sum(group["n"] for group in groups),
        "events": sum(group["events"] for group in groups) if seen else None,
        "present": sum(group["present"] for group in groups) if seen else None,
        "repeat_customers": int((told.observed.x > 0).sum()),
        "time_unit": f"{params.unit}s",
        "horizon": told.params.horizon,
        "groups": groups,
        "logrank": None,
        "at_risk_by_time": survival_rows.at_risk_by_time(found.drawn),
        "at_risk_list": _at_risk(found),
        "model": str(params.model),
        **clv_summary.dropout_model(told),
    }


def _group(found: _Found, key: Key) -> dict[str, Any]:
    places = found.members[key]
    told: dict[str, Any] = {**found.drawn.named(key), "n": int(places.size)}
    unknown = ("events", "median", "median_lower", "median_upper", "present", "present_share")
    curve = found.drawn.by_key.get(key)
    if curve is None:
        nothing = dict.fromkeys((*unknown, "present_at_horizon", "expected_losses", "likely_lost"))
        return {**told, **nothing}
    alive, staying = found.alive[places], found.staying[places]
    present, later = float(alive.sum()), float((alive * staying).sum())
    values = (float(curve.counts.events.sum()), *curve.median(), present, present / places.size)
    return {
        **told,
        **dict(zip(unknown, values, strict=True)),
        "present_at_horizon": later,
        "expected_losses": present - later,
        "likely_lost": int((alive < found.params.lost_below).sum()),
    }


def _at_risk(found: _Found) -> list[dict[str, Any]]:
    """Return the customers not counted as lost whose silence, or whose leaving, matters most; then by customer id."""
    told, params, alive = found.told, found.params, found.alive
    observed, unit = told.observed, params.unit.days
    shown = told.fitted.asked if told.fitted.dropout_seen else told.fitted.without_dropout
    r, alpha = (float(each) for each in shown.parameters[:2])
    silent = silence.chance_of_silence(observed.histories, r=r, alpha=alpha)
    at_stake = (1.0 - alive) * found.at_stake
    by_value = params.at_risk_by is churn_survival.AtRiskBy.VALUE
    rank = -np.nan_to_num(at_stake) if by_value else silent
    listed = np.flatnonzero(np.isnan(alive) | (alive >= params.lost_below))
    first = listed[np.argsort(rank[listed], kind="stable")][: params.at_risk_size]
    ids = observed.customers["customer_id"].iloc[first].tolist()
    key_of = {int(place): key for key, places in found.members.items() for place in np.intersect1d(places, first)}
    numbers = {
        "t_x": observed.recency / unit,
        "T": observed.age / unit,
        "silence": (observed.age - observed.recency) / unit,
        "chance_of_silence": silent,
        "p_alive": alive,
        "p_alive_at_horizon": alive * found.staying,
        "at_stake": at_stake,
    }
    return [
        {
            "customer_id": customer,
            **found.drawn.named(key_of[int(place)]),
            "x": int(observed.x[place]),
            **{name: _number(values[place]) for name, values in numbers.items()},
        }
        for customer, place in zip(ids, first, strict=True)
    ]


def _number(value: float | np.float64) -> float | None:
    return float(value) if np.isfinite(value) else None


def _warnings(found: _Found) -> list[result.ResultWarning]:
    told, warned = found.told, []
    once = int((told.observed.x == 0).sum())
    if found.params.model is clv_type.Model.BG_NBD and once and told.fitted.dropout_seen:
        detail = (
            f"{once} of {told.observed.x.size} customers bought on one day only. Under bg_nbd nobody leaves before a second "
            "transaction, so all of them count as present; mbg_nbd and pareto_nbd let them leave too."
        )
        warned.append(result.ResultWarning("once-never-leaves", detail))
    return warned


def _invariants(found: _Found) -> tuple[result.Invariant, ...]:
    curves = found.drawn.by_key.values()
    made = list(survival_rows.invariants(curves))
    customers, people = found.told.observed.x.size, sum(places.size for places in found.members.values())
    made.append(
        result.Invariant(
            "every_customer_in_one_group", people == customers, f"in groups {people}; customers {customers}"
        )
    )
    if curves:
        events = sum(float(curve.counts.events.sum()) for curve in curves)
        stayed = sum(float(curve.counts.censored.sum()) for curve in curves)
        alive, room = float(found.alive.sum()), _ROUNDING * max(customers, 1)
        made += [
            result.Invariant(
                "every_customer_counts_once",
                abs(events + stayed - customers) <= room,
                f"events and censored {events + stayed:.6f}; customers {customers}",
            ),
            result.Invariant(
                "present_is_the_sum_of_p_alive",
                abs(stayed - alive) <= room,
                f"censored {stayed:.6f}; sum of p_alive {alive:.6f}",
            ),
        ]
    return tuple(made)
