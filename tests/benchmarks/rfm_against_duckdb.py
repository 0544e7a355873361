"""Times `rfm` on five million orders against the same query written by hand for DuckDB, and against pandas in memory."""

import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analytics import engine
from analytics.catalogue import rfm as catalogue_rfm
from analytics.catalogue import rfm_segments
from analytics.render import chunks
from analytics.reports import rfm

THREADS = 2
MEMORY = "2GB"
ZONE = "Europe/London"
GENERATE = """
copy (
    select 'o' || i as order_id, 'c' || lpad((hash(i) % {customers})::varchar, 7, '0') as customer_id,
        timestamptz '2023-01-01 00:00:00+00' + to_seconds((hash(i * 7) % 63072000)::bigint) as ordered_at,
        ((hash(i * 13) % 1000000) / 100)::decimal(18, 4) * (case when hash(i * 3) % 20 = 0 then -1 else 1 end) as amount,
        'GBP' as currency, case when hash(i * 3) % 20 = 0 then 'refund' else 'sale' end as kind, 'web' as channel
    from range({orders}) t(i)
) to '{path}' (compression zstd)"""

# The answer a specialist would write: one statement, same columns, same scores, same order of rows.
BY_HAND = """
with people as (
    select customer_id, min(ordered_at) filter (where kind = 'sale') as first_order,
        max(ordered_at) filter (where kind = 'sale') as last_order, count(*) filter (where kind = 'sale') as frequency,
        sum(amount)::decimal(38, 8) as monetary
    from {orders} where customer_id is not null group by customer_id having frequency > 0
), aged as materialized (
    select *, date_diff('day', timezone('{zone}', last_order)::date, date '2024-12-31') as recency_days from people
), cuts as (
    select quantile_disc(recency_days, [.2, .4, .6, .8]) as r, quantile_disc(frequency, [.2, .4, .6, .8]) as f,
        quantile_disc(monetary, [.2, .4, .6, .8]) as m
    from aged
), scored as (
    select aged.*,
        5 - (recency_days > cuts.r[1])::int - (recency_days > cuts.r[2])::int - (recency_days > cuts.r[3])::int
            - (recency_days > cuts.r[4])::int as r,
        1 + (frequency > cuts.f[1])::int + (frequency > cuts.f[2])::int + (frequency > cuts.f[3])::int
            + (frequency > cuts.f[4])::int as f,
        1 + (monetary > cuts.m[1])::int + (monetary > cuts.m[2])::int + (monetary > cuts.m[3])::int
            + (monetary > cuts.m[4])::int as m
    from aged, cuts
)
select customer_id, first_order, last_order, recency_days, frequency, monetary, r, f, m,
    ({grid})[r][(f + m + 1) // 2] as segment
from scored order by customer_id"""


def measure(orders: int = 5_000_000, customers: int = 500_000, repeats: int = 3) -> dict[str, float]:
    """Return the best seconds of each way, and ours as a ratio to the query by hand with its result as Parquet."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "orders.parquet"
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            connection.execute(GENERATE.format(orders=orders, customers=customers, path=path))
        seconds = {
            "duckdb_to_arrow": _best(lambda: _by_hand(path), repeats),
            "duckdb_to_parquet": _best(lambda: _encode_plainly(_by_hand(path)), repeats),
            "pandas_in_memory": _best(_in_pandas(path), 1),
            "ours_to_parquet": _best(lambda: _ours(path, orders), repeats),
        }
        _compare(_by_hand(path), path, orders)
    return seconds | {
        "ratio_to_duckdb_to_parquet": seconds["ours_to_parquet"] / seconds["duckdb_to_parquet"],
        "ratio_to_duckdb_to_arrow": seconds["ours_to_parquet"] / seconds["duckdb_to_arrow"],
        "ratio_to_pandas": seconds["ours_to_parquet"] / seconds["pandas_in_memory"],
    }


def _best(run: Callable[[], object], repeats: int) -> float:
    run()
    found = []
    for _ in range(repeats):
        begun = time.perf_counter()
        run()
        found.append(time.perf_counter() - begun)
    return min(found)


def query(orders: str) -> str:
    """Return the query for orders that are named so in SQL."""
    rows = ",".join("[" + ",".join(f"'{rfm_segments.segment(r, fm)}'" for fm in range(1, 6)) + "]" for r in range(1, 6))
    return BY_HAND.format(orders=orders, zone=ZONE, grid=f"[{rows}]")


def _by_hand(path: Path) -> pa.Table:
    with duckdb.connect(config={"threads": THREADS, "memory_limit": MEMORY}) as connection:
        connection.execute("set timezone = 'UTC'")
        return connection.sql(query(f"read_parquet('{path}')")).to_arrow_table()


def _encode_plainly(table: pa.Table) -> int:
    target = io.BytesIO()
    pq.write_table(table, target, compression="zstd")
    return target.tell()


def _ours(path: Path, orders: int) -> tuple[pa.Table, int]:
    params = catalogue_rfm.RfmParams.model_validate({"timezone": ZONE, "currency": "GBP"})
    snapshot = engine.Snapshot("orders", 0, (str(path),), orders)
    with engine.open_tables(
        [snapshot], memory_limit=MEMORY, threads=THREADS, spill_folder=path.parent / "spill"
    ) as tables:
        answer = rfm.compute(tables, params)
    return answer.rows, sum(len(chunk.data) for chunk in chunks.encode(answer.rows))


def _in_pandas(path: Path) -> Callable[[], pd.DataFrame]:
    """Return the computation on a frame that is already in memory, money as floats: what an analyst would do."""
    frame = pq.read_table(path, columns=["customer_id", "ordered_at", "amount", "kind"]).to_pandas()
    frame["amount"] = frame["amount"].astype(float)

    def compute() -> pd.DataFrame:
        money = frame.groupby("customer_id")["amount"].sum()
        sales = frame[frame["kind"] == "sale"].groupby("customer_id")["ordered_at"].agg(["min", "max", "count"])
        people = sales.join(money)
        days = people["max"].dt.tz_convert(ZONE).dt.tz_localize(None).dt.normalize()
        people["recency"] = (pd.Timestamp("2024-12-31") - days).dt.days
        for name in ("recency", "count", "amount"):
            cuts = people[name].quantile([0.2, 0.4, 0.6, 0.8]).to_numpy()
            people[f"{name}_score"] = 1 + np.searchsorted(cuts, people[name].to_numpy(), side="left")
        ordered: pd.DataFrame = people.sort_index()
        return ordered

    return compute


def _compare(by_hand: pa.Table, path: Path, orders: int) -> None:
    """Refuse to time two different answers; scores may differ on the one customer a cut point falls on."""
    ours, _ = _ours(path, orders)
    exact = ["customer_id", "first_order", "last_order", "recency_days", "frequency", "monetary"]
    for name in exact:
        if not ours[name].combine_chunks().equals(by_hand[name].cast(ours[name].type).combine_chunks()):
            raise AssertionError(f"{name} differs from the query by hand")
    for name in ("r", "f", "m"):
        differing = int((np.asarray(ours[name]) != np.asarray(by_hand[name])).sum())
        if differing > ours.num_rows // 100:
            raise AssertionError(f"{differing} scores {name} differ from the query by hand")
