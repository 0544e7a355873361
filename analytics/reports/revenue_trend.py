"""Computes `revenue_trend`: the engine reduces orders to periods, the rest is arithmetic on a few rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any

from ibis.expr import types as ir

from analytics import errors, result
from analytics.catalogue import columns, revenue_trend
from analytics.reports import activity, calendar, cells, charts, facts

MAX_ROWS = 1_000_000
_PLACES = Decimal("0.00000001")
Segment = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class _Cell:
    """One period of one segment."""

    gross: Decimal = Decimal(0)
    refunds: Decimal = Decimal(0)
    new_revenue: Decimal = Decimal(0)
    unattributed: Decimal = Decimal(0)
    orders: int = 0
    customers: int = 0
    new_customers: int = 0

    @property
    def net(self) -> Decimal:
        return self.gross - self.refunds


def compute(tables: Mapping[str, ir.Table], params: revenue_trend.RevenueTrendParams) -> result.Result:
    """Return one row per period (and segment), oldest first, as `catalogue.revenue_trend` defines.

    Raises:
        errors.Refusal: a dataset or column is not there, a filter value does not suit its column, or the periods
            are too many to show.
    """
    orders = facts.build(tables, params, split_orders=True)
    periods = calendar.Calendar(params.timezone, params.period, params.week_start)
    cells_by_key = _count(orders, periods)
    span = _span(orders, periods, params, [start for start, _ in cells_by_key])
    segments = sorted({segment for _, segment in cells_by_key}, key=_nulls_last) or (
        [()] if not orders.segments else []
    )
    if len(span) * len(segments) > MAX_ROWS:
        raise errors.Refusal("too-many-rows", f"More than {MAX_ROWS} rows; choose a longer period or fewer segments.")
    described = cells.describe(revenue_trend.TYPE.columns, params, currency=orders.currency)
    names = [column.name for column in described[len(revenue_trend.TYPE.columns) :]]
    trend = _Trend(cells_by_key, span[0] if span else date.min, orders, periods)
    rows = [
        {**trend.row(start, segment), **dict(zip(names, segment, strict=True))}
        for start in span
        for segment in segments
    ]
    return _result(orders, rows, described, names)


def _nulls_last(segment: Segment) -> list[tuple[bool, str]]:
    return [(value is None, value or "") for value in segment]


def _count(orders: facts.Facts, periods: calendar.Calendar) -> dict[tuple[date, Segment], _Cell]:
    """Reduce per customer and period first, so that counting distinct customers is a plain sum."""
    each = activity.with_first_period(activity.by_period(orders, periods, keep_segments=True))
    buys, known = each.orders > 0, each.customer_id.notnull()
    is_new = known & (each.period == each.first_period)
    net = each.gross - each.refunds
    grouped = each.group_by(["period", *orders.segments]).aggregate(
        gross=each.gross.sum(),
        refunds=each.refunds.sum(),
        new_revenue=net.sum(where=is_new),
        unattributed=net.sum(where=~known),
        orders=each.orders.sum(),
        customers=(known & buys).sum(),
        new_customers=(is_new & buys).sum(),
    )
    return {
        (row["period"], tuple(row[name] for name in orders.segments)): _Cell(
            gross=row["gross"] or Decimal(0),
            refunds=row["refunds"] or Decimal(0),
            new_revenue=row["new_revenue"] or Decimal(0),
            unattributed=row["unattributed"] or Decimal(0),
            orders=row["orders"] or 0,
            customers=row["customers"] or 0,
            new_customers=row["new_customers"] or 0,
        )
        for row in grouped.to_pyarrow().to_pylist()
    }


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


@dataclass(frozen=True, slots=True)
class _Trend:
    """What was counted, and what rows are made of."""

    counted: Mapping[tuple[date, Segment], _Cell]
    first: date
    orders: facts.Facts
    periods: calendar.Calendar

    def row(self, start: date, segment: Segment) -> dict[str, Any]:
        cell = self.counted.get((start, segment), _Cell())
        return {
            "period": start,
            "complete": self.orders.covers(self.periods, start),
            "gross": cell.gross,
            "refunds": cell.refunds,
            "net": cell.net,
            "orders": cell.orders,
            "customers": cell.customers,
            "aov": _mean(cell.gross, cell.orders),
            "new_revenue": cell.new_revenue,
            "returning_revenue": cell.net - cell.new_revenue - cell.unattributed,
            "change_previous": self._change(start, segment, self.periods.step(start, -1)),
            "change_year": self._change(start, segment, self.periods.year_before(start)),
            "unattributed": cell.unattributed,
            "new_customers": cell.new_customers,
        }

    def _change(self, now: date, segment: Segment, then: date | None) -> float | None:
        """Compare net of two periods; only whole periods within the data can be compared."""
        if then is None or then < self.first:
            return None
        if not self.orders.covers(self.periods, now) or not self.orders.covers(self.periods, then):
            return None
        before = self.counted.get((then, segment), _Cell()).net
        net = self.counted.get((now, segment), _Cell()).net
        return None if before == 0 else float((net - before) / abs(before))


def _mean(amount: Decimal, count: int) -> Decimal | None:
    with localcontext(prec=50):
        return (amount / count).quantize(_PLACES, rounding=ROUND_HALF_EVEN) if count else None


def _result(
    orders: facts.Facts, rows: list[dict[str, Any]], described: tuple[columns.Column, ...], names: list[str]
) -> result.Result:
    sums: dict[str, Decimal] = {
        name: sum((row[name] for row in rows), Decimal(0))
        for name in ("gross", "refunds", "net", "new_revenue", "returning_revenue", "unattributed")
    }
    complete = [row["period"] for row in rows if row["complete"]]
    totals = {
        **{name: cells.money_text(amount) for name, amount in sums.items()},
        **_people(orders, rows, segmented=bool(names)),
        "periods": len({row["period"] for row in rows}),
        "complete_periods": len(set(complete)),
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


def _people(orders: facts.Facts, rows: list[dict[str, Any]], *, segmented: bool) -> dict[str, Any]:
    """Count orders and customers over all periods; a customer or order in two segments is one."""
    counts = {"orders": sum(row["orders"] for row in rows), "customers": sum(row["new_customers"] for row in rows)}
    if segmented:
        sale = orders.table.is_sale
        whole = orders.table.aggregate(
            orders=orders.table.order_id.nunique(where=sale), customers=orders.table.customer_id.nunique(where=sale)
        )
        counts = whole.to_pyarrow().to_pylist()[0]
    gross = sum((row["gross"] for row in rows), Decimal(0))
    mean = _mean(gross, counts["orders"])
    return {**counts, "aov": None if mean is None else cells.money_text(mean)}


def _charts(rows: list[dict[str, Any]], names: list[str], currency: str) -> tuple[result.Chart, ...]:
    if not rows:
        return ()
    plotted = [
        {
            "period": row["period"].isoformat(),
            "net": float(row["net"]),
            "orders": row["orders"],
            **({"segment": " / ".join(str(row[name]) for name in names)} if names else {}),
        }
        for row in rows[:2_000]
    ]
    color = "segment" if names else None
    return (
        charts.lines(f"Net revenue, {currency}", plotted, x="period", y="net", color=color),
        charts.lines("Orders", plotted, x="period", y="orders", color=color),
    )


def _warnings(orders: facts.Facts, rows: list[dict[str, Any]]) -> list[result.ResultWarning]:
    found = []
    partial = sorted({row["period"] for row in rows if not row["complete"]})
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
