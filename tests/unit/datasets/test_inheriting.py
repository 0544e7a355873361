"""An upsert of a file with fewer columns: what was said before stays, and what was made of other columns follows them."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.datasets.conftest import Imported, Importer

ORDERS = "order_id,customer_id,ordered_at,amount\n"
LINES = "order_id,line_no,ordered_at,quantity,unit_price"


def one(found: Imported, *names: str) -> tuple[Any, ...]:
    (row,) = found.select(", ".join(names))
    return tuple(row[name] for name in names)


def test_currency_and_kind_stay_as_they_were_said(importer: Importer) -> None:
    first = importer(
        "order_id,customer_id,ordered_at,amount,currency,kind\n1,a,2024-01-01,10,USD,refund\n", dataset="orders"
    )
    found = importer(ORDERS + "1,a,2024-01-01,10\n2,b,2024-01-01,5\n", dataset="orders", into=first)
    assert found.counts == (2, 1, 0, 1, 0)
    found = importer(ORDERS + "1,a,2024-01-01,11\n", dataset="orders", into=found, currency="GBP")
    assert found.counts == (1, 0, 1, 0, 0)
    assert found.select("order_id, amount, currency, kind") == [
        {"order_id": "1", "amount": 11, "currency": "USD", "kind": "refund"},
        {"order_id": "2", "amount": 5, "currency": "EUR", "kind": "sale"},
    ]


def test_a_file_without_amounts_says_nothing_of_their_currency(importer: Importer) -> None:
    first = importer("deal_id,stage,amount,currency\nD1,Offer,1000,USD\n", dataset="deals")
    nothing = {"stage": None, "status": None}
    found = importer("deal_id,owner\nD1,Sam\n", dataset="deals", into=first, mapping=nothing)
    assert one(found, "owner", "currency", "stage", "status") == ("Sam", "USD", "Offer", "open")


def test_what_is_empty_in_the_table_is_filled(importer: Importer) -> None:
    nothing = {"stage": None, "status": None}
    first = importer("deal_id,owner\nD1,Sam\n", dataset="deals", mapping=nothing)
    assert one(first, "status") == (None,)
    found = importer("deal_id,stage\nD1,Offer\n", dataset="deals", into=first)
    assert one(found, "owner", "status") == ("Sam", "open")


@pytest.mark.parametrize(
    ("stored", "stage", "status"),
    [
        ("Signed,won", "Signed", "won"),
        ("Signed,won", "Delivered", "won"),
        ("Offer,open", "Closed Won", "won"),
        ("Closed Won,won", "Offer", "open"),
        ("Closed Won,open", "Closed Won", "open"),
        ("Signed,won", "Closed Lost", "lost"),
    ],
)
def test_a_status_follows_the_stage_only_where_it_was_read_from_it(
    importer: Importer, stored: str, stage: str, status: str
) -> None:
    first = importer(f"deal_id,stage,status\nD1,{stored}\n", dataset="deals")
    found = importer(f"deal_id,stage\nD1,{stage}\n", dataset="deals", into=first)
    assert one(found, "stage", "status") == (stage, status)


def test_a_close_date_is_what_it_is_for_the_status_that_stays(importer: Importer) -> None:
    first = importer("deal_id,stage,status,expected_close_on\nD1,Signed,won,2024-01-31\n", dataset="deals")
    found = importer("deal_id,stage,closed_at\nD1,Signed,2024-02-02 10:00\n", dataset="deals", into=first)
    closed = dt.datetime(2024, 2, 2, 10, tzinfo=dt.UTC)
    assert one(found, "status", "expected_close_on", "closed_at") == ("won", dt.date(2024, 1, 31), closed)
    found = importer("deal_id,status,closed_at\nD1,open,2024-03-03\n", dataset="deals", into=found)
    assert one(found, "status", "expected_close_on", "closed_at") == ("open", dt.date(2024, 3, 3), None)
    again = importer("deal_id,status,closed_at\nD1,open,2024-03-03\n", dataset="deals", into=found)
    assert again.counts == (1, 0, 0, 1, 0)


def test_a_discounted_line_keeps_its_amount(importer: Importer) -> None:
    first = importer(f"{LINES},amount\n1,1,2024-01-01,2,10,18\n", dataset="order_lines")
    found = importer(f"{LINES}\n1,1,2024-01-01,2,10\n", dataset="order_lines", into=first)
    assert found.counts == (1, 0, 0, 1, 0)
    assert one(found, "amount", "kind") == (Decimal(18), "sale")


def test_an_amount_that_was_multiplied_is_multiplied_again(importer: Importer) -> None:
    first = importer(f"{LINES}\n1,1,2024-01-01,2,10\n", dataset="order_lines")
    found = importer(f"{LINES}\n1,1,2024-01-01,-3,10\n", dataset="order_lines", into=first)
    assert one(found, "amount", "kind") == (Decimal(-30), "refund")
    found = importer(f"{LINES}\n1,1,2024-01-01,3,10\n", dataset="order_lines", into=found)
    assert one(found, "amount", "kind") == (Decimal(30), "sale")


def test_a_pattern_says_of_stored_orders_too_that_they_are_refunds(importer: Importer) -> None:
    first = importer(ORDERS + "C1,a,2024-01-01,10\n", dataset="orders")
    found = importer(ORDERS + "C1,a,2024-01-01,10\n", dataset="orders", into=first, refund_pattern="^C")
    assert one(found, "kind") == ("refund",)
    found = importer(ORDERS + "C1,a,2024-01-01,10\n", dataset="orders", into=found)
    assert one(found, "kind") == ("refund",)


def test_repeated_keys_and_the_table_beside_them(importer: Importer) -> None:
    first = importer("order_id,customer_id,ordered_at,amount,currency\n1,a,2024-01-01,10,USD\n", dataset="orders")
    found = importer(ORDERS + "1,a,2024-01-01,11\n1,a,2024-01-01,12\n2,a,2024-01-01,1\n", dataset="orders", into=first)
    assert found.counts == (3, 1, 2, 0, 0)
    assert found.select("order_id, amount, currency") == [
        {"order_id": "1", "amount": 12, "currency": "USD"},
        {"order_id": "2", "amount": 1, "currency": "EUR"},
    ]
