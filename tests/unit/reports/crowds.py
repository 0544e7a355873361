"""Customers who come back at rates of their own, some of whom stop, as half a year of orders."""

import datetime as dt
import random
from decimal import Decimal
from typing import Any

START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
REACH = 180


def order(
    number: int, customer: str | None, day: float, amount: str = "10", *, currency: str = "GBP"
) -> dict[str, Any]:
    """Return an order, or a refund where the amount is below nothing."""
    return {
        "order_id": f"o{number:05}",
        "customer_id": customer,
        "ordered_at": START + day * DAY,
        "amount": Decimal(amount),
        "currency": currency,
        "kind": "refund" if Decimal(amount) < 0 else "sale",
        "channel": ["web", "shop"][number % 2],
    }


def crowd(customers: int = 150, *, seed: int = 1, leave: bool = True) -> list[dict[str, Any]]:
    """Return the orders of customers who leave after some purchases, or never."""
    chance = random.Random(seed)  # noqa: S311 - customers, not secrets
    orders: list[dict[str, Any]] = []
    for person in range(customers):
        day, rate = chance.uniform(0, 60), chance.gammavariate(1.0, 0.08)
        worth, leaves = chance.gammavariate(4, 5), chance.betavariate(0.7, 2.5)
        while day < REACH:
            amount = f"{max(0.01, chance.gammavariate(5, worth / 5)):.2f}"
            orders.append(order(len(orders), f"c{person:03}", day, amount))
            day += 1 + chance.expovariate(rate + 1e-9)
            if leave and chance.random() < leaves:
                break
    # The data reach to the end whoever came.
    return [*orders, order(99_999, None, REACH - 0.1, "1")]
