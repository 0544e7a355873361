"""What holds for any orders: invariants, and that the order of rows, files and threads changes nothing."""

import datetime as dt
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import hypothesis
from hypothesis import strategies as st

from analytics import result

Ask = Callable[..., result.Result]

START = dt.datetime(2023, 12, 25, tzinfo=dt.UTC)

CUSTOMERS = st.sampled_from(["anna", "bert", "cleo", None])
ORDERS = st.lists(
    st.tuples(
        CUSTOMERS,
        st.integers(0, 200 * 24),
        st.decimals("-500", "500", places=3),
        st.sampled_from(["web", "shop", None]),
    ),
    max_size=25,
)
QUESTIONS = st.sampled_from(
    [
        ("rfm", {}),
        ("rfm", {"method": "rank", "bins": 3, "segment_by": ["channel"]}),
        ("revenue_trend", {"period": "week", "week_start": "sunday", "refunds": "on_order_date"}),
        ("revenue_trend", {"segment_by": ["channel"], "refunds": "exclude"}),
        ("cohort_retention", {}),
        ("cohort_retention", {"criterion": "on_or_after", "measure": "revenue", "segment_by": ["channel"]}),
    ]
)


@hypothesis.settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
@hypothesis.given(made=ORDERS, question=QUESTIONS, seed=st.integers(0, 9))
def test_order_of_rows_and_files_change_nothing_and_invariants_hold(
    ask: Ask, made: list[Any], question: tuple[str, dict[str, Any]], seed: int
) -> None:
    orders = [
        {
            "order_id": f"o{number:02}",
            "customer_id": customer,
            "ordered_at": START + dt.timedelta(hours=hours),
            "amount": Decimal(amount),
            "currency": "GBP",
            "kind": "refund" if amount < 0 else "sale",
            "channel": channel,
        }
        for number, (customer, hours, amount, channel) in enumerate(made)
    ]
    shuffled = random.Random(seed).sample(orders, len(orders))  # noqa: S311 - any order will do
    kind, params = question
    first = ask(kind, params, timezone="America/New_York", orders=orders)
    second = ask(kind, params, timezone="America/New_York", orders=shuffled, files=3)
    assert first.rows.equals(second.rows)
    assert first.summary == second.summary
    assert first.invariants
    assert all(invariant.holds for invariant in first.invariants), first.invariants
