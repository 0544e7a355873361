"""A sample looks like trade: it grows, has seasons, most customers come back and some leave."""

from collections.abc import Callable
from statistics import mean

import pytest

from analytics.sample import options

Query = Callable[[str], list[tuple[object, ...]]]


def numbers(query: Query, sql: str) -> list[float]:
    return [float(str(value)) for (value,) in query(sql)]


def test_there_are_as_many_customers_as_asked_for(query: Query, sampled: options.SampleOptions) -> None:
    assert numbers(query, "SELECT count(*) FROM customers") == [sampled.customers]


def test_orders_per_customer_are_as_asked_for(query: Query, sampled: options.SampleOptions) -> None:
    (sales,) = numbers(query, "SELECT count(*) FROM orders WHERE kind = 'sale'")
    assert sales / sampled.customers == pytest.approx(sampled.orders_per_customer, rel=0.08)


def test_customers_come_in_growing_numbers(query: Query) -> None:
    first, second = numbers(query, "SELECT count(*) FROM customers GROUP BY year(created_at) ORDER BY year(created_at)")
    assert 1.25 < second / first < 1.7


@pytest.mark.parametrize(
    ("dataset", "column"), [("customers", "created_at"), ("orders", "ordered_at"), ("touches", "occurred_at")]
)
def test_seasons_show_through_the_growth(dataset: str, column: str, query: Query) -> None:
    month = f"date_trunc('month', {column})"
    monthly = numbers(query, f"SELECT count(*) FROM {dataset} GROUP BY {month} ORDER BY {month}")
    assert len(monthly) == 24
    autumn, december, january, february = mean(monthly[8:10]), monthly[11], monthly[12], monthly[13]
    assert december > 1.1 * autumn
    # After New Year there are more customers than ever, and yet less happens.
    assert max(january, february) < 0.9 * december


def test_weekdays_show(query: Query) -> None:
    by_day = numbers(
        query,
        "SELECT count(*) FROM orders WHERE kind = 'sale' GROUP BY isodow(ordered_at) ORDER BY isodow(ordered_at)",
    )
    assert max(by_day[5:]) < 0.85 * min(by_day[:5])


def test_nights_are_quiet(query: Query) -> None:
    (night,) = numbers(query, "SELECT count(*) FILTER (hour(ordered_at) < 6) / count(*) FROM orders")
    assert 0 < night < 0.05


def test_most_come_back_and_buy_at_very_different_rates(query: Query, sampled: options.SampleOptions) -> None:
    frequency = numbers(query, "SELECT count(*) FROM orders WHERE kind = 'sale' GROUP BY customer_id")
    repeating = sum(count > 1 for count in frequency) / len(frequency)
    assert 0.5 < repeating < 0.85
    assert 0.8 < len(frequency) / sampled.customers < 0.95
    centre = mean(frequency)
    assert mean((count - centre) ** 2 for count in frequency) > 3 * centre  # a Poisson of one rate has variance = mean


def test_retention_falls_with_age(query: Query) -> None:
    active = numbers(
        query,
        """
        WITH firsts AS (SELECT customer_id, min(ordered_at) AS first FROM orders WHERE kind = 'sale' GROUP BY 1)
        SELECT count(DISTINCT customer_id) FROM orders JOIN firsts USING (customer_id)
        WHERE kind = 'sale' AND year(first) = 2024 AND ordered_at > first
            AND datediff('day', first, ordered_at) < 360
        GROUP BY datediff('day', first, ordered_at) // 90 ORDER BY datediff('day', first, ordered_at) // 90
        """,
    )
    assert len(active) == 4
    assert active[0] > active[2]
    assert active[1] > active[3]


def test_words_are_many(query: Query) -> None:
    for dataset, column, at_least in (
        ("customers", "country", 10),
        ("customers", "segment", 4),
        ("customers", "source", 7),
        ("orders", "channel", 5),
        ("order_lines", "product_id", 100),
        ("deals", "lost_reason", 6),
        ("touches", "channel", 7),
        ("activities", "kind", 5),
        ("subscriptions", "plan", 4),
    ):
        assert numbers(query, f"SELECT count(DISTINCT {column}) FROM {dataset}")[0] >= at_least


def test_some_deals_are_won(query: Query) -> None:
    (rate,) = numbers(query, "SELECT count(*) FILTER (status = 'won') / count(closed_at) FROM deals")
    assert 0.15 < rate < 0.45


def test_a_few_customers_are_entered_twice(query: Query) -> None:
    twice = query("""
        SELECT a.name = b.name, a.email = b.email FROM customers a JOIN customers b
        ON a.phone = b.phone AND a.city = b.city AND a.customer_id < b.customer_id
        WHERE a.company IS NOT DISTINCT FROM b.company
    """)
    assert 20 < len(twice) < 80
    assert {same_name for same_name, _ in twice} == {True, False}
    assert {same_mail for _, same_mail in twice} >= {True, False}


def test_contact_details_have_a_form(query: Query) -> None:
    assert not query(
        r"SELECT email FROM customers WHERE email NOT SIMILAR TO '[a-z]+\.[a-z]+\d+@example\.(com|net|org)'"
    )
    assert not query(r"SELECT phone FROM customers WHERE phone NOT SIMILAR TO '\+[1-9]\d{9,13}'")
    for column in ("email", "phone", "company", "owner"):
        assert 0 < numbers(query, f"SELECT count({column}) / count(*) FROM customers")[0] < 1
