"""Rejected rows that are corrected and imported by themselves come to their own place, although their keys are made by position."""

from collections.abc import Sequence
from typing import Any

import pyarrow.parquet as pq
import pytest

from analytics.datasets import importing
from analytics.render import as_rows, rejects
from tests.unit.datasets.conftest import Imported, Importer

LINES = "InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID\n"
ORDERS = "customer_id,date,amount\n"


def to_correct(found: Imported, *corrections: tuple[str, str]) -> str:
    """The file of rejected rows, as it is downloaded, with corrections."""
    change: importing.Change = found.change
    header = rejects.header(count=0, by_code={}, params={}, headers=change.headers)
    text = (as_rows.start(header) + as_rows.chunk(pq.read_table(change.rejects))).decode()
    for wrong, right in corrections:
        assert wrong in text
        text = text.replace(wrong, right)
    return text


def products(found: Imported) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in found.select("order_id, line_no, product_id")]


def amounts(found: Imported) -> Sequence[Any]:
    return [row["amount"] for row in found.select("amount")]


def test_a_corrected_line_replaces_no_other(importer: Importer) -> None:
    first = importer(
        LINES + "1,A,1,2024-01-01 10:00,10,c1\n1,B,x,2024-01-01 10:00,20,c1\n1,C,1,2024-01-01 10:00,30,c1\n",
        dataset="order_lines",
    )
    assert products(first) == [("1", 1, "A"), ("1", 3, "C")]
    mended = importer(to_correct(first, (",x,", ",1,")), dataset="order_lines", into=first)
    assert mended.counts == (1, 1, 0, 0, 0)
    assert products(mended) == [("1", 1, "A"), ("1", 2, "B"), ("1", 3, "C")]


@pytest.mark.parametrize("who", ["c1", '"Smith, ""Al"""'])
def test_a_corrected_order_replaces_no_other(importer: Importer, who: str) -> None:
    rows = [f"{who},2024-01-01,{amount}\n" for amount in ("1", "x", "3")]
    first = importer(ORDERS + "".join(rows), dataset="orders")
    mended = importer(to_correct(first, ("x", "2")), dataset="orders", into=first)
    assert mended.counts == (1, 1, 0, 0, 0)
    assert amounts(mended) == [1, 2, 3]
    # The whole file, corrected, comes to the same.
    again = importer(ORDERS + "".join(rows).replace("x", "2"), dataset="orders", into=mended)
    assert again.counts == (3, 0, 0, 3, 0)


@pytest.mark.parametrize(
    ("wrong", "right", "column"),
    [("c1,someday,2", "c1,2024-01-01,2", "order_id"), ("c1,2024-01-01,2,5", "c1,2024-01-01,2.5", "order_id")],
)
def test_a_row_whose_place_is_not_known_is_not_given_one(
    importer: Importer, wrong: str, right: str, column: str
) -> None:
    first = importer(ORDERS + f"c1,2024-01-01,1\n{wrong}\nc1,2024-01-01,3\n", dataset="orders")
    assert first.counts == (3, 2, 0, 0, 1)
    text = to_correct(first, (wrong, right))
    refused = importer(text, dataset="orders", into=first)
    assert [(one["column"], one["code"]) for one in refused.rejects] == [(column, "missing-value")]
    assert amounts(refused) == [1, 3]
    named = importer(text.replace(f"\n,{right}", f"\nmine,{right}"), dataset="orders", into=first)
    assert named.counts == (1, 1, 0, 0, 0)


def test_a_line_of_no_order_has_no_number(importer: Importer) -> None:
    first = importer(
        LINES + "1,A,1,2024-01-01 10:00,10,c1\n,B,1,2024-01-01 10:00,20,c1\n,C,1,2024-01-01 10:00,30,c1\n",
        dataset="order_lines",
    )
    text = to_correct(first, (",,B", ",1,B"), (",,C", ",1,C"))
    refused = importer(text, dataset="order_lines", into=first)
    assert [(one["column"], one["code"]) for one in refused.rejects] == [("line_no", "missing-value")] * 2


def test_a_file_with_keys_of_its_own_comes_back_as_it_was(importer: Importer) -> None:
    first = importer("order_id,customer_id,date,amount\n1,c1,2024-01-01,x\n", dataset="orders")
    assert to_correct(first) == "order_id,customer_id,date,amount\r\n1,c1,2024-01-01,x\r\n"
