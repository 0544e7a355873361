"""Reduces orders to what each customer did in each period, from which trends and cohorts are counted."""

import dataclasses

from ibis.expr import types as ir

from analytics.reports import calendar, facts


def by_period(orders: facts.Facts, periods: calendar.Calendar, *, keep_segments: bool) -> ir.Table:
    """Return one row per customer, period and, if kept, segment.

    Columns out: customer_id (null for nobody in particular), period (first local day), orders, gross (null without
    orders), net and the segment columns.
    """
    table, periods = orders.table, dataclasses.replace(periods, reach=orders.reach)
    keys = ["customer_id", *(orders.segments if keep_segments else ())]
    return table.group_by(*keys, period=periods.period_of(table.ordered_at)).aggregate(
        orders=table.count(where=table.is_sale), gross=table.value.sum(where=table.is_sale), net=table.value.sum()
    )


def with_first_period(activity: ir.Table) -> ir.Table:
    """Add `first_period`: the period of the customer's first purchase; null for nobody and who has only refunds."""
    first = activity.group_by(buyer=activity.customer_id).aggregate(
        first_period=activity.period.min(where=activity.orders > 0)
    )
    # A join on the few customers costs far less than a window over all that they did.
    return activity.left_join(first, activity.customer_id == first.buyer)
