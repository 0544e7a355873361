"""Times `revenue_trend` and `cohort_retention` on five million orders against the same queries written by hand for DuckDB."""

import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from analytics import engine, result
from analytics.catalogue import registry
from analytics.render import chunks
from analytics.reports import registry as computing
from tests.benchmarks import rfm_against_duckdb as rfm

# What a specialist would write: one statement per report, one pass over the orders, customers reduced before they count.
VISITS = """
with visits as (
    select customer_id, date_trunc('month', timezone('{zone}', ordered_at))::date as period,
        count(*) filter (kind = 'sale') as orders, sum(amount) filter (kind = 'sale') as gross, sum(amount) as net
    from {orders} group by all
), firsts as (
    select customer_id, min(period) filter (orders > 0) as cohort from visits group by customer_id
)"""
REVENUE_TREND = (
    VISITS
    + """, months as (
    select period, sum(gross) as gross, sum(net) as net, sum(orders)::bigint as orders,
        count(*) filter (orders > 0 and customer_id is not null) as customers,
        coalesce(sum(net) filter (period = cohort), 0) as new_revenue,
        coalesce(sum(net) filter (customer_id is null), 0) as unattributed,
        count(*) filter (orders > 0 and period = cohort) as new_customers
    from visits left join firsts using (customer_id) group by period
)
select period, gross, gross - net as refunds, net, orders, customers, gross / orders as aov, new_revenue,
    net - new_revenue - unattributed as returning_revenue,
    net / lag(net) over (order by period) - 1 as change_previous,
    net / lag(net, 12) over (order by period) - 1 as change_year, unattributed, new_customers
from months order by period"""
)
COHORT_RETENTION = (
    VISITS
    + """, cells as (
    select cohort, date_diff('month', cohort, period) as period_index, count(*) filter (orders > 0) as active,
        sum(net) as revenue, sum(orders)::bigint as orders
    from visits join firsts using (customer_id) where period >= cohort group by all
)
select cohort, first_value(active) over whole as cohort_size, period_index, active, active / cohort_size as rate, revenue,
    orders
from cells window whole as (partition by cohort order by period_index) order by cohort, period_index"""
)
BY_HAND = {"revenue_trend": REVENUE_TREND, "cohort_retention": COHORT_RETENTION}
# What must be equal to the last digit in both answers.
EXACT = {
    "revenue_trend": ("period", "gross", "refunds", "net", "orders", "customers", "new_revenue", "new_customers"),
    "cohort_retention": ("cohort", "cohort_size", "period_index", "active", "revenue", "orders"),
}


def measure(orders: int = 5_000_000, customers: int = 500_000, repeats: int = 3) -> dict[str, float]:
    """Return the best seconds of each report and of its query by hand, and their ratio."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "orders.parquet"
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            connection.execute(rfm.GENERATE.format(orders=orders, customers=customers, path=path))
        for report in BY_HAND:
            _compare(report, path)
            ours, by_hand = _best(report, path, repeats)
            figures |= {
                f"{report}_ours": ours,
                f"{report}_duckdb": by_hand,
                f"{report}_ratio_to_duckdb": ours / by_hand,
            }
    return figures


def query(report: str, orders: str) -> str:
    """Return the query for orders that are named so in SQL."""
    return BY_HAND[report].format(orders=orders, zone=rfm.ZONE)


def _best(report: str, path: Path, repeats: int) -> tuple[float, float]:
    """Return the best seconds of both ways, run in turn, so that whatever else the machine does falls on both."""
    ours, by_hand = [], []
    for _ in range(repeats):
        begun = time.perf_counter()
        _ours(report, path)
        between = time.perf_counter()
        _by_hand(report, path)
        ours.append(between - begun)
        by_hand.append(time.perf_counter() - between)
    return min(ours), min(by_hand)


def _by_hand(report: str, path: Path) -> pa.Table:
    with duckdb.connect(config={"threads": rfm.THREADS, "memory_limit": rfm.MEMORY}) as connection:
        connection.execute("set timezone = 'UTC'")
        return connection.sql(query(report, f"read_parquet('{path}')")).to_arrow_table()


def _ours(report: str, path: Path) -> result.Result:
    params = registry.REPORT_TYPES[report].parse_params({}, timezone=rfm.ZONE, currency="GBP")
    with engine.open_tables(
        [engine.Snapshot("orders", 0, (str(path),), 0)],
        memory_limit=rfm.MEMORY,
        threads=rfm.THREADS,
        spill_folder=path.parent / "spill",
    ) as tables:
        answer = computing.COMPUTE[report](tables, params)
    for _ in chunks.encode(answer.rows):
        pass
    return answer


def _compare(report: str, path: Path) -> None:
    """Refuse to time two different answers; the query by hand has no rows for what did not happen."""
    ours, by_hand = _ours(report, path), _by_hand(report, path)
    if not all(invariant.holds for invariant in ours.invariants):
        raise AssertionError(f"an invariant of {report} does not hold: {ours.invariants}")
    if _happened(ours.rows, report) != _happened(by_hand, report):
        raise AssertionError(f"{report} differs from the query by hand")


def _happened(rows: pa.Table, report: str) -> list[dict[str, Any]]:
    return [row for row in rows.select(EXACT[report]).to_pylist() if row["orders"]]
