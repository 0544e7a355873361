"""Options refuse what cannot be made, and reach a wanted number of orders."""

from datetime import date
from typing import Any

import pytest

from analytics.sample import generator, options


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"customers": 0}, "customers is from 1"),
        ({"customers": 10**9}, "customers is from 1"),
        ({"seed": -1}, "seed is not negative"),
        ({"start": date(2025, 1, 1), "end": date(2025, 1, 1)}, "end is a day after start"),
        ({"start": date(1960, 1, 1)}, "at most"),
        ({"start": date(1969, 1, 1), "end": date(1969, 2, 1)}, "1970 or later"),
        ({"orders_per_customer": 0.5}, "orders_per_customer"),
        ({"orders_per_customer": float("nan")}, "orders_per_customer"),
        ({"refund_rate": 1.5}, "refund_rate"),
        ({"currencies": ("GBP", "XXX")}, "No exchange rate is known for XXX"),
        ({"currency": "EUR"}, "must be one of currencies"),
        ({"currencies": ("GBP", "GBP")}, "listed twice"),
    ],
)
def test_options_refuse_with_a_reason(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        options.SampleOptions(**wrong)


def test_an_unknown_dataset_is_refused_at_the_call() -> None:
    with pytest.raises(ValueError, match="choose among customers, orders"):
        generator.generate("invoices", options.SampleOptions())


@pytest.mark.parametrize(("orders", "customers"), [(60_000, 20_000), (60_000, 6_000), (60_000, None), (60_000, 1_000)])
def test_for_orders_comes_near_the_wanted_number(orders: int, customers: int | None) -> None:
    wanted = options.SampleOptions.for_orders(orders, customers=customers, refund_rate=0.0)
    made = sum(batch.num_rows for batch in generator.generate("orders", wanted))
    assert wanted.customers == (customers or 6_000)
    assert made == pytest.approx(orders, rel=0.08)
