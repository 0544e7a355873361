"""Computes `cohort_retention`: the engine counts cells, pandas lays out the triangle and its means."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, localcontext
from itertools import accumulate, chain
from typing import Any

import pandas as pd
import pyarrow as pa
from ibis.expr import types as ir

from analytics import errors, result
from analytics.catalogue import cohort_retention
from analytics.reports import activity, calendar, cells, charts, facts, signups

MAX_CELLS = 1_000_000
_SHOWN = 40
# The end of what is covered is itself outside, so the last period is that of the moment before it.
_INSTANT = timedelta(microseconds=1)
_COUNTED = ["active", "orders", "revenue"]


@dataclass(frozen=True, slots=True)
class _Counts:
    """Cohorts as counted.

    Attributes:
        cohorts: cohort, segments and cohort_size, ordered.
        cells: cohort, segments, period, active, orders, revenue and leaving: members who bought in it and never later.
        revenue: that of all cells.
        before: revenue of members in periods before their own cohort, in no cell: refunds, or bought before signing up.
        orders_before: orders of members in such periods.
        outside: revenue of nobody in a cohort.
        buyers: customers who bought, counted apart from the cells; None where cohorts are of sign-ups.
    """

    cohorts: pd.DataFrame
    cells: pd.DataFrame
    revenue: Decimal
    before: Decimal
    orders_before: int
    outside: Decimal
    buyers: int | None


def compute(tables: Mapping[str, ir.Table], params: cohort_retention.CohortRetentionParams) -> result.Result:
    """Return one row per cohort and period_index, by cohort, segment and index, as `catalogue.cohort_retention` defines.

    Raises:
        errors.Refusal: a dataset or column is not there, a filter value does not suit its column, or the cells are
            too many to show.
    """
    orders = facts.build(tables, params)
    periods = calendar.Calendar(params.timezone, params.period, params.week_start)
    counts = _count(tables, orders, periods, params)
    described = cells.describe(cohort_retention.TYPE.columns, params, currency=orders.currency)
    names = [column.name for column in described[len(cohort_retention.TYPE.columns) :]]
    rows = _triangle(orders, counts, periods, params)
    means = _weighted_mean(rows)
    rows = rows.drop(columns=["place", "above", "below"]).rename(columns=dict(zip(orders.segments, names, strict=True)))
    return result.Result(
        columns=described,
        rows=cells.table(described, rows),
        summary=_summary(orders, counts, means),
        charts=_charts(rows, means, names),
        warnings=(*orders.warnings, *_warnings(orders, counts)),
        dropped={**orders.dropped, **({"orders_before_cohort": counts.orders_before} if counts.orders_before else {})},
        invariants=_invariants(orders, counts),
        rows_read=orders.rows_read,
    )


def _count(
    tables: Mapping[str, ir.Table],
    orders: facts.Facts,
    periods: calendar.Calendar,
    params: cohort_retention.CohortRetentionParams,
) -> _Counts:
    keys = ["cohort", *orders.segments]
    by_signup = params.cohort_by is cohort_retention.CohortBy.SIGNUP
    each = activity.by_period(orders, periods, keep_segments=False)
    members = signups.members(tables, orders, periods, params) if by_signup else _buyers(orders, periods, each)
    joined = each.left_join(members, each.customer_id == members.member_id)
    found_cells = joined.group_by(*keys, "period").aggregate(
        active=joined.count(where=joined.orders > 0),
        orders=joined.orders.sum().cast("int64"),
        revenue=joined.net.sum(),
    )
    # Counted in the same question, because what the cells are counted from is a second's work for the engine.
    counted = _fetch(found_cells if by_signup else found_cells.mutate(buyers=members.count().as_scalar()))
    of_nobody = counted["cohort"].isna()
    early = (counted["period"] < counted["cohort"]).fillna(value=False)
    found = counted[~of_nobody & ~early]
    if by_signup:
        sizes = _fetch(members.group_by(keys).aggregate(cohort_size=members.count()))
    else:
        # Everybody is active in the period that makes them a member.
        sizes = found.loc[found["period"] == found["cohort"], [*keys, "active"]].rename(
            columns={"active": "cohort_size"}
        )
    if params.criterion is cohort_retention.Criterion.ON_OR_AFTER:
        found = found.drop(columns="active").merge(_fetch(_leaving(joined, keys)), on=[*keys, "period"], how="left")
    return _Counts(
        cohorts=sizes.sort_values(keys, na_position="last"),
        cells=found,
        revenue=cells.total(found["revenue"]),
        before=cells.total(counted.loc[early, "revenue"]),
        orders_before=int(counted.loc[early, "orders"].sum()),
        outside=cells.total(counted.loc[of_nobody, "revenue"]),
        buyers=None if by_signup else int(counted["buyers"].max()) if len(counted) else 0,
    )


def _buyers(orders: facts.Facts, periods: calendar.Calendar, each: ir.Table) -> ir.Table:
    """Return member_id, cohort and the segment columns: one row per customer who bought."""
    if not orders.segments:
        bought = each.filter((each.orders > 0) & each.customer_id.notnull())
        return bought.group_by(member_id=bought.customer_id).aggregate(cohort=bought.period.min())
    bought = orders.table.filter(orders.table.is_sale & orders.table.customer_id.notnull())
    first = bought.group_by("customer_id").aggregate(
        first_at=bought.ordered_at.min(),
        **{name: bought[name].first(order_by=[bought.ordered_at, bought.order_id]) for name in orders.segments},
    )
    return first.select(*orders.segments, member_id=first.customer_id, cohort=periods.period_of(first.first_at))


def _fetch(counted: ir.Table) -> pd.DataFrame:
    return cells.frame(counted.to_pyarrow(), money=cells.ROOMY)


def _leaving(joined: ir.Table, keys: list[str]) -> ir.Table:
    """Count as active only the members who bought for the last time in the period."""
    bought = joined.filter((joined.orders > 0) & (joined.period >= joined.cohort))
    last = bought.group_by(*keys, "customer_id").aggregate(period=bought.period.max())
    return last.group_by(*keys, "period").aggregate(active=last.count())


def _triangle(
    orders: facts.Facts,
    counts: _Counts,
    periods: calendar.Calendar,
    params: cohort_retention.CohortRetentionParams,
) -> pd.DataFrame:
    """Return every cohort with as many cells as the oldest has; `above` and `below` are the parts of the rate."""
    keys = ["cohort", *orders.segments]
    starts = _starts(orders, counts, periods)
    width = len(starts) if params.periods is None else min(len(starts), params.periods + 1)
    if len(counts.cohorts) * width > MAX_CELLS:
        raise errors.Refusal(
            "too-many-cells", f"More than {MAX_CELLS} cells; choose a longer period, fewer segments or `periods`."
        )
    place = {start: index for index, start in enumerate(starts)}
    cohorts = counts.cohorts.assign(place=_places(counts.cohorts["cohort"], place))
    found = counts.cells.assign(
        period_index=_places(counts.cells["period"], place) - _places(counts.cells["cohort"], place)
    )
    forever = params.criterion is cohort_retention.Criterion.ON_OR_AFTER
    if forever:
        # A cell stands for all later ones too, so what lies beyond the last cell counts in the last.
        found["period_index"] = found["period_index"].clip(upper=width - 1)
        found = found.groupby([*keys, "period_index"], dropna=False, as_index=False)[_COUNTED].sum()
    indexes = pd.DataFrame({"period_index": cells.arrow(range(width), pa.int64())})
    rows = cohorts.merge(indexes, how="cross").merge(found, on=[*keys, "period_index"], how="left")
    rows[_COUNTED] = rows[_COUNTED].fillna(0)
    if forever:
        rows[_COUNTED] = rows[_COUNTED].apply(_from_the_end, width=width)
    measured = {"customers": "active"}.get(params.measure, str(params.measure))
    rows["above"] = rows[measured]
    own = rows.groupby(keys, dropna=False, sort=False)[measured].transform("first")
    rows["below"] = rows["cohort_size"] if measured == "active" else own
    rows["rate"] = cells.shares(rows["above"], rows["below"])
    position = rows["place"] + rows["period_index"]
    covered = [index for index, start in enumerate(starts) if orders.covers(periods, start)]
    rows["complete"] = position.isin(covered)
    rows.loc[position >= len(starts), [*_COUNTED, "rate"]] = pd.NA
    return rows


def _starts(orders: facts.Facts, counts: _Counts, periods: calendar.Calendar) -> list[date]:
    """Return every period from the oldest cohort's to the last that the data reach."""
    if counts.cohorts.empty or orders.covered_to is None:
        return []
    return list(
        periods.between(counts.cohorts["cohort"].min(), periods.first_day(periods.day_of(orders.covered_to - _INSTANT)))
    )


def _places(days: "pd.Series[Any]", place: Mapping[date, int]) -> "pd.Series[Any]":
    """Return the place of each day among the periods shown; null without any, as where nobody has ordered yet."""
    return cells.arrow([place.get(day) for day in days], pa.int64()).set_axis(days.index)


def _from_the_end(values: "pd.Series[Any]", width: int) -> "pd.Series[Any]":
    """Return running sums from the last cell of each cohort to its first.

    Python adds, because Arrow has no running sum of decimals; the context has room for every digit.
    """
    listed = values.tolist()
    with localcontext(prec=76):
        sums = [list(accumulate(listed[end - width : end][::-1]))[::-1] for end in range(width, len(listed) + 1, width)]
    return pd.Series(list(chain.from_iterable(sums)), dtype=values.dtype)


def _weighted_mean(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return per index the mean rate of the cohorts whose cell is complete, weighted by their denominators."""
    indexes = rows["period_index"].unique()
    whole = rows[rows["complete"]].groupby("period_index")
    sums = whole[["above", "below"]].sum().assign(cohorts=whole.size()).reindex(indexes).fillna(0)
    rates = cells.shares(sums["above"], sums["below"])
    return [
        {"period_index": int(index), "rate": None if pd.isna(rate) else rate, "cohorts": int(count)}
        for index, rate, count in zip(indexes, rates, sums["cohorts"], strict=True)
    ]


def _summary(orders: facts.Facts, counts: _Counts, means: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "as_of": None if orders.as_of is None else orders.as_of.isoformat().replace("+00:00", "Z"),
        "currency": orders.currency,
        "customers": int(counts.cohorts["cohort_size"].sum()),
        "cohorts": len(counts.cohorts),
        "revenue": cells.money_text(counts.revenue),
        "weighted_mean": means,
    }


def _charts(rows: pd.DataFrame, means: list[dict[str, Any]], names: list[str]) -> tuple[result.Chart, ...]:
    if rows.empty:
        return ()
    shown = rows.tail(_SHOWN * len(means))
    shown = shown[shown["rate"].notna() & (shown["period_index"] < _SHOWN)]
    plotted = [
        {
            "cohort": " / ".join([row["cohort"].isoformat(), *(str(row[name]) for name in names)]),
            "period_index": row["period_index"],
            "rate": row["rate"],
        }
        for row in shown[["cohort", *names, "period_index", "rate"]].to_dict("records")
    ]
    known = [row for row in means if row["rate"] is not None]
    return (
        charts.heat("Retention by cohort", plotted, x="period_index", y="cohort", value="rate"),
        charts.curve("Weighted mean over complete cells", known, x="period_index", y="rate"),
    )


def _warnings(orders: facts.Facts, counts: _Counts) -> list[result.ResultWarning]:
    found = []
    if orders.start is not None:
        found.append(
            result.ResultWarning(
                "new-since-start",
                "Orders before start are not read: customers who ordered only then are in later cohorts.",
            )
        )
    if counts.before:
        found.append(
            result.ResultWarning(
                "before-cohort",
                f"Net revenue of {cells.money_text(counts.before)} lies before the customers' own cohort, in no cell.",
            )
        )
    return found


def _invariants(orders: facts.Facts, counts: _Counts) -> tuple[result.Invariant, ...]:
    net = orders.net()
    accounted = counts.revenue + counts.before + counts.outside
    found = [
        result.Invariant(
            "cells_and_rest_are_net_revenue",
            accounted == net,
            f"cohorts {cells.money_text(counts.revenue)} + before their cohort {cells.money_text(counts.before)} + "
            f"without cohort {cells.money_text(counts.outside)}; net revenue = {cells.money_text(net)}",
        )
    ]
    if counts.buyers is not None:
        members = int(counts.cohorts["cohort_size"].sum())
        detail = f"cohorts {members}; distinct customers {counts.buyers}"
        found.append(result.Invariant("cohort_sizes_are_customers", members == counts.buyers, detail))
    return tuple(found)
