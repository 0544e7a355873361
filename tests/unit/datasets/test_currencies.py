"""The currency that is written in an amount is the row's, where the row names none; nothing is guessed."""

import pytest

from analytics import errors
from analytics.datasets import currencies
from tests.unit.datasets.conftest import Importer

HEADER = "order_id,customer_id,ordered_at,amount\n"
WITH_COLUMN = "order_id,customer_id,ordered_at,amount,currency\n"
# Rows enough for those like them to be typed as they are read.
PLAIN = "".join(f"p{number},c,2024-01-05,5\n" for number in range(40))


def rows(*amounts: str) -> str:
    return "".join(f"a{number},c1,2024-01-05,{amount}\n" for number, amount in enumerate(amounts))


@pytest.mark.parametrize("before", ["", PLAIN])
def test_a_currency_written_in_an_amount_is_the_rows(importer: Importer, before: str) -> None:
    amounts = (
        "€10.00",
        "10.00 EUR",
        "USD 10.00",
        "USD10.00",
        "(£10.00)",
        "10.00",
        "₹10.00",
        "EUR €10.00",
        '"$1,010.00"',
    )
    found = importer(HEADER + before + rows(*amounts), dataset="orders", currency="CAD")
    stored = {row["order_id"]: row["currency"] for row in found.rows if row["order_id"].startswith("a")}
    wanted = ["EUR", "EUR", "USD", "USD", "GBP", "CAD", "INR", "EUR", "CAD"]
    assert stored == {f"a{number}": code for number, code in enumerate(wanted)}
    assert found.rejects == []
    assert {row["currency"] for row in found.rows if row["order_id"].startswith("p")} <= {"CAD"}


def test_what_contradicts_the_column_is_a_reject(importer: Importer) -> None:
    content = (
        WITH_COLUMN
        + PLAIN.replace(",5\n", ",5,EUR\n")
        + (
            'a,c,2024-01-05,"12,00 €",\nb,c,2024-01-05,"$12,00",EUR\nc,c,2024-01-05,"$12,00",cad\nd,c,2024-01-05,"12,00",\n'
            'e,c,2024-01-05,"€12,00",USD\nf,c,2024-01-05,"$12,00",USD\n'
        )
    )
    found = importer(content, dataset="orders", currency="GBP", decimal=",")
    stored = {row["order_id"]: row["currency"] for row in found.rows if not row["order_id"].startswith("p")}
    assert stored == {"a": "EUR", "c": "CAD", "d": "GBP", "f": "USD"}
    assert [(row["line"], row["column"], row["code"], row["value"]) for row in found.rejects] == [
        (43, "amount", "contradictory-currency", "$12,00"),
        (46, "amount", "contradictory-currency", "€12,00"),
    ]


def test_amounts_of_a_row_that_contradict_one_another_are_a_reject(importer: Importer) -> None:
    content = "deal_id,customer_id,stage,created_at,amount,list_amount\n"
    content += (
        "1,c,New,2024-01-05,€10,€12\n2,c,New,2024-01-05,€10,£12\n3,c,New,2024-01-05,10,£12\n4,c,New,2024-01-05,10,12\n"
    )
    found = importer(content, dataset="deals", currency="USD")
    assert {row["deal_id"]: row["currency"] for row in found.rows} == {"1": "EUR", "3": "GBP", "4": "USD"}
    assert [(row["line"], row["column"], row["code"]) for row in found.rejects] == [
        (3, "list_amount", "contradictory-currency")
    ]


def test_the_price_of_a_line_names_the_currency_of_the_line(importer: Importer) -> None:
    content = "order_id,line_no,customer_id,ordered_at,product_id,quantity,unit_price\n"
    found = importer(content + "1,1,c,2024-01-05,p,2,€10.50\n", dataset="order_lines", currency="USD")
    assert [(str(row["amount"]), row["currency"]) for row in found.rows] == [("21.00000000", "EUR")]


@pytest.mark.parametrize("amount", ["10 PCS", "10 ¢", "10 USD EUR"])
def test_what_is_no_currency_is_a_reject(importer: Importer, amount: str) -> None:
    found = importer(HEADER + rows("5", amount, "12 EUR"), dataset="orders")
    assert [(row["line"], row["code"], row["value"]) for row in found.rejects] == [(3, "unknown-currency", amount)]


@pytest.mark.parametrize(("sign", "likely", "other"), [("$", "USD", "AUD"), ("¥", "JPY", "CNY")])
def test_a_sign_of_several_currencies_is_a_question(importer: Importer, sign: str, likely: str, other: str) -> None:
    content = HEADER + PLAIN + rows(f"{sign}1000")
    with pytest.raises(errors.Refusal, match=f"'{'[$]' if sign == '$' else sign}1000'") as refused:
        importer(content, dataset="orders", currency="GBP")
    assert refused.value.code == "ambiguous-currency"
    assert refused.value.data["currencies"][0] == likely
    for code in (likely, other):
        found = importer(content, dataset="orders", currency=code)
        assert {row["currency"] for row in found.rows} == {code}


def test_an_upsert_takes_the_currency_that_an_amount_names(importer: Importer) -> None:
    first = importer(HEADER + rows("10", "20"), dataset="orders", currency="GBP")
    again = importer(HEADER + rows("€10", "£20"), dataset="orders", currency="GBP", into=first)
    assert [row["currency"] for row in again.rows] == ["EUR", "GBP"]
    assert again.counts == (2, 0, 1, 1, 0)


def test_every_sign_names_currencies_that_there_are() -> None:
    assert {code for codes in currencies.SIGNS.values() for code in codes} <= currencies.CODES
