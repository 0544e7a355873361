"""Reports about orders against a plain recount from their published definitions, on random orders in zones with odd clocks."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import hypothesis
import pytest
from hypothesis import strategies as st

from analytics import result

Ask = Callable[..., result.Result]
Orders = Sequence[Mapping[str, Any]]

NOTHING = Decimal(0)
BINS = 4
# Ends of months, and days on which clocks change in these zones.
DAYS = [
    dt.datetime(2024, month, day, tzinfo=dt.UTC)
    for month, day in ((2, 1), (2, 29), (3, 1), (3, 10), (3, 31), (4, 1), (4, 7), (5, 1), (6, 1))
]
MOMENTS = st.builds(
    lambda day, half_hours: day + dt.timedelta(minutes=30 * half_hours),
    st.sampled_from(DAYS),
    st.integers(-48, 48),
)
ZONES = st.sampled_from(["America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Europe/London"])
MADE = st.lists(
    st.tuples(
        st.sampled_from(["anna", "bert", "cleo", "dora", None]),
        MOMENTS,
        st.decimals("-300", "500", places=2),
    ),
    min_size=1,
    max_size=30,
)
PLAIN = hypothesis.settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)


def orders_of(made: Sequence[tuple[str | None, dt.datetime, Decimal]]) -> Orders:
    return [
        {
            "order_id": f"o{number:02}",
            "customer_id": customer,
            "ordered_at": moment,
            "amount": amount,
            "currency": "GBP",
            "kind": "refund" if amount < 0 else "sale",
        }
        for number, (customer, moment, amount) in enumerate(made)
    ]


def day(order: Mapping[str, Any], zone: str) -> dt.date:
    return order["ordered_at"].astimezone(ZoneInfo(zone)).date()  # type: ignore[no-any-return]


def month(order: Mapping[str, Any], zone: str) -> dt.date:
    return day(order, zone).replace(day=1)


def after(period: dt.date, months: int = 1) -> dt.date:
    years, index = divmod(period.month - 1 + months, 12)
    return dt.date(period.year + years, index + 1, 1)


def sales(orders: Orders) -> list[Mapping[str, Any]]:
    return [order for order in orders if order["kind"] == "sale"]


def total(orders: Orders) -> Decimal:
    return sum((order["amount"] for order in orders), NOTHING)


def firsts(orders: Orders, zone: str) -> dict[str, dt.date]:
    """Return the month of each customer's first purchase."""
    found: dict[str, dt.date] = {}
    for order in sorted(sales(orders), key=lambda one: one["ordered_at"]):
        if order["customer_id"] is not None:
            found.setdefault(order["customer_id"], month(order, zone))
    return found


def covered(orders: Orders, zone: str) -> dt.date:
    """Return the first day that the data do not reach."""
    return max(day(order, zone) for order in orders) + dt.timedelta(days=1)


def months(orders: Orders, zone: str) -> list[dt.date]:
    period, last = min(month(order, zone) for order in orders), max(month(order, zone) for order in orders)
    found = [period]
    while found[-1] < last:
        found.append(after(found[-1]))
    return found


def score(value: Any, values: Sequence[Any]) -> int:
    ordered = sorted(values)
    cuts = [ordered[(len(ordered) - 1) * number // BINS] for number in range(1, BINS)]
    below: int = sum(cut < value for cut in cuts)
    return 1 + below


@PLAIN
@hypothesis.given(made=MADE, zone=ZONES)
def test_rfm(ask: Ask, made: list[Any], zone: str) -> None:
    orders = orders_of(made)
    of: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for order in orders:
        if order["customer_id"] is not None:
            of[order["customer_id"]].append(order)
    bought = {customer: theirs for customer, theirs in of.items() if sales(theirs)}
    figures = {
        customer: (
            (covered(orders, zone) - max(day(order, zone) for order in sales(theirs))).days,
            len(sales(theirs)),
            total(theirs),
        )
        for customer, theirs in bought.items()
    }
    recencies, frequencies, amounts = ([one[place] for one in figures.values()] for place in range(3))
    wanted = {
        customer: (*one, BINS + 1 - score(one[0], recencies), score(one[1], frequencies), score(one[2], amounts))
        for customer, one in figures.items()
    }
    names = ("recency_days", "frequency", "monetary", "r", "f", "m")
    answer = ask("rfm", {"bins": BINS}, timezone=zone, orders=orders)
    assert {row["customer_id"]: tuple(row[name] for name in names) for row in answer.rows.to_pylist()} == wanted


@PLAIN
@hypothesis.given(made=MADE, zone=ZONES)
def test_revenue_trend(ask: Ask, made: list[Any], zone: str) -> None:
    orders = orders_of(made)
    first = firsts(orders, zone)
    wanted: list[dict[str, Any]] = []
    for period in months(orders, zone):
        here = [order for order in orders if month(order, zone) == period]
        bought, net = sales(here), total(here)
        new = total([order for order in here if first.get(order["customer_id"]) == period])
        unattributed = total([order for order in here if order["customer_id"] is None])
        then = wanted[-1] if wanted else None
        complete = after(period) <= covered(orders, zone)
        wanted.append(
            {
                "period": period,
                "complete": complete,
                "gross": total(bought),
                "refunds": total(bought) - net,
                "net": net,
                "orders": len(bought),
                "customers": len({order["customer_id"] for order in bought} - {None}),
                "aov": (total(bought) / len(bought)).quantize(Decimal("1e-8"), ROUND_HALF_EVEN) if bought else None,
                "new_revenue": new,
                "unattributed": unattributed,
                "returning_revenue": net - new - unattributed,
                "new_customers": sum(one == period for one in first.values()),
                "change_previous": (
                    pytest.approx(float((net - then["net"]) / abs(then["net"])))
                    if then and complete and then["complete"] and then["net"]
                    else None
                ),
            }
        )
    answer = ask("revenue_trend", {}, timezone=zone, orders=orders)
    assert [{name: row[name] for name in wanted[0]} for row in answer.rows.to_pylist()] == wanted


@PLAIN
@hypothesis.given(made=MADE, zone=ZONES)
def test_cohort_retention(ask: Ask, made: list[Any], zone: str) -> None:
    orders = orders_of(made)
    first = firsts(orders, zone)
    reached = months(orders, zone)
    wanted: dict[tuple[dt.date, int], tuple[Any, ...]] = {}
    for cohort in set(first.values()):
        members = {customer for customer, one in first.items() if one == cohort}
        for index in range(len(reached)):
            period = after(cohort, index)
            here = [o for o in orders if o["customer_id"] in members and month(o, zone) == period]
            active = len({order["customer_id"] for order in sales(here)})
            wanted[cohort, index] = (
                len(members),
                *(
                    (active, pytest.approx(active / len(members)), total(here))
                    if period <= reached[-1]
                    else (None,) * 3
                ),
                after(period) <= covered(orders, zone),
            )
    answer = ask("cohort_retention", {}, timezone=zone, orders=orders)
    names = ("cohort_size", "active", "rate", "revenue", "complete")
    found = {
        (row["cohort"], row["period_index"]): tuple(row[name] for name in names) for row in answer.rows.to_pylist()
    }
    # As far as the oldest cohort reaches; the recount goes on to where the data began.
    assert found == {key: cells for key, cells in wanted.items() if key[1] <= max((k for _, k in found), default=-1)}
    oldest = min(first.values(), default=None)
    assert oldest is None or after(oldest, max(k for _, k in found)) == reached[-1]
