"""Keys are unique and refer to rows that exist; amounts, stages and periods agree with each other to the last digit."""

from collections.abc import Callable

import pyarrow as pa
import pytest

from analytics.sample import options, wording

Query = Callable[[str], list[tuple[object, ...]]]

KEYS = {
    "customers": "customer_id",
    "orders": "order_id",
    "order_lines": "order_id, line_no",
    "deals": "deal_id",
    "deal_stages": "deal_id, stage, entered_at",
    "leads": "lead_id",
    "touches": "touch_id",
    "activities": "activity_id",
    "subscriptions": "subscription_id, started_on",
    "fx_rates": 'currency, "on"',
}
REFERENCES = [
    ("orders", "customer_id", "customers"),
    ("order_lines", "customer_id", "customers"),
    ("order_lines", "order_id", "orders"),
    ("deals", "customer_id", "customers"),
    ("deal_stages", "deal_id", "deals"),
    ("leads", "customer_id", "customers"),
    ("activities", "customer_id", "customers"),
    ("activities", "deal_id", "deals"),
    ("subscriptions", "customer_id", "customers"),
]
TIMES = [
    ("customers", "created_at"),
    ("orders", "ordered_at"),
    ("deals", "created_at"),
    ("deals", "closed_at"),
    ("deal_stages", "entered_at"),
    ("leads", "created_at"),
    ("leads", "converted_at"),
    ("touches", "occurred_at"),
    ("activities", "occurred_at"),
    ("subscriptions", "started_on"),
    ("subscriptions", "ended_on"),
    ("fx_rates", '"on"'),
]


def broken(query: Query, sql: str) -> int:
    """How many rows a query for violations finds."""
    return len(query(sql))


@pytest.mark.parametrize("dataset", KEYS)
def test_keys_are_unique_and_known(dataset: str, query: Query) -> None:
    key = KEYS[dataset]
    assert not broken(query, f"SELECT {key} FROM {dataset} GROUP BY {key} HAVING count(*) > 1")
    for column in key.split(", "):
        assert not broken(query, f"SELECT 1 FROM {dataset} WHERE {column} IS NULL")


@pytest.mark.parametrize(("dataset", "column", "target"), REFERENCES)
def test_references_lead_somewhere(dataset: str, column: str, target: str, query: Query) -> None:
    assert query(f"SELECT count({column}) > 0 FROM {dataset}") == [(True,)]
    orphans = f"SELECT 1 FROM {dataset} d ANTI JOIN {target} t ON d.{column} = t.{column} WHERE d.{column} IS NOT NULL"
    assert not broken(query, orphans)


@pytest.mark.parametrize(("dataset", "column"), TIMES)
def test_nothing_happens_outside_of_the_span(
    dataset: str, column: str, query: Query, sampled: options.SampleOptions
) -> None:
    outside = f"{column} < DATE '{sampled.start}' OR {column} >= DATE '{sampled.end}'"
    assert not broken(query, f"SELECT 1 FROM {dataset} WHERE {outside}")


def test_persons_touched_are_customers_or_leads_that_never_converted(query: Query) -> None:
    persons = "SELECT customer_id AS id FROM customers UNION ALL SELECT lead_id FROM leads WHERE converted_at IS NULL"
    assert not broken(query, f"SELECT 1 FROM touches t ANTI JOIN ({persons}) p ON t.person_id = p.id")


def test_every_customer_was_touched_before_coming(query: Query) -> None:
    early = (
        "SELECT person_id FROM touches t JOIN customers c ON person_id = customer_id WHERE occurred_at <= created_at"
    )
    assert not broken(query, f"SELECT 1 FROM customers c ANTI JOIN ({early}) e ON c.customer_id = e.person_id")


def test_lines_sum_to_their_orders_exactly(query: Query, table: Callable[[str], pa.Table]) -> None:
    differs = """
        SELECT o.order_id FROM orders o FULL JOIN (
            SELECT order_id, kind, customer_id, ordered_at, currency, sum(amount) AS amount
            FROM order_lines GROUP BY ALL
        ) l ON o.order_id = l.order_id AND o.kind = l.kind
        WHERE (o.amount, o.customer_id, o.ordered_at, o.currency)
            IS DISTINCT FROM (l.amount, l.customer_id, l.ordered_at, l.currency)
    """
    assert table("orders").num_rows > 10_000
    assert not broken(query, differs)
    assert not broken(query, "SELECT 1 FROM order_lines WHERE amount <> quantity * unit_price OR unit_price <= 0")


def test_signs_follow_the_kind(query: Query) -> None:
    assert not broken(query, "SELECT 1 FROM orders WHERE (kind = 'sale') <> (amount > 0)")
    assert not broken(query, "SELECT 1 FROM order_lines WHERE (kind = 'sale') <> (quantity > 0)")
    assert not broken(query, "SELECT 1 FROM orders WHERE (kind = 'refund') <> (order_id[1] = 'R')")


def test_refunds_give_back_lines_that_were_sold_and_not_more(query: Query) -> None:
    given_back = """
        SELECT r.order_id FROM order_lines r LEFT JOIN order_lines s
            ON s.kind = 'sale' AND s.order_id = 'O' || r.order_id[2:] AND s.line_no = r.line_no
            AND s.product_id = r.product_id AND s.unit_price = r.unit_price AND s.customer_id = r.customer_id
            AND s.currency = r.currency
        WHERE r.kind = 'refund' AND NOT coalesce(-r.quantity <= s.quantity AND r.ordered_at > s.ordered_at, false)
    """
    assert not broken(query, given_back)
    ((share,),) = query("SELECT count(*) FILTER (kind = 'refund') / count(*) FILTER (kind = 'sale') FROM orders")
    assert 0.025 < float(str(share)) < 0.045


def test_nobody_acts_before_being_a_customer(query: Query) -> None:
    for dataset, column in (("orders", "ordered_at"), ("deals", "created_at"), ("activities", "occurred_at")):
        early = f"SELECT 1 FROM {dataset} d JOIN customers c USING (customer_id) WHERE d.{column} < c.created_at"
        assert not broken(query, early)


def test_leads_become_customers_after_they_were_leads(query: Query) -> None:
    assert not broken(query, "SELECT 1 FROM leads WHERE converted_at < created_at")
    assert not broken(query, "SELECT 1 FROM leads WHERE (converted_at IS NULL) <> (customer_id IS NULL)")
    assert not broken(
        query, "SELECT 1 FROM leads l JOIN customers c USING (customer_id) WHERE l.converted_at <> c.created_at"
    )
    ((converted,),) = query("SELECT count(converted_at) / count(*) FROM leads")
    assert 0.2 < float(str(converted)) < 0.4


def test_deals_tell_one_story(query: Query) -> None:
    assert query("SELECT DISTINCT status FROM deals ORDER BY 1") == [("lost",), ("open",), ("won",)]
    assert not broken(query, "SELECT 1 FROM deals WHERE (status = 'open') <> (closed_at IS NULL)")
    assert not broken(query, "SELECT 1 FROM deals WHERE closed_at <= created_at")
    assert not broken(query, "SELECT 1 FROM deals WHERE (status = 'lost') <> (lost_reason IS NOT NULL)")
    assert not broken(query, "SELECT 1 FROM deals WHERE (status = 'won') <> (stage = 'Won')")
    assert not broken(query, "SELECT 1 FROM deals WHERE (status = 'lost') <> (stage = 'Lost')")
    assert not broken(query, "SELECT 1 FROM deals WHERE amount > list_amount OR amount <= 0")
    assert not broken(query, "SELECT 1 FROM deals WHERE expected_close_on <= created_at::DATE")


def test_stage_histories_run_in_order_to_the_stage_of_the_deal(query: Query) -> None:
    histories = query("""
        SELECT list(s.stage ORDER BY s.entered_at), min(s.entered_at) = any_value(d.created_at),
            coalesce(max(s.entered_at) = any_value(d.closed_at), true), any_value(d.stage),
            count(DISTINCT s.entered_at) = count(*)
        FROM deals d LEFT JOIN deal_stages s USING (deal_id) GROUP BY d.deal_id
    """)
    assert len(histories) > 500
    opens = list(wording.OPEN_STAGES)
    for stages, from_creation, to_closing, stage, distinct in histories:
        assert isinstance(stages, list)
        passed = [name for name in stages if name in opens]
        assert passed == opens[: len(passed)]
        assert stages == passed + ([stage] if stage in {"Won", "Lost"} else [])
        assert (from_creation, to_closing, distinct, stages[-1]) == (True, True, True, stage)
        assert stage != "Won" or len(passed) == len(opens)


def test_activities_of_a_deal_are_within_it_and_its_owners(query: Query) -> None:
    assert not broken(
        query,
        """SELECT 1 FROM activities a JOIN deals d USING (deal_id) WHERE a.customer_id <> d.customer_id
        OR a.owner <> d.owner OR a.occurred_at < d.created_at OR a.occurred_at > d.closed_at""",
    )


def test_subscription_periods_follow_each_other(query: Query) -> None:
    assert not broken(query, "SELECT 1 FROM subscriptions WHERE ended_on <= started_on OR mrr <= 0")
    changes = """
        SELECT *, lag(ended_on) OVER of_one AS before, lag(plan) OVER of_one AS from_plan, lag(mrr) OVER of_one AS was,
            row_number() OVER of_one AS period
        FROM subscriptions WINDOW of_one AS (PARTITION BY customer_id ORDER BY started_on)
    """
    # A period that is still running is the last one, and none begins before the one before it has ended.
    assert not broken(query, f"SELECT 1 FROM ({changes}) WHERE period > 1 AND (before IS NULL OR before > started_on)")
    # Periods without a gap differ in something, or they would be one.
    assert not broken(query, f"SELECT 1 FROM ({changes}) WHERE before = started_on AND plan = from_plan AND mrr = was")
    for kind in ("before = started_on AND mrr > was", "before = started_on AND mrr < was", "before < started_on"):
        assert broken(query, f"SELECT 1 FROM ({changes}) WHERE {kind}") > 5
    assert not broken(query, "SELECT 1 FROM subscriptions GROUP BY customer_id HAVING count(DISTINCT currency) > 1")


def test_rates_cover_every_currency_and_day(query: Query, sampled: options.SampleOptions) -> None:
    days = (sampled.end - sampled.start).days
    assert query("SELECT currency, count(*) FROM fx_rates GROUP BY 1 ORDER BY 1") == [
        (currency, days) for currency in sorted(sampled.currencies)
    ]
    assert query("SELECT DISTINCT rate = 1 FROM fx_rates WHERE currency = 'GBP'") == [(True,)]
    assert not broken(query, "SELECT 1 FROM fx_rates WHERE currency <> 'GBP' AND rate NOT BETWEEN 0.5 AND 1.1")
    for dataset in ("orders", "deals", "subscriptions"):
        assert query(f"SELECT DISTINCT currency FROM {dataset} ORDER BY 1") == [("EUR",), ("GBP",), ("USD",)]
