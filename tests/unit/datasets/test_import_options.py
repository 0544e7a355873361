"""What a caller says about a file, from outside: each option changes what it says it changes, to its very edge."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from analytics import errors
from tests.unit.datasets.conftest import Imported, Importer

HEADER = "order_id,customer_id,ordered_at,amount\n"


def moments(importer: Importer, *written: str, **said: Any) -> list[str]:
    lines = "".join(f'{number},c,"{moment}",1\n' for number, moment in enumerate(written))
    found = importer(HEADER + lines, dataset="orders", **said)
    assert found.counts[4] == 0
    rows = found.select("CAST(order_id AS INT) AS id, ordered_at")
    return [row["ordered_at"].astimezone(dt.UTC).isoformat().removesuffix("+00:00") for row in rows]


@pytest.mark.parametrize(
    ("zone", "written", "meant"),
    [
        ("UTC", "2024-03-31 01:30", "2024-03-31T01:30:00"),
        ("Europe/London", "2024-01-31 01:30", "2024-01-31T01:30:00"),
        ("Europe/London", "2024-07-31 01:30", "2024-07-31T00:30:00"),
        # The clocks went from 01:00 to 02:00: a time that never was is taken an hour on.
        ("Europe/London", "2024-03-31 01:30", "2024-03-31T01:30:00"),
        ("America/New_York", "2024-03-10 02:30", "2024-03-10T07:30:00"),
        # They went back from 02:00 to 01:00: of the two times the second is taken.
        ("Europe/London", "2024-10-27 01:30", "2024-10-27T01:30:00"),
        ("America/New_York", "2024-11-03 01:30", "2024-11-03T06:30:00"),
        # Half an hour, a quarter, and a day that was left out.
        ("Asia/Kolkata", "2024-07-01 05:30", "2024-07-01T00:00:00"),
        ("Asia/Kathmandu", "2024-07-01 05:45", "2024-07-01T00:00:00"),
        ("Pacific/Apia", "2011-12-31 00:00", "2011-12-30T10:00:00"),
        ("Europe/London", "2024-07-31T01:30+05:00", "2024-07-30T20:30:00"),
        ("Europe/London", "2024-07-31", "2024-07-30T23:00:00"),
    ],
)
def test_times_are_in_the_zone_that_was_said(importer: Importer, zone: str, written: str, meant: str) -> None:
    assert moments(importer, written, timezone=zone) == [meant]


@pytest.mark.parametrize(
    ("date_format", "written", "meant"),
    [
        ("DMY", "05/04/2020", "2020-04-05T00:00:00"),
        ("day-first", "05/04/2020", "2020-04-05T00:00:00"),
        ("MDY", "05/04/2020", "2020-05-04T00:00:00"),
        ("%d/%m/%Y %H:%M", "05/04/2020 10:30", "2020-04-05T10:30:00"),
        ("DD.MM.YYYY HH:mm:ss", "05.04.2020 10:30:15", "2020-04-05T10:30:15"),
        ("MM/DD/YYYY hh:mm A", "05/04/2020 10:30 PM", "2020-05-04T22:30:00"),
    ],
)
def test_a_date_format_decides(importer: Importer, date_format: str, written: str, meant: str) -> None:
    assert moments(importer, written, date_format=date_format) == [meant]


def amounts(importer: Importer, *written: str, **said: Any) -> list[Decimal]:
    lines = "".join(f'{number};c;2020-01-01;"{amount}"\n' for number, amount in enumerate(written))
    found = importer(HEADER.replace(",", ";") + lines, dataset="orders", **said)
    return [row["amount"] for row in found.select("CAST(order_id AS INT) AS id, amount")]


def test_a_decimal_sign_decides(importer: Importer) -> None:
    assert amounts(importer, "1.234", "5", decimal=".") == [Decimal("1.234"), Decimal(5)]
    assert amounts(importer, "1.234", "5", decimal=",") == [Decimal(1234), Decimal(5)]
    assert amounts(importer, "1,5", "1.234,5", decimal=",") == [Decimal("1.5"), Decimal("1234.5")]


def test_a_currency_is_of_the_rows_that_name_none(importer: Importer) -> None:
    found = importer(
        "order_id,customer_id,ordered_at,amount,currency\n1,a,2020-01-01,1,usd\n2,a,2020-01-01,1,\n",
        dataset="orders",
        currency="GBP",
    )
    assert [row["currency"] for row in found.rows] == ["USD", "GBP"]


def test_null_values_are_null_where_they_are_the_whole_value(importer: Importer) -> None:
    content = "customer_id,name,city,score\n1,Select,Selected,unknown\n2, Select ,Bath,3\n"
    found = importer(content, dataset="customers", null_values=["Select", "unknown"])
    assert [(row["name"], row["city"], row["score"]) for row in found.rows] == [
        (None, "Selected", None),
        (None, "Bath", 3),
    ]


def test_a_refund_pattern_is_of_the_order_id(importer: Importer) -> None:
    rows = "C1,a,2020-01-01,5\n1C,a,2020-01-01,5\nR-9,a,2020-01-01,5\n"
    found = importer(HEADER + rows, dataset="orders", refund_pattern="^(C|R-)")
    assert {row["order_id"]: row["kind"] for row in found.rows} == {"C1": "refund", "1C": "sale", "R-9": "refund"}


@pytest.mark.parametrize(
    ("bad", "share", "taken"),
    [
        (0, 0.0, True),
        (1, 0.0, False),
        (1, 0.1, True),
        (2, 0.1, False),
        (10, 1.0, True),
        (10, 0.99, False),
        (1, 0.0999, False),
    ],
)
def test_max_rejects_at_its_edge(importer: Importer, bad: int, share: float, *, taken: bool) -> None:
    lines = "".join(f"{number},c,2020-01-01,{'much' if number < bad else 1}\n" for number in range(10))

    def run() -> Imported:
        return importer(HEADER + lines, dataset="orders", max_rejects=share)

    if taken:
        assert run().counts == (10, 10 - bad, 0, 0, bad)
        return
    with pytest.raises(errors.Refusal) as refused:
        run()
    assert refused.value.code == "too-many-rejects"
    assert (refused.value.data["read"], refused.value.data["rejected"]) == (10, bad)


def test_a_mapping_wins_and_null_waives(importer: Importer) -> None:
    content = "order_id,customer_id,buyer,amount\n1,a,b,5\n"
    with pytest.raises(errors.Refusal) as refused:
        importer(content, dataset="orders")
    assert refused.value.data["missing"] == ["ordered_at"]
    found = importer(content, dataset="orders", mapping={"customer_id": "buyer", "ordered_at": None})
    (row,) = found.rows
    # What the file called customer_id has to have another name in the table.
    assert (row["customer_id"], row["customer_id_2"], row["ordered_at"]) == ("b", "a", None)
    assert found.counts == (1, 1, 0, 0, 0)


def test_a_waived_column_keeps_what_the_table_has(importer: Importer) -> None:
    first = importer("customer_id,name,city\n1,Ann,Bath\n", dataset="customers")
    found = importer("customer_id,name,city\n1,Anna,York\n", dataset="customers", into=first, mapping={"city": None})
    (row,) = found.rows
    assert (row["name"], row["city"], row["city_2"]) == ("Anna", "Bath", "York")
    assert found.counts == (1, 0, 1, 0, 0)
