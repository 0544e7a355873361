"""For each report the program that an analyst would write in pandas: frames in memory, money as floats, no checks."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks import queries_by_hand

ZONE = queries_by_hand.ZONE


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read columns; decimals become floats while they are Arrow's, because pandas would make objects of them."""
    table = pq.read_table(path, columns=list(columns))
    kinds = [pa.float64() if pa.types.is_decimal(field.type) else field.type for field in table.schema]
    frame: pd.DataFrame = table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True)))).to_pandas()
    return frame


def _orders(path: Path) -> pd.DataFrame:
    lines = _read(path, ["order_id", "kind", "customer_id", "ordered_at", "amount"])
    orders = lines.groupby(["order_id", "kind"], sort=False).agg(
        customer_id=("customer_id", "first"), ordered_at=("ordered_at", "min"), amount=("amount", "sum")
    )
    return orders.reset_index()


def _month(at: "pd.Series[pd.Timestamp]") -> "pd.Series[pd.Timestamp]":
    local = at.dt.tz_convert(ZONE).dt.tz_localize(None)
    return pd.Series(local.dt.to_period("M").dt.to_timestamp(), index=at.index)


def rfm(path: Path) -> pd.DataFrame:
    """Customers with recency, frequency, money and scores."""
    orders = _orders(path)
    money = orders.groupby("customer_id")["amount"].sum()
    sales = orders[orders["kind"] == "sale"].groupby("customer_id")["ordered_at"].agg(["min", "max", "count"])
    people = sales.join(money)
    days = people["max"].dt.tz_convert(ZONE).dt.tz_localize(None).dt.normalize()
    people["recency"] = (pd.Timestamp("2024-12-31") - days).dt.days
    for name in ("recency", "count", "amount"):
        cuts = people[name].quantile([0.2, 0.4, 0.6, 0.8]).to_numpy()
        people[f"{name}_score"] = 1 + np.searchsorted(cuts, people[name].to_numpy(), side="left")
    return people.sort_index()


def _visits(path: Path) -> pd.DataFrame:
    """What each customer did in each month, with the month of the first purchase."""
    orders = _orders(path)
    orders["period"] = _month(orders["ordered_at"])
    orders["is_sale"] = orders["kind"] == "sale"
    orders["gross"] = orders["amount"].where(orders["is_sale"], 0.0)
    visits = orders.groupby(["customer_id", "period"], sort=False).agg(
        orders=("is_sale", "sum"), gross=("gross", "sum"), net=("amount", "sum")
    )
    visits = visits.reset_index()
    first = visits[visits["orders"] > 0].groupby("customer_id")["period"].min().rename("cohort")
    return visits.join(first, on="customer_id")


def revenue_trend(path: Path) -> pd.DataFrame:
    """Months with gross, net, orders, customers and new revenue."""
    visits = _visits(path)
    visits["customers"] = visits["orders"] > 0
    visits["new_revenue"] = visits["net"].where(visits["period"] == visits["cohort"], 0.0)
    months = visits.groupby("period")[["gross", "net", "orders", "customers", "new_revenue"]].sum()
    months["change"] = months["net"].pct_change()
    return months


def cohort_retention(path: Path) -> pd.DataFrame:
    """Cohorts by month, with the share that is active in each later one."""
    visits = _visits(path)
    visits = visits[visits["period"] >= visits["cohort"]]
    visits["active"] = visits["orders"] > 0
    cells = visits.groupby(["cohort", "period"])[["active", "orders", "net"]].sum()
    cells["rate"] = cells["active"] / cells.groupby("cohort")["active"].transform("first")
    return cells


def aggregate(path: Path) -> pd.DataFrame:
    """Revenue and orders by month and product."""
    lines = _read(path, ["order_id", "product_id", "ordered_at", "amount"])
    lines["period"] = _month(lines["ordered_at"])
    groups = lines.groupby(["period", "product_id"])
    return groups.agg(revenue=("amount", "sum"), orders=("order_id", "nunique"))


def product_affinity(path: Path) -> pd.DataFrame:
    """Pairs of products with support, confidence and lift."""
    lines = _read(path, ["order_id", "product_id", "kind"])
    items = lines.loc[lines["kind"] == "sale", ["order_id", "product_id"]].drop_duplicates()
    items["product_id"] = items["product_id"].astype("category").cat.codes
    single = items["product_id"].value_counts()
    baskets = items["order_id"].nunique()
    both = items.merge(items, on="order_id")
    both = both[both["product_id_x"] < both["product_id_y"]]
    pairs = both.groupby(["product_id_x", "product_id_y"]).size().rename("count").reset_index()
    before, after = (pairs[name].map(single) for name in ("product_id_x", "product_id_y"))
    pairs["support"], pairs["confidence"] = pairs["count"] / baskets, pairs["count"] / before
    pairs["lift"] = pairs["count"] * baskets / (before * after)
    return pairs.sort_values("lift", ascending=False)


def mrr(path: Path) -> pd.DataFrame:
    """Months with recurring revenue, customers and what was added."""
    frame = _read(path, ["customer_id", "started_on", "ended_on", "mrr"])
    begun, ended = pd.to_datetime(frame["started_on"]), pd.to_datetime(frame["ended_on"])
    before, rows = pd.Series(dtype="float64"), []
    for month in pd.date_range("2019-01-31", "2024-06-30", freq="ME"):
        runs = frame[(begun <= month) & (ended.isna() | (ended > month))]
        now = runs.groupby("customer_id")["mrr"].sum()
        change = now.sub(before, fill_value=0.0).loc[now.index]
        rows.append((month, now.sum(), len(now), change[change > 0].sum()))
        before = now
    return pd.DataFrame(rows, columns=["month", "mrr", "customers", "up"])


def churn_survival(path: Path) -> pd.DataFrame:
    """The Kaplan-Meier curve of all customers."""
    frame = _read(path, ["customer_id", "started_on", "ended_on"])
    for name in ("started_on", "ended_on"):
        frame[name] = pd.to_datetime(frame[name])
    lives = frame.groupby("customer_id").agg(
        first=("started_on", "min"), last=("ended_on", "max"), ended=("ended_on", "count"), all=("started_on", "count")
    )
    event = lives["ended"] == lives["all"]
    days = (lives["last"].where(event, pd.Timestamp("2026-01-01")) - lives["first"]).dt.days
    curve = pd.DataFrame({"t": days, "event": event}).groupby("t")["event"].agg(["sum", "count"])
    curve["at_risk"] = curve["count"][::-1].cumsum()[::-1]
    curve["survival"] = (1 - curve["sum"] / curve["at_risk"]).cumprod()
    return curve


PROGRAMS: Mapping[str, Callable[[Path], pd.DataFrame]] = {
    "aggregate": aggregate,
    "churn_survival": churn_survival,
    "cohort_retention": cohort_retention,
    "mrr": mrr,
    "product_affinity": product_affinity,
    "revenue_trend": revenue_trend,
    "rfm": rfm,
}
