"""Computes `rfm`: the engine reduces orders to customers, NumPy scores them."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ibis.expr import types as ir

from analytics import result
from analytics.catalogue import rfm, rfm_segments
from analytics.reports import calendar, cells, charts, facts

_GROUPS_SHOWN = 1_000
Integers = np.ndarray[Any, np.dtype[np.int64]]


def compute(tables: Mapping[str, ir.Table], params: rfm.RfmParams) -> result.Result:
    """Return one row per customer with a purchase, by customer id, scored as `catalogue.rfm` defines.

    Raises:
        errors.Refusal: a dataset or column is not there, or a filter value does not suit its column.
    """
    orders = facts.build(tables, params)
    described = cells.describe(rfm.TYPE.columns, params, currency=orders.currency)
    people = _people(orders)
    buyers = people.known.filter(pc.greater(people.known["frequency"], 0))
    recency = _recency_days(buyers, orders)
    values = _Values(recency, cells.ordinals(buyers["frequency"]), buyers["monetary"])
    scores = _scores(values, params)
    rows = cells.table(
        described,
        {
            "customer_id": buyers["customer_id"],
            "first_order": buyers["first_order"],
            "last_order": buyers["last_order"],
            "recency_days": recency,
            "frequency": buyers["frequency"],
            "monetary": buyers["monetary"],
            "r": scores.r,
            "f": scores.f,
            "m": scores.m,
            "segment": _segments(scores, params.bins),
            **{
                column.name: buyers[name]
                for column, name in zip(described[len(rfm.TYPE.columns) :], orders.segments, strict=True)
            },
        },
    )
    return _result(orders, people, rows, described, params)


@dataclass(frozen=True, slots=True)
class _People:
    """Customers, and the money of nobody in particular."""

    known: pa.Table
    unattributed: Decimal
    unattributed_orders: int


def _people(orders: facts.Facts) -> _People:
    """Reduce orders to one row per customer, ordered by id."""
    table = orders.table
    first = {
        name: table[name].first(where=table.is_sale, order_by=[table.ordered_at, table.order_id])
        for name in orders.segments
    }
    per_customer = table.group_by("customer_id").aggregate(
        first_order=table.ordered_at.min(where=table.is_sale),
        last_order=table.ordered_at.max(where=table.is_sale),
        frequency=table.is_sale.sum(),
        monetary=table.value.sum(),
        **first,
    )
    per_customer = per_customer.mutate(last_day=calendar.local_date(per_customer.last_order, orders.zone))
    everybody = per_customer.order_by("customer_id").to_pyarrow()
    nobody = everybody.filter(pc.is_null(everybody["customer_id"]))
    return _People(
        known=everybody.filter(pc.is_valid(everybody["customer_id"])),
        unattributed=cells.total(nobody["monetary"]),
        unattributed_orders=pc.sum(nobody["frequency"]).as_py() or 0,
    )


def _recency_days(buyers: pa.Table, orders: facts.Facts) -> Integers:
    """Return whole local calendar days from the last purchase to `as_of`: local date of as_of - local date of it."""
    last = np.asarray(buyers["last_day"].combine_chunks().cast(pa.int32())).astype(np.int64)
    if orders.as_of is None:
        return last
    as_of = calendar.Calendar(orders.zone).day_of(orders.as_of)
    return np.int64(np.datetime64(as_of, "D").astype(np.int64)) - last


@dataclass(frozen=True, slots=True)
class _Values:
    recency: Integers
    frequency: Integers
    monetary: pa.ChunkedArray


@dataclass(frozen=True, slots=True)
class _Scores:
    r: Integers
    f: Integers
    m: Integers


def _scores(values: _Values, params: rfm.RfmParams) -> _Scores:
    bins, monetary = params.bins, cells.ordinals(values.monetary)
    if params.thresholds is not None:
        # Exact amounts against bounds of the asker: the nearest double of each is what both were written as.
        amounts = np.asarray(values.monetary.cast(pa.float64()))
        return _Scores(
            bins + 1 - _cut(values.recency, np.asarray(params.thresholds.recency)),
            _cut(values.frequency, np.asarray(params.thresholds.frequency)),
            _cut(amounts, np.asarray(params.thresholds.monetary)),
        )
    if params.method is rfm.Method.RANK:
        return _Scores(_by_rank(-values.recency, bins), _by_rank(values.frequency, bins), _by_rank(monetary, bins))
    return _Scores(
        bins + 1 - _by_quantile(values.recency, bins),
        _by_quantile(values.frequency, bins),
        _by_quantile(monetary, bins),
    )


def _by_quantile(values: Integers, bins: int) -> Integers:
    """Score by the values at positions floor((n - 1) * i / bins): equal values always share a score."""
    if not len(values):
        return values
    positions = [(len(values) - 1) * i // bins for i in range(1, bins)]
    return _cut(values, np.partition(values, positions)[positions])


def _cut(values: np.ndarray[Any, Any], cuts: np.ndarray[Any, Any]) -> Integers:
    """Score 1 plus the number of cuts below the value."""
    return np.searchsorted(cuts, values, side="left").astype(np.int64) + 1


def _by_rank(values: Integers, bins: int) -> Integers:
    """Score by position among all, in bins of equal size; customers come ordered by id, which breaks ties."""
    positions = np.empty(len(values), dtype=np.int64)
    positions[np.argsort(values, kind="stable")] = np.arange(len(values))
    return positions * bins // max(len(values), 1) + 1


def _segments(scores: _Scores, bins: int) -> pa.Array:
    """Look each customer up in the table of segments, scores stretched to five."""
    names = [rfm_segments.segment(r, fm) for r in range(1, 6) for fm in range(1, 6)]
    r, f, m = (-(-score * 5 // bins) for score in (scores.r, scores.f, scores.m))
    cell = (r - 1) * 5 + (f + m + 1) // 2 - 1
    return pa.array(names, type=pa.string()).take(pa.array(cell, type=pa.int64()))


def _result(
    orders: facts.Facts, people: _People, rows: pa.Table, described: tuple[Any, ...], params: rfm.RfmParams
) -> result.Result:
    revenue = cells.total(rows["monetary"])
    refund_only = cells.total(people.known.filter(pc.equal(people.known["frequency"], 0))["monetary"])
    segments = _summarise(rows, ["segment"], revenue)
    order = [name for name in rfm_segments.MEANINGS if any(row["segment"] == name for row in segments)]
    segments.sort(key=lambda row: order.index(row["segment"]))
    extra = [column.name for column in described[len(rfm.TYPE.columns) :]]
    summary: dict[str, Any] = {
        "as_of": None if orders.as_of is None else orders.as_of.isoformat().replace("+00:00", "Z"),
        "currency": orders.currency,
        "customers": rows.num_rows,
        "orders": pc.sum(rows["frequency"]).as_py() or 0,
        "revenue": cells.money_text(revenue),
        "unattributed": {"orders": people.unattributed_orders, "revenue": cells.money_text(people.unattributed)},
        "refunds_without_purchase": cells.money_text(refund_only),
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
        rows=rows,
        summary=summary,
        charts=(
            charts.bars("Customers by segment", plotted, label="segment", value="customers", order=order),
            charts.bars(
                f"Revenue by segment, {orders.currency}", plotted, label="segment", value="revenue", order=order
            ),
        ),
        warnings=tuple(warnings),
        dropped=orders.dropped,
        invariants=_invariants(orders, revenue + people.unattributed + refund_only, rows),
        rows_read=orders.rows_read,
    )


def _summarise(rows: pa.Table, keys: list[str], revenue: Decimal) -> list[dict[str, Any]]:
    """Return customers, revenue and shares per group, ordered by the group's names."""
    groups = rows.group_by(keys, use_threads=False).aggregate([("customer_id", "count"), ("monetary", "sum")])
    found = groups.sort_by([(key, "ascending") for key in keys]).to_pylist()
    return [
        {
            **{key: row[key] for key in keys},
            "customers": row["customer_id_count"],
            "customers_share": cells.share(row["customer_id_count"], rows.num_rows),
            "revenue": cells.money_text(row["monetary_sum"]),
            "share": cells.share(row["monetary_sum"], revenue),
        }
        for row in found
    ]


def _warnings(rows: pa.Table, params: rfm.RfmParams) -> list[result.ResultWarning]:
    """Warn where so many customers are alike that a score cannot use all its bins."""
    if params.method is not rfm.Method.QUANTILE or not rows.num_rows:
        return []
    merged = [name for name in ("r", "f", "m") if pc.count_distinct(rows[name]).as_py() < params.bins]
    if not merged:
        return []
    detail = f"So many customers have equal values that {', '.join(merged)} cannot use all {params.bins} scores."
    return [result.ResultWarning("merged-bins", detail)]


def _invariants(orders: facts.Facts, accounted: Decimal, rows: pa.Table) -> tuple[result.Invariant, ...]:
    net = orders.totals().net
    ages = pc.min_max(rows["recency_days"]).as_py()
    return (
        result.Invariant(
            "monetary_is_net_revenue",
            accounted == net,
            f"customers + unattributed + refunds without purchase = {cells.money_text(accounted)}; "
            f"net revenue = {cells.money_text(net)}",
        ),
        result.Invariant(
            "recency_not_negative", (ages["min"] or 0) >= 0, f"least recency {ages['min'] if rows.num_rows else 'none'}"
        ),
    )
