"""Dates refunds by the order they give money back for."""

from dataclasses import dataclass

import ibis
from ibis.expr import types as ir

from analytics import result
from analytics.reports import sources


@dataclass(frozen=True, slots=True)
class Redated:
    """Orders in which each refund stands on the date of its order.

    Attributes:
        table: the orders, with `ordered_at` of refunds changed.
        warnings: how many refunds were dated by guess, or not at all.
    """

    table: ir.Table
    warnings: tuple[result.ResultWarning, ...]


def date_by_order(orders: ir.Table, known: ir.Table) -> Redated:
    """Move every refund to the time of the order it refunds, which may be among the known orders only.

    That order is the one with the id in `original_order_id` where the data have this column, else the one with the
    refund's own order id, else the same customer's latest purchase no later than the refund; without any of these a
    refund keeps its date. Columns in and out: order_id, customer_id, ordered_at, is_sale, amount, segments. Of the known
    rows, which may be orders or their lines: order_id, customer_id, ordered_at, is_sale.
    """
    columns = list(orders.columns)
    sales = known.filter(known.is_sale)
    refunds = orders.filter(~orders.is_sale)
    sold = sales.group_by("order_id").aggregate(sold_at=sales.ordered_at.min()).rename(sold_order="order_id")
    named = refunds.order_id
    if sources.ORIGINAL_ORDER in columns:
        # A further column has the type of its values: ids that are whole numbers are numbers.
        named = refunds[sources.ORIGINAL_ORDER].cast("string").fill_null(refunds.order_id)
    refunds = refunds.mutate(named=named)
    dated = refunds.left_join(sold, refunds.named == sold.sold_order).drop("sold_order")
    visits = sales.filter(sales.customer_id.notnull())
    visits = (
        visits.group_by("customer_id", "ordered_at").aggregate().rename(visitor="customer_id", visited_at="ordered_at")
    )
    dated = dated.asof_join(
        visits, on=dated.ordered_at >= visits.visited_at, predicates=[dated.customer_id == visits.visitor]
    )
    warnings = _warn(dated)
    moved = dated.mutate(ordered_at=ibis.coalesce(dated.sold_at, dated.visited_at, dated.ordered_at)).select(*columns)
    return Redated(orders.filter(orders.is_sale).select(*columns).union(moved, distinct=False), warnings)


def _warn(dated: ir.Table) -> tuple[result.ResultWarning, ...]:
    counts = (
        dated.aggregate(
            guessed=(dated.sold_at.isnull() & dated.visited_at.notnull()).sum(),
            unknown=(dated.sold_at.isnull() & dated.visited_at.isnull()).sum(),
        )
        .to_pyarrow()
        .to_pylist()[0]
    )
    guessed, unknown = counts["guessed"] or 0, counts["unknown"] or 0
    if not guessed and not unknown:
        return ()
    detail = (
        f"Of the refunds whose order is not in the data, {guessed} are dated by the customer's latest purchase "
        f"before them and {unknown} keep their own date."
    )
    return (result.ResultWarning("refund-dates", detail),)
