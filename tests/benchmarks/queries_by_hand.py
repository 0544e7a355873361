"""For each report the query that a specialist would write for DuckDB: its counting and summing, without what surrounds it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks import reports_against_duckdb, rfm_against_duckdb

ZONE = "Europe/London"
# Order lines: 2.5 to an order, a customer for every 25, refunds in one order of twenty, 500 products.
GENERATE_LINES = """
copy (
    select 'o' || (i * 2 // 5) as order_id, i % 5 as line_no, 'c' || lpad((hash(i * 2 // 5) % {customers})::varchar, 8, '0')
        as customer_id,
        timestamptz '2023-01-01 00:00:00+00' + to_seconds((hash((i * 2 // 5) * 7) % 63072000)::bigint) as ordered_at,
        'p' || (hash(i * 11) % 500) as product_id, 'Product ' || (hash(i * 11) % 500) as product,
        (1 + hash(i * 17) % 5)::decimal(18, 4) as quantity, ((hash(i * 13) % 10000) / 100)::decimal(18, 4) as unit_price,
        (((hash(i * 13) % 10000) / 100)::decimal(18, 4) * (1 + hash(i * 17) % 5)
            * (case when hash((i * 2 // 5) * 3) % 20 = 0 then -1 else 1 end))::decimal(38, 8) as amount,
        'GBP' as currency, case when hash((i * 2 // 5) * 3) % 20 = 0 then 'refund' else 'sale' end as kind
    from range({lines}) t(i)
) to '{path}' (compression snappy)"""
GENERATE_SUBSCRIPTIONS = """
copy (
    select 's' || i as subscription_id, 'c' || (hash(i) % {customers}) as customer_id, 'plan ' || (hash(i * 5) % 4) as plan,
        date '2019-01-01' + (hash(i * 7) % 2000)::integer as started_on,
        case when hash(i * 3) % 2 = 0 then date '2019-01-02' + (hash(i * 7) % 2000)::integer + (hash(i * 11) % 900)::integer end
            as ended_on,
        (10 + hash(i * 13) % 90)::decimal(18, 4) as mrr, 'GBP' as currency
    from range({lines}) t(i)
) to '{path}' (compression snappy)"""
ORDERS = """(
    select order_id, kind, min(customer_id) as customer_id, min(ordered_at) as ordered_at, sum(amount) as amount
    from read_parquet('{path}') group by order_id, kind
)"""

PARAMS: Mapping[str, Mapping[str, Any]] = {
    "aggregate": {
        "dataset": "order_lines",
        "dimensions": [{"column": "ordered_at", "grain": "month"}, {"column": "product_id"}],
        "measures": [
            {"op": "sum", "column": "amount", "name": "revenue"},
            {"op": "count_distinct", "column": "order_id", "name": "orders"},
        ],
    },
    "product_affinity": {"min_support": 0.00001, "min_confidence": 0.0001},
    "data_quality": {"datasets": ["order_lines"]},
    "clv": {"horizon": 52},
}
AGGREGATE = """
select date_trunc('month', timezone('{zone}', ordered_at))::date as period, product_id, sum(amount) as revenue,
    count(distinct order_id) as orders
from read_parquet('{path}') group by all order by all"""
CLV = """
with days as (
    select customer_id, timezone('{zone}', ordered_at)::date as day, sum(amount) as spent
    from {orders} where kind = 'sale' group by all
)
select customer_id, count(*) - 1 as x, (max(day) - min(day)) / 7 as t_x, (date '2024-12-31' - min(day)) / 7 as t,
    (sum(spent) - min_by(spent, day)) / nullif(count(*) - 1, 0) as mean_spend
from days group by customer_id order by customer_id"""
AFFINITY = """
with items as (select distinct order_id, product_id from read_parquet('{path}') where kind = 'sale'),
baskets as (select count(distinct order_id) as n from items),
single as (select product_id, count(*) as count from items group by product_id),
pairs as (
    select a.product_id as antecedent, b.product_id as consequent, count(*) as count
    from items a join items b on a.order_id = b.order_id and a.product_id < b.product_id group by all
)
select *, pairs.count / n as support, pairs.count / x.count as confidence, pairs.count * n / (x.count * y.count) as lift
from pairs, baskets, single x, single y
where x.product_id = antecedent and y.product_id = consequent order by lift desc"""
# The same checks: cells, rows that say the same, texts that are another's in other letters, rows per day.
DATA_QUALITY = """
with cells as (
    select count(*), count(*) filter (amount < 0), count(*) filter (amount = 0), count(*) filter (quantity < 0),
        count(*) filter (customer_id is null), count(*) filter (not regexp_matches(currency, '^[A-Z]{{3}}$')),
        count(distinct ordered_at), count(distinct quantity), count(distinct unit_price), count(distinct amount)
    from read_parquet('{path}')
), repeated as (
    select sum(n - 1) from (
        select count(*) as n from read_parquet('{path}') group by order_id, customer_id, ordered_at, product_id, product,
            quantity, unit_price, amount, currency, kind
    ) where n > 1
), days as (select count(*) from (select distinct timezone('{zone}', ordered_at)::date from read_parquet('{path}')))
select * from cells, repeated, days{texts}"""
DATA_QUALITY_TEXT = """, (
    select sum(n), sum(n - 1) filter (n > 1) from (
        select count(*) as n from (select distinct {name} as value from read_parquet('{path}'))
        group by regexp_replace(lower(value), '[^\\p{{L}}\\p{{N}}]', '', 'g')
    )
) as {name}"""
TEXTS = ("order_id", "customer_id", "product_id", "product", "currency", "kind")
MRR = """
with months as (
    select unnest(generate_series(date '2019-01-31', date '2024-06-30', interval 1 month))::date as month
), spans as (
    select month, customer_id, sum(mrr) as mrr from read_parquet('{path}'), months
    where started_on <= last_day(month) and (ended_on is null or ended_on > last_day(month)) group by all
)
select month, sum(mrr), count(*),
    sum(mrr - coalesce(before, 0)) filter (mrr > coalesce(before, 0)) as up
from (select *, lag(mrr) over (partition by customer_id order by month) as before from spans) group by month order by month"""
SURVIVAL = """
with lives as (
    select customer_id, min(started_on) as first, max(ended_on) as last, bool_or(ended_on is null) as runs
    from read_parquet('{path}') group by customer_id
), times as (
    select coalesce(last, date '2026-01-01') - first as t, not runs as event from lives
), counts as (select t, count(*) filter (event) as events, count(*) as leave from times group by t)
select t, events, sum(leave) over (order by t rows between current row and unbounded following) as at_risk,
    exp(sum(ln(1 - events / nullif(at_risk, events))) over (order by t))
from (select *, sum(leave) over (order by t rows between current row and unbounded following) as at_risk from counts)
order by t"""


def of(report: str, path: Path) -> str:
    """Return the query for a report on a file of order lines, or of subscriptions."""
    orders = ORDERS.format(path=path)
    if report == "rfm":
        return rfm_against_duckdb.query(orders)
    if report in reports_against_duckdb.BY_HAND:
        return reports_against_duckdb.query(report, orders)
    text = {
        "aggregate": AGGREGATE,
        "clv": CLV,
        "product_affinity": AFFINITY,
        "data_quality": DATA_QUALITY,
        "mrr": MRR,
        "churn_survival": SURVIVAL,
    }[report]
    texts = "".join(DATA_QUALITY_TEXT.format(name=name, path=path) for name in TEXTS)
    return text.format(path=path, zone=ZONE, orders=orders, texts=texts)
