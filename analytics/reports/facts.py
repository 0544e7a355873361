"""The orders a customer report counts: chosen, bounded, filtered, in one currency, refunds where they belong."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import ibis
from ibis.expr import types as ir

from analytics import result
from analytics.catalogue import parameters
from analytics.reports import calendar, cells, counting, filters, local_time, money, refunds, sources

FILTERED = "filtered"


@dataclass(frozen=True, slots=True)
class Facts:
    """Orders and refunds, ready to be grouped.

    Attributes:
        table: order_id, customer_id, ordered_at, is_sale, value (refunds negative), `seg_<i>` per segment column.
        segments: the names of the segment columns in `table`.
        currency: what `value` is in.
        zone: where days begin.
        start: nothing before it was read.
        as_of: nothing from here on was read; None when there are no data at all.
        covered_to: the data are known up to here: the end of the last local day that has a row, or an earlier bound.
        reach: the first and the last moment of all rows.
        profiled: the totals, where counting the rows gave them already; `attributed` says whether they know whose.
    """

    table: ir.Table
    segments: tuple[str, ...]
    currency: str
    zone: str
    start: datetime | None
    as_of: datetime | None
    covered_to: datetime | None
    rows_read: Mapping[str, int]
    dropped: Mapping[str, int]
    warnings: tuple[result.ResultWarning, ...]
    reach: local_time.Reach | None
    profiled: counting.Totals | None
    attributed: bool

    def covers(self, periods: calendar.Calendar, first_day: date) -> bool:
        """Whether the data reach from the beginning of a period to its end."""
        if self.covered_to is None or (self.start is not None and periods.instant(first_day) < self.start):
            return False
        return periods.instant(periods.step(first_day, 1)) <= self.covered_to

    def totals(self) -> counting.Totals:
        """Return the sums over all rows, with no grouping by time or customer, to check a report against."""
        if self.profiled is not None and self.attributed:
            return self.profiled
        table = self.table
        sums = table.group_by("is_sale", known=table.customer_id.notnull()).aggregate(value=table.value.sum())
        return counting.Totals.of(cells.frame(sums.to_pyarrow()))

    def net(self) -> Decimal:
        """Return net revenue over all rows, as `totals` does, whose ever it is."""
        return self.totals().net if self.profiled is None else self.profiled.net


def build(tables: Mapping[str, ir.Table], params: parameters.ReportParams, *, split_orders: bool = False) -> Facts:
    """Return the facts of a question.

    `split_orders` makes an order with lines in several segments count in each of them; otherwise the order has the
    least of its lines' values, so that it stays one order.

    Raises:
        errors.Refusal: a dataset or column is not there, or a filter value does not suit its column.
    """
    source = sources.choose(tables, params)
    rows = source.table.mutate(is_sale=(source.table.kind != "refund").fill_null(True))
    # A refund that moves to its order's date is bounded by that date, so only what was known by `as_of` counts here.
    moves = params.refunds is parameters.Refunds.ON_ORDER_DATE
    bounds = _Bounds.of(params)
    presence = counting.Presence.of(tables[source.dataset])
    tests = _tests(rows, source, params, bounds.known() if moves else bounds)
    if presence.dated_and_priced:
        del tests["no_date_or_amount"]
    profile = counting.profile(rows, tests, presence, currency=params.currency, summed=source.derived)
    used = rows.filter(*tests.values()) if tests else rows
    conversion = money.convert(
        used,
        money.Rates(tables.get("fx_rates"), params.base_currency or params.currency),
        wanted=params.currency,
        present=profile.currencies,
        zone=params.timezone,
    )
    orders = _as_orders(conversion.table, source, params, split_orders=split_orders)
    # What was counted is what is reported unless amounts or rows are changed on the way.
    unchanged = conversion.table is used and not source.order_filters and not moves
    warnings = conversion.warnings
    if moves:
        # The order of a refund may be one that the filter leaves out.
        others = [test for reason, test in tests.items() if reason != FILTERED]
        redated = refunds.date_by_order(orders, rows.filter(*others) if others else rows)
        orders, warnings = bounds.keep(redated.table), (*warnings, *redated.warnings)
    segments = tuple(sources.segment_column(i) for i in range(len(params.segment_by)))
    covered_to, as_of = _horizon(profile.last, params)
    unconverted = {"unconverted": conversion.unconverted} if conversion.unconverted else {}
    return Facts(
        table=orders.select("order_id", "customer_id", "ordered_at", "is_sale", *segments, value=_signed(orders)),
        segments=segments,
        currency=conversion.currency,
        zone=params.timezone,
        start=bounds.start,
        as_of=as_of,
        covered_to=covered_to,
        rows_read={source.dataset: profile.total},
        dropped=dict(profile.dropped) | unconverted,
        warnings=warnings,
        reach=profile.reach,
        profiled=profile.totals if unchanged else None,
        attributed=profile.attributed,
    )


@dataclass(frozen=True, slots=True)
class _Bounds:
    """The half-open stretch of time a question is about."""

    start: datetime | None
    ends: tuple[datetime, ...]
    as_of: datetime | None

    @classmethod
    def of(cls, params: parameters.ReportParams) -> "_Bounds":
        end, as_of = params.instant_of(params.end), params.instant_of(params.as_of)
        return cls(params.instant_of(params.start), tuple(at for at in (end, as_of) if at is not None), as_of)

    def known(self) -> "_Bounds":
        return _Bounds(None, () if self.as_of is None else (self.as_of,), self.as_of)

    def tests(self, rows: ir.Table) -> list[ir.BooleanValue]:
        lower = [] if self.start is None else [rows.ordered_at >= instant(self.start)]
        return [*lower, *([rows.ordered_at < instant(min(self.ends))] if self.ends else [])]

    def keep(self, rows: ir.Table) -> ir.Table:
        tests = self.tests(rows)
        return rows.filter(*tests) if tests else rows


def instant(at: datetime) -> ir.TimestampScalar:
    return ibis.literal(at, type="timestamp('UTC', 6)")


def _tests(
    rows: ir.Table, source: sources.Source, params: parameters.ReportParams, bounds: _Bounds
) -> dict[str, ir.BooleanValue]:
    """Return what a row must pass to be used, by the reason for which it is left out otherwise, in order."""
    named = {name: rows[sources.filter_column(name)] for part in source.row_filters for name in part.columns()}
    wanted = [filters.condition(part, named, zone=params.timezone) for part in source.row_filters]
    tests = {"no_date_or_amount": rows.ordered_at.notnull() & rows.amount.notnull()}
    for reason, conditions in (("outside_dates", bounds.tests(rows)), (FILTERED, wanted)):
        if conditions:
            tests[reason] = ibis.and_(*conditions)
    if params.refunds is parameters.Refunds.EXCLUDE:
        tests["refunds"] = rows.is_sale
    return tests


def _horizon(last: datetime | None, params: parameters.ReportParams) -> tuple[datetime | None, datetime | None]:
    """Return until when the data are known, and `as_of`."""
    given, end = params.instant_of(params.as_of), params.instant_of(params.end)
    reach = None if last is None else calendar.Calendar(params.timezone).day_end(last)
    bounds = [at for at in (reach, given, end) if at is not None]
    covered_to = None if reach is None else min(bounds)
    return covered_to, given or covered_to or end


def _as_orders(
    rows: ir.Table, source: sources.Source, params: parameters.ReportParams, *, split_orders: bool
) -> ir.Table:
    """Sum lines per order and kind where the rows are lines; apply the filters that are about whole orders."""
    if not source.derived:
        return rows
    segments = [sources.segment_column(i) for i in range(len(params.segment_by))]
    keys = ["order_id", "is_sale", *(segments if split_orders else [])]
    rest = [name for name in rows.columns if name not in {*keys, "amount", "ordered_at", "kind"}]
    orders = rows.group_by(keys).aggregate(
        amount=rows.amount.sum(),
        ordered_at=rows.ordered_at.min(),
        **{name: rows[name].min() for name in rest},
    )
    for part in source.order_filters:
        named = {
            name: orders.amount if name == "amount" else orders[sources.filter_column(name)] for name in part.columns()
        }
        orders = orders.filter(filters.condition(part, named, zone=params.timezone))
    return orders


def _signed(orders: ir.Table) -> ir.Value:
    """Return what an order adds to net revenue: a refund takes its amount away, whichever sign the export gave it."""
    return ibis.ifelse(orders.is_sale, orders.amount, -orders.amount.abs())
