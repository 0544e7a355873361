"""What a sample is made of: its size, its seed, its span of time and its currencies."""

import math
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

from analytics.sample import wording

MOST_CUSTOMERS = 100_000_000
MOST_ORDERS_PER_CUSTOMER = 200.0
LONGEST_SPAN_DAYS = 366 * 30


@dataclass(frozen=True, slots=True)
class SampleOptions:
    """The same options always make the same data, whatever the batch size.

    Attributes:
        customers: rows of `customers`; the other datasets grow with it.
        seed: chooses one sample among all of the same shape.
        start: first day on which anything happens (UTC).
        end: first day on which nothing happens any more (exclusive, UTC).
        currency: the base currency; `fx_rates` are in it, and customers whose own is not offered pay in it.
        currencies: what customers may pay in; the base currency is one of them.
        orders_per_customer: expected sales per customer; refunds come on top.
        refund_rate: share of sales for which a refund follows, sooner or later.
    """

    customers: int = 1_000
    seed: int = 0
    start: date = date(2024, 1, 1)
    end: date = date(2026, 1, 1)
    currency: str = "GBP"
    currencies: tuple[str, ...] = ("GBP",)
    orders_per_customer: float = 5.0
    refund_rate: float = 0.04

    def __post_init__(self) -> None:
        for refused, reason in (
            (not 1 <= self.customers <= MOST_CUSTOMERS, f"customers is from 1 to {MOST_CUSTOMERS:,}"),
            (self.seed < 0, "seed is not negative"),
            (self.end <= self.start, "end is a day after start; it is exclusive"),
            ((self.end - self.start).days > LONGEST_SPAN_DAYS, f"start to end is at most {LONGEST_SPAN_DAYS:,} days"),
            (self.start.year < 1970, "start is in 1970 or later"),
            (
                not (1 <= self.orders_per_customer <= MOST_ORDERS_PER_CUSTOMER),
                f"orders_per_customer is from 1 to {MOST_ORDERS_PER_CUSTOMER:g}",
            ),
            (not 0 <= self.refund_rate <= 1, "refund_rate is from 0 to 1"),
        ):
            if refused:
                raise ValueError(f"{reason} (got {self}).")
        self._check_currencies()

    def _check_currencies(self) -> None:
        unknown = sorted({self.currency, *self.currencies} - set(wording.DOLLARS_PER_UNIT))
        if unknown:
            known = ", ".join(wording.DOLLARS_PER_UNIT)
            raise ValueError(f"No exchange rate is known for {', '.join(unknown)}; choose among {known}.")
        if self.currency not in self.currencies:
            raise ValueError(f"The base currency {self.currency} must be one of currencies {self.currencies}.")
        if len(set(self.currencies)) != len(self.currencies):
            raise ValueError(f"A currency is listed twice in {self.currencies}.")

    @classmethod
    def for_orders(cls, orders: int, *, customers: int | None = None, **others: Any) -> Self:
        """Options whose expected number of sales is `orders`; without `customers`, ten sales each."""
        people = max(1, math.ceil(orders / 10)) if customers is None else customers
        if people < 1:
            raise ValueError(f"customers is at least 1 (got {people}).")
        return cls(customers=people, orders_per_customer=orders / people, **others)
