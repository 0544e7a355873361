"""Lines that are no rows and look like some, rows that look like none, and the formula by which Excel keeps a text."""

import io
import itertools
from collections.abc import Sequence

import openpyxl
import pytest

from tests.unit.datasets.conftest import Imported, Importer

HEADER = "customer_id,name,email\n"
ROWS = "17,Ann,ann@example.com\n18,Bob,bob@example.com\n"
DEALS = "Opportunity ID,Stage,Owner,Amount\n006A,Won,Ann,10.00\n006B,Lost,Bob,20.00\n"


def ids(found: Imported, name: str = "customer_id") -> list[str]:
    return [row[name] for row in found.rows]


def rejected(found: Imported) -> list[tuple[int, str]]:
    return [(row["line"], row["code"]) for row in found.rejects]


def workbook(rows: Sequence[Sequence[object]]) -> bytes:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in rows:
        book.active.append(list(row))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_the_text_formula_of_excel_is_its_text(importer: Importer) -> None:
    texts = {
        '="00123"': "00123",
        '"=""00123"""': "00123",
        ' ="00123" ': "00123",
        '="27"" wide"': '27" wide',
        '"=""Street 1\nTown"""': "Street 1\nTown",
        '=""': None,
        '="NULL"': None,
        # What is computed is no text, and what only looks like it is left alone.
        '="a"&"b"': '="a"&"b"',
        "=A1": "=A1",
        '="open': '="open',
        '<a href="x">': '<a href="x">',
    }
    rows = "".join(f"{number:02}\t{cell}\tYork\n" for number, cell in enumerate(texts))
    found = importer("customer_id\tname\tcity\n" + rows, dataset="customers")
    assert [row["name"] for row in found.rows] == list(texts.values())


def test_the_text_formula_holds_for_every_type_and_for_headers(importer: Importer) -> None:
    header = '="order_id",="customer_id",="ordered_at",="amount",="shelf"\n'
    rows = "".join(f'="00{n}",="7",="2024-01-0{n}",="1{n}.50",="0{n}"\n' for n in range(1, 6))
    found = importer(header + rows + "6,8,2024-01-06,16.50,06\n", dataset="orders")
    assert ids(found, "order_id") == ["001", "002", "003", "004", "005", "6"]
    assert [str(row["amount"]) for row in found.rows] == [
        "11.5000",
        "12.5000",
        "13.5000",
        "14.5000",
        "15.5000",
        "16.5000",
    ]
    assert {row["customer_id"] for row in found.rows} == {"7", "8"}
    assert [row["ordered_at"].day for row in found.rows] == [1, 2, 3, 4, 5, 6]
    assert found.rows[0]["shelf"] == "01"


def test_the_text_formula_of_a_value_that_repeats_is_the_value(importer: Importer) -> None:
    cities = itertools.cycle(["York", '="York"', "Hull"])
    rows = "".join(f"{number:03},{next(cities)}\n" for number in range(300))
    found = importer("customer_id,city\n" + rows, dataset="customers")
    assert {row["city"] for row in found.rows} == {"York", "Hull"}


@pytest.mark.parametrize(
    "again",
    [HEADER, '"customer_id","name","email"\n', "customer_id , name,email\n", "\ufeff" + HEADER, HEADER * 2],
)
def test_a_header_that_is_repeated_is_no_row(importer: Importer, again: str) -> None:
    found = importer(HEADER + ROWS + again + "19,Cyd,cyd@example.com\n", dataset="customers", max_rejects=0)
    assert ids(found) == ["17", "18", "19"]
    assert rejected(found) == [(4 + number, "repeated-header") for number in range(again.count("\n"))]
    assert found.rejects[0]["row"].replace(" ", "").lstrip("\ufeff") == HEADER.strip()


def test_a_row_that_is_like_the_header_but_for_one_cell_is_a_row(importer: Importer) -> None:
    found = importer(HEADER + ROWS + "customer_id,name,x@example.com\n", dataset="customers")
    assert (ids(found), rejected(found)) == (["17", "18", "customer_id"], [])


def test_a_first_line_of_figures_is_no_header_to_be_repeated(importer: Importer) -> None:
    found = importer("1,2\n3,4\n1,2\n", dataset="customers", mapping={"customer_id": "1"})
    assert (ids(found), rejected(found)) == (["1", "3"], [])


def test_many_repeated_headers_are_rejects_all(importer: Importer) -> None:
    found = importer(HEADER + ROWS + HEADER * 200_000, dataset="customers", max_rejects=0)
    assert found.counts == (200_002, 2, 0, 0, 200_000)


def test_a_repeated_header_does_not_change_the_types(importer: Importer) -> None:
    rows = "".join(f"{number},{number * 2},2024-01-02,,x\n" for number in range(500))
    header = "customer_id,visits,seen,-,what_repeats_itself\n"
    found = importer(header + rows + header + rows.replace("0,", "1,"), dataset="customers")
    assert {str(found.current.schema.field(name).type) for name in ("visits", "seen")} == {"int64", "date32[day]"}
    assert rejected(found) == [(502, "repeated-header")]


def test_a_header_that_is_repeated_in_a_sheet_is_no_row(importer: Importer) -> None:
    header: list[object] = ["customer_id", "name", "visits"]
    content = workbook([header, ["17", "Ann", 3], header, ["customer_id", "name", 4], ["18", "Bob", 5]])
    found = importer(content, dataset="customers", max_rejects=0)
    assert ids(found) == ["17", "18", "customer_id"]
    assert rejected(found) == [(3, "repeated-header")]
    assert str(found.current.schema.field("visits").type) == "int64"


@pytest.mark.parametrize(
    "last",
    [
        "Total,Total SA,\n",
        "Total,TotalEnergies,total@example.com\n",
        "Total-1,,x@example.com\n",
        "As of Yesterday Ltd,,\n",
        "As of Yesterday Ltd,,a@example.com\n",
        "Created Equal Ltd,,\n",
        "Run Fast,,\n",
        "Copyright Clearance Ltd,,\n",
        "3 Records Ltd,,\n",
        "Page 1 Books,,\n",
        "End of Report Ltd,,\n",
    ],
)
def test_a_last_row_that_is_called_like_a_footer_is_a_row(importer: Importer, last: str) -> None:
    found = importer(HEADER + ROWS + last, dataset="customers", max_rejects=0)
    assert (ids(found), rejected(found)) == (["17", "18", last.partition(",")[0]], [])


def test_a_last_row_called_total_that_has_all_that_the_others_have_is_a_row(importer: Importer) -> None:
    header = "customer_id,order_id,ordered_at,amount,a,b,c,d\n"
    content = header + "17,1,2024-01-02,3,,,,x\n18,2,2024-01-02,3,,,,\nTotal,3,2024-01-03,4,,,,\n"
    found = importer(content, dataset="orders", max_rejects=0)
    assert (ids(found, "order_id"), rejected(found)) == (["1", "2", "3"], [])


@pytest.mark.parametrize(
    "last",
    [
        "Total,,,30.00\n",
        "total,,2,30.00\n",
        "Summe,,,EUR 30.00\n",
        "Grand Total,,USD,30.00\n",
        "Total (2 records),,,30.00\n",
        "As of 31 January 2024,,,\n",
        "As of 2024-01-31\n",
        "As of,31/01/2024,,\n",
        "Exported 2024-01-31,,,\n",
        "Generated on: today,,,\n",
        "Row count: 2,,,\n",
        "2 rows exported,,,\n",
    ],
)
def test_what_is_below_the_table_is_no_row(importer: Importer, last: str) -> None:
    found = importer(DEALS + last, dataset="deals", mapping={"deal_id": "Opportunity ID"}, max_rejects=0)
    assert (ids(found, "deal_id"), rejected(found)) == (["006A", "006B"], [(4, "footer-line")])


def test_what_is_below_the_table_of_a_sheet_is_no_row(importer: Importer) -> None:
    below = "Total,,,30.00\nGenerated by,Jane Doe,,\nCopyright 2024\n"
    content = workbook([line.split(",") for line in (DEALS + below).splitlines()])
    found = importer(content, dataset="deals", mapping={"deal_id": "Opportunity ID"}, max_rejects=0)
    assert ids(found, "deal_id") == ["006A", "006B"]
    assert rejected(found) == [(line, "footer-line") for line in (4, 5, 6)]
    assert [row["row"] for row in found.rejects] == ["Total,,,30.00", "Generated by,Jane Doe,,", "Copyright 2024,,,"]


def test_a_total_below_rows_with_gaps_is_no_row(importer: Importer) -> None:
    rows = "".join(f"{number:03},{'' if number % 30 == 0 else 'Won'},Ann,1\n" for number in range(60))
    content = "deal_id,stage,owner,amount\n" + rows + "Total,,,60\n"
    found = importer(content, dataset="deals", max_rejects=0)
    assert rejected(found) == [(62, "footer-line")]


def test_a_total_in_a_sheet_that_has_all_that_the_others_have_is_a_row(importer: Importer) -> None:
    content = workbook([["customer_id", "name", "visits"], ["17", "Ann", 3], ["18", None, 4], ["Total", None, 5]])
    found = importer(content, dataset="customers", max_rejects=0)
    assert (ids(found), rejected(found)) == (["17", "18", "Total"], [])
