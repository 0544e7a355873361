"""Computes `revenue_trend`: the engine reduces orders to periods, pandas lays them out on the calendar and compares."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
from ibis.expr import types as ir

from analytics import errors, result
from analytics.catalogue import columns, revenue_trend
from analytics.reports import activity, calendar, cells, charts, facts

MAX_ROWS = 1_000_000
_PLOTTED = 2_000
_COUNTED = ("gross", "net", "new_revenue", "unattributed", "orders", "customers", "new_customers")
_MONEY = ("gross", "refunds", "net", "new_revenue", "returning_revenue", "unattributed")


def compute(tables: Mapping[str, ir.Table], params: revenue_trend.RevenueTrendParams) -> result.Result:
    """Return one row per period (and segment), oldest first, as `catalogue.revenue_trend` defines.

    Raises:
        errors.Refusal: a dataset or column is not there, a filter value does not suit its column, or the periods
            are too many to show.
    """
    orders = facts.build(tables, params, split_orders=True)
    periods = calendar.Calendar(params.timezone, params.period, params.week_start)
    counted = _count(orders, periods)
    span = _span(orders, periods, params, counted["period"].tolist())
    described = cells.describe(revenue_trend.TYPE.columns, params, currency=orders.currency)
    names = [column.name for column in described[len(revenue_trend.TYPE.columns) :]]
    rows = _lay_out(counted, _calendar(span, orders, periods), list(orders.segments))
    return _result(orders, rows.rename(columns=dict(zip(orders.segments, names, strict=True))), described, names)


def _count(orders: facts.Facts, periods: calendar.Calendar) -> pd.DataFrame:
    """Reduce per customer and period first, so that counting distinct customers is a plain count."""
    each = activity.with_first_period(activity.by_period(orders, periods, keep_segments=True))
    known, bought = each.customer_id.notnull(), each.orders > 0
    is_new = each.period == each.first_period
    counted = each.group_by("period", *orders.segments).aggregate(
        gross=each.gross.sum(),
        net=each.net.sum(),
        new_revenue=each.net.sum(where=is_new),
        unattributed=each.net.sum(where=~known),
        orders=each.orders.sum().cast("int64"),
        customers=each.count(where=known & bought),
        new_customers=each.count(where=is_new & bought),
    )
    return cells.frame(counted.to_pyarrow(), money=cells.ROOMY)


def _span(
    orders: facts.Facts,
    periods: calendar.Calendar,
    params: revenue_trend.RevenueTrendParams,
    seen: Sequence[date],
) -> list[date]:
    """Return every period of the question: from `start` or the first data, to `as_of` or the last data."""
    if orders.as_of is None or (not seen and orders.start is None):
        return []
    first = periods.first_day(periods.day_of(orders.start)) if orders.start is not None else min(seen)
    ends = [at for at in (orders.as_of, params.instant_of(params.end)) if at is not None]
    # The end itself is outside, so the last period is that of the moment just before it.
    last = periods.first_day(periods.day_of(min(ends) - timedelta(microseconds=1)))
    return list(periods.between(first, max([last, *seen])))


def _calendar(span: Sequence[date], orders: facts.Facts, periods: calendar.Calendar) -> pd.DataFrame:
    """Return the periods, whether the data cover each, and the places of the two it is compared with, -1 for none."""
    place: dict[date | None, int] = {start: index for index, start in enumerate(span)}
    return pd.DataFrame(
        {
            "period": cells.arrow(span, pa.date32()),
            "complete": cells.arrow([orders.covers(periods, start) for start in span], pa.bool_()),
            "previous": [place[start] - 1 for start in span],
            "year_before": [place.get(periods.year_before(start), -1) for start in span],
        }
    )


def _lay_out(counted: pd.DataFrame, span: pd.DataFrame, segments: list[str]) -> pd.DataFrame:
    """Return a row for every period and segment, zeros where nothing happened, with what follows from the counts."""
    width = 1
    if segments:
        found = counted[segments].drop_duplicates().sort_values(segments, na_position="last")
        if len(span) * len(found) > MAX_ROWS:
            raise errors.Refusal(
                "too-many-rows", f"More than {MAX_ROWS} rows; choose a longer period or fewer segments."
            )
        span, width = span.merge(found, how="cross"), len(found)
    rows = span.merge(counted, on=["period", *segments], how="left")
    rows[list(_COUNTED)] = rows[list(_COUNTED)].fillna(0)
    rows["refunds"] = rows["gross"] - rows["net"]
    rows["returning_revenue"] = rows["net"] - rows["new_revenue"] - rows["unattributed"]
    rows["aov"] = cells.means(rows["gross"], rows["orders"])
    rows["change_previous"] = _change(rows, "previous", width)
    rows["change_year"] = _change(rows, "year_before", width)
    return rows.drop(columns=["previous", "year_before"])


def _change(rows: pd.DataFrame, other: str, width: int) -> "pd.Series[Any]":
    """Compare net with that of another period, `width` rows to each; only whole periods within the data are compared."""
    whole = rows["net"].where(rows["complete"])
    then = whole.reindex(rows[other] * width + rows.index % width).set_axis(rows.index)
    return cells.shares(whole - then, then.abs())


def _result(
    orders: facts.Facts, rows: pd.DataFrame, described: tuple[columns.Column, ...], names: list[str]
) -> result.Result:
    sums = {name: cells.total(rows[name]) for name in _MONEY}
    totals = {
        **{name: cells.money_text(amount) for name, amount in sums.items()},
        **_people(orders, rows, segmented=bool(names)),
        "periods": rows["period"].nunique(),
        "complete_periods": rows.loc[rows["complete"], "period"].nunique(),
    }
    summary = {
        "as_of": None if orders.as_of is None else orders.as_of.isoformat().replace("+00:00", "Z"),
        "currency": orders.currency,
        "totals": totals,
    }
    return result.Result(
        columns=described,
        rows=cells.table(described, rows),
        summary=summary,
        charts=_charts(rows, names, orders.currency),
        warnings=(*orders.warnings, *_warnings(orders, rows)),
        dropped=orders.dropped,
        invariants=_invariants(orders, sums),
        rows_read=orders.rows_read,
    )


def _people(orders: facts.Facts, rows: pd.DataFrame, *, segmented: bool) -> dict[str, Any]:
    """Count orders and customers over all periods; a customer or order in two segments is one."""
    counts = {"orders": int(rows["orders"].sum()), "customers": int(rows["new_customers"].sum())}
    if segmented:
        sale = orders.table.is_sale
        whole = orders.table.aggregate(
            orders=orders.table.order_id.nunique(where=sale), customers=orders.table.customer_id.nunique(where=sale)
        )
        counts = whole.to_pyarrow().to_pylist()[0]
    mean = cells.mean(cells.total(rows["gross"]), counts["orders"])
    return {**counts, "aov": None if mean is None else cells.money_text(mean)}


def _charts(rows: pd.DataFrame, names: list[str], currency: str) -> tuple[result.Chart, ...]:
    if rows.empty:
        return ()
    plotted = [
        {
            "period": row["period"].isoformat(),
            "net": float(row["net"]),
            "orders": row["orders"],
            **({"segment": " / ".join(str(row[name]) for name in names)} if names else {}),
        }
        for row in rows[["period", "net", "orders", *names]].head(_PLOTTED).to_dict("records")
    ]
    color = "segment" if names else None
    return (
        charts.lines(f"Net revenue, {currency}", plotted, x="period", y="net", color=color),
        charts.lines("Orders", plotted, x="period", y="orders", color=color),
    )


def _warnings(orders: facts.Facts, rows: pd.DataFrame) -> list[result.ResultWarning]:
    found = []
    partial = rows.loc[~rows["complete"], "period"].unique().tolist()
    if partial:
        listed = ", ".join(day.isoformat() for day in partial[:5]) + (" …" if len(partial) > 5 else "")
        found.append(result.ResultWarning("partial-periods", f"Not covered to their end, so not compared: {listed}."))
    if orders.start is not None:
        found.append(
            result.ResultWarning(
                "new-since-start", "Orders before start are not read: customers who ordered only then count as new."
            )
        )
    return found


def _invariants(orders: facts.Facts, sums: Mapping[str, Decimal]) -> tuple[result.Invariant, ...]:
    totals = orders.totals()
    net, parts = sums["net"], sums["new_revenue"] + sums["returning_revenue"] + sums["unattributed"]
    return (
        result.Invariant(
            "gross_less_refunds_is_net",
            (sums["gross"], sums["refunds"], net) == (totals.gross, totals.refunds, totals.net),
            f"periods: {cells.money_text(sums['gross'])} - {cells.money_text(sums['refunds'])} = "
            f"{cells.money_text(net)}; all orders at once: {cells.money_text(totals.net)}",
        ),
        result.Invariant(
            "unattributed_is_net_without_customer",
            sums["unattributed"] == totals.unattributed and parts == net,
            f"new + returning + unattributed = {cells.money_text(parts)}",
        ),
    )
