"""Computes `cohort_retention`: the engine counts cells, the triangle and its means are built from a few rows."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from ibis.expr import types as ir

from analytics import errors, result
from analytics.catalogue import cohort_retention
from analytics.reports import activity, calendar, cells, charts, facts, signups

MAX_CELLS = 1_000_000
Segment = tuple[str | None, ...]
Key = tuple[date, Segment]
_SHOWN = 40
# The end of what is covered is itself outside, so the last period is that of the moment before it.
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Cell:
    """What a cohort did in one period."""

    active: int = 0
    orders: int = 0
    revenue: Decimal = Decimal(0)


@dataclass(slots=True)
class _Counts:
    """Cohorts as counted: their sizes, their periods, and revenue that belongs to no cell."""

    sizes: dict[Key, int] = field(default_factory=dict)
    cells: dict[Key, dict[date, _Cell]] = field(default_factory=lambda: defaultdict(dict))
    revenue: Decimal = Decimal(0)
    before: Decimal = Decimal(0)
    orders_before: int = 0
    outside: Decimal = Decimal(0)


def compute(tables: Mapping[str, ir.Table], params: cohort_retention.CohortRetentionParams) -> result.Result:
    """Return one row per cohort and period_index, by cohort, segment and index, as `catalogue.cohort_retention` defines.

    Raises:
        errors.Refusal: a dataset or column is not there, a filter value does not suit its column, or the cells are
            too many to show.
    """
    orders = facts.build(tables, params)
    periods = calendar.Calendar(params.timezone, params.period, params.week_start)
    counts = _count(orders, _members(tables, orders, periods, params), periods, params)
    described = cells.describe(cohort_retention.TYPE.columns, params, currency=orders.currency)
    names = [column.name for column in described[len(cohort_retention.TYPE.columns) :]]
    rows = [
        {**row, **dict(zip(names, key[1], strict=True))}
        for key, starts in _frame(orders, counts, periods, params)
        for row in _cohort_rows(counts, key, starts, (orders, periods, params))
    ]
    means = _weighted_mean(rows, params)
    return result.Result(
        columns=described,
        rows=cells.table(described, rows),
        summary=_summary(orders, counts, means),
        charts=_charts(rows, means, names),
        warnings=(*orders.warnings, *_warnings(orders, counts)),
        dropped={**orders.dropped, **({"orders_before_cohort": counts.orders_before} if counts.orders_before else {})},
        invariants=_invariants(orders, counts, params),
        rows_read=orders.rows_read,
    )


def _members(
    tables: Mapping[str, ir.Table],
    orders: facts.Facts,
    periods: calendar.Calendar,
    params: cohort_retention.CohortRetentionParams,
) -> ir.Table:
    """Return member_id, cohort and the segment columns: one row per customer who belongs to a cohort."""
    if params.cohort_by is cohort_retention.CohortBy.SIGNUP:
        return signups.members(tables, orders, periods, params)
    bought = orders.table.filter(orders.table.is_sale & orders.table.customer_id.notnull())
    first = bought.group_by("customer_id").aggregate(
        first_at=bought.ordered_at.min(),
        **{name: bought[name].first(order_by=[bought.ordered_at, bought.order_id]) for name in orders.segments},
    )
    return first.select(*orders.segments, member_id=first.customer_id, cohort=periods.period_of(first.first_at))


def _count(
    orders: facts.Facts,
    members: ir.Table,
    periods: calendar.Calendar,
    params: cohort_retention.CohortRetentionParams,
) -> _Counts:
    counts = _Counts()
    sizes = members.group_by(["cohort", *orders.segments]).aggregate(size=members.count())
    for row in sizes.to_pyarrow().to_pylist():
        counts.sizes[_key(row, orders)] = row["size"]
    each = activity.by_period(orders, periods, keep_segments=False)
    joined = each.left_join(members, each.customer_id == members.member_id)
    # Periods before a cohort's own are kept apart: they are refunds, or purchases before signing up.
    grouped = joined.group_by(["cohort", "period", *orders.segments]).aggregate(
        active=(joined.orders > 0).sum(), orders=joined.orders.sum(), revenue=(joined.gross - joined.refunds).sum()
    )
    for row in grouped.to_pyarrow().to_pylist():
        _place(counts, row, orders)
    if params.criterion is cohort_retention.Criterion.ON_OR_AFTER:
        _accumulate(counts, _last_active(joined, orders))
    return counts


def _key(row: Mapping[str, Any], orders: facts.Facts) -> Key:
    return row["cohort"], tuple(row[name] for name in orders.segments)


def _place(counts: _Counts, row: Mapping[str, Any], orders: facts.Facts) -> None:
    if row["cohort"] is None:
        counts.outside += row["revenue"]
    elif row["period"] < row["cohort"]:
        counts.before += row["revenue"]
        counts.orders_before += row["orders"]
    else:
        counts.revenue += row["revenue"]
        counts.cells[_key(row, orders)][row["period"]] = _Cell(row["active"], row["orders"], row["revenue"])


def _last_active(joined: ir.Table, orders: facts.Facts) -> dict[Key, dict[date, int]]:
    """Count the members of each cohort by the last period in which they bought."""
    bought = joined.filter((joined.orders > 0) & (joined.period >= joined.cohort))
    last = bought.group_by(["cohort", *orders.segments, "customer_id"]).aggregate(last_period=bought.period.max())
    grouped = last.group_by(["cohort", *orders.segments, "last_period"]).aggregate(members=last.count())
    found: dict[Key, dict[date, int]] = defaultdict(dict)
    for row in grouped.to_pyarrow().to_pylist():
        found[_key(row, orders)][row["last_period"]] = row["members"]
    return found


def _accumulate(counts: _Counts, last_active: Mapping[Key, Mapping[date, int]]) -> None:
    """Make every cell stand for its period and all later ones."""
    for key, by_period in counts.cells.items():
        still, done, value = 0, 0, Decimal(0)
        for period in sorted(by_period, reverse=True):
            still += last_active.get(key, {}).get(period, 0)
            done += by_period[period].orders
            value += by_period[period].revenue
            by_period[period] = _Cell(still, done, value)


def _frame(
    orders: facts.Facts,
    counts: _Counts,
    periods: calendar.Calendar,
    params: cohort_retention.CohortRetentionParams,
) -> list[tuple[Key, list[date]]]:
    """Return every cohort with the periods of its row: as many for each as the oldest has."""
    keys = sorted(counts.sizes, key=lambda key: (key[0], [(value is None, value or "") for value in key[1]]))
    if not keys or orders.covered_to is None:
        return []
    oldest = keys[0][0]
    last_day = max([key[0] for key in keys] + [day for row in counts.cells.values() for day in row])
    reach = periods.first_day(periods.day_of(orders.covered_to - _INSTANT))
    longest = len(list(periods.between(oldest, max(last_day, reach))))
    width = longest if params.periods is None else min(longest, params.periods + 1)
    if len(keys) * width > MAX_CELLS:
        raise errors.Refusal(
            "too-many-cells", f"More than {MAX_CELLS} cells; choose a longer period, fewer segments or `periods`."
        )
    return [(key, [periods.step(key[0], k) for k in range(width)]) for key in keys]


def _cohort_rows(
    counts: _Counts,
    key: Key,
    starts: Sequence[date],
    context: tuple[facts.Facts, calendar.Calendar, cohort_retention.CohortRetentionParams],
) -> list[dict[str, Any]]:
    orders, periods, params = context
    found, size = counts.cells.get(key, {}), counts.sizes[key]
    along = _along(found, starts, params)
    last_seen = max(found, default=key[0])
    rows: list[dict[str, Any]] = []
    for index, (start, value) in enumerate(zip(starts, along, strict=True)):
        observed = start <= last_seen or (orders.covered_to is not None and periods.instant(start) < orders.covered_to)
        cell = value if observed else None
        rows.append(
            {
                "cohort": key[0],
                "cohort_size": size,
                "period_index": index,
                "active": None if cell is None else cell.active,
                "rate": None if cell is None else cells.share(*_parts(cell, along[0], size, params)),
                "revenue": None if cell is None else cell.revenue,
                "complete": observed and orders.covers(periods, start),
                "orders": None if cell is None else cell.orders,
            }
        )
    return rows


def _along(
    found: Mapping[date, _Cell], starts: Sequence[date], params: cohort_retention.CohortRetentionParams
) -> list[_Cell]:
    """Return a cell per period; one without activity has nothing, or with on_or_after what came after it."""
    if params.criterion is cohort_retention.Criterion.ON:
        return [found.get(start, _Cell()) for start in starts]
    beyond = min((period for period in found if period > starts[-1]), default=None)
    carried = _Cell() if beyond is None else found[beyond]
    cells_back: list[_Cell] = []
    for start in reversed(starts):
        carried = found.get(start, carried)
        cells_back.append(carried)
    return cells_back[::-1]


def _parts(
    cell: _Cell, base: _Cell, size: int, params: cohort_retention.CohortRetentionParams
) -> tuple[Decimal | int, Decimal | int]:
    """Return numerator and denominator of `rate`."""
    if params.measure is cohort_retention.Measure.ORDERS:
        return cell.orders, base.orders
    if params.measure is cohort_retention.Measure.REVENUE:
        return cell.revenue, base.revenue
    return cell.active, size


def _weighted_mean(
    rows: Sequence[Mapping[str, Any]], params: cohort_retention.CohortRetentionParams
) -> list[dict[str, Any]]:
    """Return per index the mean rate of the cohorts whose cell is complete, weighted by their denominators."""
    column = {"customers": "active", "orders": "orders", "revenue": "revenue"}[params.measure]
    above: dict[int, Decimal] = defaultdict(Decimal)
    below: dict[int, Decimal] = defaultdict(Decimal)
    seen: dict[int, int] = {row["period_index"]: 0 for row in rows}
    base = Decimal(0)
    for row in rows:
        index = row["period_index"]
        if index == 0:
            base = Decimal(row["cohort_size"] if column == "active" else row[column] or 0)
        if row["complete"]:
            above[index] += row[column]
            below[index] += base
            seen[index] += 1
    return [
        {"period_index": index, "rate": cells.share(above[index], below[index]), "cohorts": count}
        for index, count in sorted(seen.items())
    ]


def _summary(orders: facts.Facts, counts: _Counts, means: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "as_of": None if orders.as_of is None else orders.as_of.isoformat().replace("+00:00", "Z"),
        "currency": orders.currency,
        "customers": sum(counts.sizes.values()),
        "cohorts": len(counts.sizes),
        "revenue": cells.money_text(counts.revenue),
        "weighted_mean": means,
    }


def _charts(
    rows: Sequence[Mapping[str, Any]], means: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> tuple[result.Chart, ...]:
    if not rows:
        return ()
    label = {id(row): " / ".join([row["cohort"].isoformat(), *(str(row[name]) for name in names)]) for row in rows}
    shown = list(dict.fromkeys(label.values()))[-_SHOWN:]
    plotted = [
        {"cohort": label[id(row)], "period_index": row["period_index"], "rate": row["rate"]}
        for row in rows
        if row["rate"] is not None and row["period_index"] < _SHOWN and label[id(row)] in set(shown)
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


def _invariants(
    orders: facts.Facts, counts: _Counts, params: cohort_retention.CohortRetentionParams
) -> tuple[result.Invariant, ...]:
    net = orders.totals().net
    accounted = counts.revenue + counts.before + counts.outside
    found = [
        result.Invariant(
            "cells_and_rest_are_net_revenue",
            accounted == net,
            f"cohorts {cells.money_text(counts.revenue)} + before their cohort {cells.money_text(counts.before)} + "
            f"without cohort {cells.money_text(counts.outside)}; net revenue = {cells.money_text(net)}",
        )
    ]
    if params.cohort_by is cohort_retention.CohortBy.FIRST_ORDER:
        sale = orders.table.is_sale
        buyers = orders.table.customer_id.nunique(where=sale).to_pyarrow().as_py()
        members = sum(counts.sizes.values())
        found.append(
            result.Invariant(
                "cohort_sizes_are_customers", members == buyers, f"cohorts {members}; distinct customers {buyers}"
            )
        )
    return tuple(found)
