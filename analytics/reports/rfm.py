"""Computes `rfm`: the engine reduces orders to customers, pandas scores them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
from ibis.expr import types as ir

from analytics import result
from analytics.catalogue import columns, rfm, rfm_segments
from analytics.reports import calendar, cells, charts, facts

_GROUPS_SHOWN = 1_000


def compute(tables: Mapping[str, ir.Table], params: rfm.RfmParams) -> result.Result:
    """Return one row per customer with a purchase, by customer id, scored as `catalogue.rfm` defines.

    Raises:
        errors.Refusal: a dataset or column is not there, or a filter value does not suit its column.
    """
    orders = facts.build(tables, params)
    described = cells.describe(rfm.TYPE.columns, params, currency=orders.currency)
    extra = [column.name for column in described[len(rfm.TYPE.columns) :]]
    people = _people(orders)
    rows = people.buyers.rename(columns=dict(zip(orders.segments, extra, strict=True)))
    rows["r"], rows["f"], rows["m"] = _scores(rows, params)
    rows["segment"] = _segments(rows, params.bins)
    return _result(orders, people, rows, described, params)


@dataclass(frozen=True, slots=True)
class _People:
    """Customers with a purchase, by id, and the money of everybody else."""

    buyers: pd.DataFrame
    refund_only: Decimal
    unattributed: Decimal
    unattributed_orders: int


def _people(orders: facts.Facts) -> _People:
    """Reduce orders to one row per customer."""
    table = orders.table
    first = {
        name: table[name].first(where=table.is_sale, order_by=[table.ordered_at, table.order_id])
        for name in orders.segments
    }
    per_customer = table.group_by("customer_id").aggregate(
        first_order=table.ordered_at.min(where=table.is_sale),
        last_order=table.ordered_at.max(where=table.is_sale),
        frequency=table.count(where=table.is_sale),
        monetary=table.value.sum(),
        **first,
    )
    # Whole local calendar days: local date of as_of - local date of the last purchase. Without data there is no as_of.
    days = calendar.Calendar(orders.zone, reach=orders.reach)
    last_day = days.period_of(per_customer.last_order)
    today = None if orders.as_of is None else days.day_of(orders.as_of)
    aged = per_customer.mutate(recency_days=ibis.literal(today, type="date").delta(last_day, unit="day"))
    everybody = cells.frame(aged.order_by("customer_id").to_pyarrow())
    known, bought = everybody["customer_id"].notna(), everybody["frequency"] > 0
    nobody = everybody[~known]
    return _People(
        buyers=everybody[known & bought],
        refund_only=cells.total(everybody.loc[known & ~bought, "monetary"]),
        unattributed=cells.total(nobody["monetary"]),
        unattributed_orders=int(nobody["frequency"].sum()),
    )


def _scores(rows: pd.DataFrame, params: rfm.RfmParams) -> tuple["pd.Series[Any]", ...]:
    """Return the scores of recency, which is best when low, frequency and monetary."""
    bins, values = params.bins, (rows["recency_days"], rows["frequency"], rows["monetary"])
    if params.method is rfm.Method.RANK:
        return tuple(_by_rank(value, bins) for value in (-values[0], *values[1:]))
    if params.thresholds is not None:
        bounds = (params.thresholds.recency, params.thresholds.frequency, params.thresholds.monetary)
        # Compared as the decimals they were written as, so that an amount on a bound is in the lower bin.
        cuts = [[Decimal(str(bound)) for bound in each] for each in bounds]
    else:
        cuts = [_quantiles(value, bins) for value in values]
    r, f, m = (_cut(value, at) for value, at in zip(values, cuts, strict=True))
    return bins + 1 - r, f, m


def _quantiles(values: "pd.Series[Any]", bins: int) -> list[Any]:
    """Return the values at positions floor((n - 1) * i / bins): equal values always share a score."""
    steps = max(len(values) - 1, 1)
    # Aimed at the middle between two positions, from where rounding cannot reach another one.
    aims = [(steps * i // bins + 0.5) / steps for i in range(1, bins)]
    return values.quantile(aims, interpolation="lower").tolist()


def _cut(values: "pd.Series[Any]", cuts: Sequence[Any]) -> "pd.Series[Any]":
    """Score 1 plus the number of cuts below the value."""
    score: pd.Series[Any] = 1 + sum((values > cut).astype("int64[pyarrow]") for cut in cuts)
    return score


def _by_rank(values: "pd.Series[Any]", bins: int) -> "pd.Series[Any]":
    """Score by position among all, in bins of equal size; customers come ordered by id, which breaks ties."""
    positions = values.rank(method="first").astype("int64[pyarrow]") - 1
    return positions * bins // max(len(values), 1) + 1


def _segments(rows: pd.DataFrame, bins: int) -> "pd.Series[Any]":
    """Look each customer up in the table of segments, scores stretched to five."""
    names = cells.arrow([rfm_segments.segment(r, fm) for r in range(1, 6) for fm in range(1, 6)], pa.string())
    r, f, m = (-(-rows[score] * 5 // bins) for score in ("r", "f", "m"))
    return names.take(((r - 1) * 5 + (f + m + 1) // 2 - 1).to_numpy()).set_axis(rows.index)


def _result(
    orders: facts.Facts,
    people: _People,
    rows: pd.DataFrame,
    described: tuple[columns.Column, ...],
    params: rfm.RfmParams,
) -> result.Result:
    revenue = cells.total(rows["monetary"])
    segments = _summarise(rows, ["segment"], revenue)
    order = [name for name in rfm_segments.MEANINGS if any(row["segment"] == name for row in segments)]
    segments.sort(key=lambda row: order.index(row["segment"]))
    extra = [column.name for column in described[len(rfm.TYPE.columns) :]]
    summary: dict[str, Any] = {
        "as_of": None if orders.as_of is None else orders.as_of.isoformat().replace("+00:00", "Z"),
        "currency": orders.currency,
        "customers": len(rows),
        "orders": int(rows["frequency"].sum()),
        "revenue": cells.money_text(revenue),
        "unattributed": {"orders": people.unattributed_orders, "revenue": cells.money_text(people.unattributed)},
        "refunds_without_purchase": cells.money_text(people.refund_only),
        "segments": segments,
    }
    warnings = [*orders.warnings, *_warnings(rows, params)]
    if extra:
        groups = _summarise(rows, [*extra, "segment"], revenue)
        summary["groups"] = groups[:_GROUPS_SHOWN]
        if len(groups) > _GROUPS_SHOWN:
            detail = f"The summary has the first {_GROUPS_SHOWN} of {len(groups)} groups; the rows have all."
            warnings.append(result.ResultWarning("groups-cut", detail))
    plotted = [{**row, "revenue": float(row["revenue"])} for row in segments]
    return result.Result(
        columns=described,
        rows=cells.table(described, rows),
        summary=summary,
        charts=(
            charts.bars("Customers by segment", plotted, label="segment", value="customers", order=order),
            charts.bars(
                f"Revenue by segment, {orders.currency}", plotted, label="segment", value="revenue", order=order
            ),
        ),
        warnings=tuple(warnings),
        dropped=orders.dropped,
        invariants=_invariants(orders, revenue + people.unattributed + people.refund_only, rows),
        rows_read=orders.rows_read,
    )


def _summarise(rows: pd.DataFrame, keys: list[str], revenue: Decimal) -> list[dict[str, Any]]:
    """Return customers, revenue and shares per group, ordered by the group's names."""
    groups = rows.groupby(keys, dropna=False)["monetary"].agg(["count", "sum"])
    # No column of data is named like these two.
    groups = groups.set_axis(["#customers", "#revenue"], axis="columns").reset_index()
    return [
        {
            **{key: row[key] for key in keys},
            "customers": row["#customers"],
            "customers_share": cells.share(row["#customers"], len(rows)),
            "revenue": cells.money_text(row["#revenue"]),
            "share": cells.share(row["#revenue"], revenue),
        }
        for row in groups.sort_values(keys, na_position="last").to_dict("records")
    ]


def _warnings(rows: pd.DataFrame, params: rfm.RfmParams) -> list[result.ResultWarning]:
    """Warn where so many customers are alike that a score cannot use all its bins."""
    if params.method is not rfm.Method.QUANTILE or rows.empty:
        return []
    merged = [name for name in ("r", "f", "m") if rows[name].nunique() < params.bins]
    if not merged:
        return []
    detail = f"So many customers have equal values that {', '.join(merged)} cannot use all {params.bins} scores."
    return [result.ResultWarning("merged-bins", detail)]


def _invariants(orders: facts.Facts, accounted: Decimal, rows: pd.DataFrame) -> tuple[result.Invariant, ...]:
    net = orders.net()
    least = None if rows.empty else int(rows["recency_days"].min())
    return (
        result.Invariant(
            "monetary_is_net_revenue",
            accounted == net,
            f"customers + unattributed + refunds without purchase = {cells.money_text(accounted)}; "
            f"net revenue = {cells.money_text(net)}",
        ),
        result.Invariant(
            "recency_not_negative", (least or 0) >= 0, f"least recency {'none' if least is None else least}"
        ),
    )
