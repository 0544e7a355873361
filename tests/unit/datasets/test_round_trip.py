"""Quarantine, not loss: rejected rows come back as a file; mended and imported again, they make the table whole."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics.render import as_rows, rejects
from tests.unit.datasets.conftest import Imported, Importer

HEADERS = ("order_id", "customer_id", "ordered_at", "amount", "note")
RIGHT = (
    ("1", "a", "2020-01-01", "10.50", "plain"),
    ("2", "b", "2020-01-02", "20.25", 'with "quotes", commas'),
    ("3", "c", "2020-01-03", "30.75", "two\nlines"),
    ("4", "d", "2020-01-04", "40.50", "caf\u00e9 \u20ac"),
    ("5", "e", "2020-01-05", "-50.50", "=1+1"),
    ("6", "f", "2020-01-06", "60.50", ""),
    ("-7", "g", "2020-01-07", "70.50", "semi;colon\ttab"),
)
WRONG = "much"

Write = Callable[[Sequence[Sequence[str]]], bytes]


def as_csv(rows: Sequence[Sequence[str]], *, delimiter: str = ",") -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerows([HEADERS, *rows])
    return out.getvalue().encode()


def wrapped(rows: Sequence[Sequence[str]]) -> bytes:
    """Each row quoted as a whole once more, as some exports do it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEADERS)
    for row in rows:
        record = io.StringIO()
        csv.writer(record).writerow(row)
        writer.writerow([record.getvalue().removesuffix("\r\n")])
    return out.getvalue().encode()


def as_parquet(rows: Sequence[Sequence[str]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(dict(zip(HEADERS, map(list, zip(*rows, strict=True)), strict=True))), out)
    return out.getvalue()


def objects(rows: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    return [dict(zip(HEADERS, row, strict=True)) for row in rows]


FORMATS: Mapping[str, Write] = {
    "csv": as_csv,
    "semicolons": lambda rows: as_csv(rows, delimiter=";"),
    "utf-16": lambda rows: as_csv(rows).decode().encode("utf-16"),
    "wrapped": wrapped,
    "json": lambda rows: json.dumps(objects(rows)).encode(),
    "ndjson": lambda rows: "\n".join(json.dumps(row) for row in objects(rows)).encode(),
    "parquet": as_parquet,
}


def downloaded(found: Imported) -> bytes:
    """The rejected rows as `GET /v1/imports/{id}/rejects?format=rows.csv` sends them."""
    change = found.change
    header = rejects.header(count=change.counts.rejected, by_code={}, params={}, headers=change.headers)
    return as_rows.start(header) + as_rows.chunk(pq.read_table(change.rejects))


def importing(importer: Importer, content: bytes, into: Imported | None = None) -> Imported:
    return importer(content, into=into, dataset="orders", decimal=".")


@pytest.mark.parametrize("name", list(FORMATS))
def test_mended_rows_make_the_table_whole(importer: Importer, name: str) -> None:
    write = FORMATS[name]
    spoilt = [(*row[:3], WRONG, row[4]) if number % 3 else row for number, row in enumerate(RIGHT)]
    first = importing(importer, write(spoilt))
    assert first.counts == (7, 3, 0, 0, 4)
    mended = downloaded(first)
    records = list(csv.reader(io.StringIO(mended.decode(), newline="")))
    assert records == [list(HEADERS), *(list(row) for number, row in enumerate(spoilt) if number % 3)]
    amounts = {row[0]: row[3] for row in RIGHT}
    corrected = as_csv([(*row[:3], amounts[row[0]], row[4]) for row in records[1:]])
    second = importing(importer, corrected, into=first)
    assert second.counts == (4, 4, 0, 0, 0)
    assert second.rows == importing(importer, write(RIGHT)).rows


def test_rows_that_are_not_mended_are_rejected_for_the_same_reasons(importer: Importer) -> None:
    content = as_csv([(*row[:3], WRONG, row[4]) for row in RIGHT]) + b"8,h,2020-01-08,1,x,one too many\r\n"
    first = importing(importer, content)
    again = importing(importer, downloaded(first))
    assert again.counts == first.counts == (8, 0, 0, 0, 8)
    reasons = [(row["column"], row["code"], row["value"], row["row"]) for row in first.rejects]
    assert [(row["column"], row["code"], row["value"], row["row"]) for row in again.rejects] == reasons


def test_a_row_of_too_many_values_can_be_mended(importer: Importer) -> None:
    first = importing(importer, as_csv(RIGHT[:1]) + b"8,h,2020-01-08,1,x,one too many\r\n")
    assert first.counts == (2, 1, 0, 0, 1)
    second = importing(importer, downloaded(first).replace(b"x,one too many", b'"x,one too many"'), into=first)
    assert second.counts == (1, 1, 0, 0, 0)
    assert [row["note"] for row in second.rows] == ["plain", "x,one too many"]


def test_headers_come_back_as_the_file_has_them(importer: Importer) -> None:
    content = 'Order ID,"Customer, short",Date,Total\n1,a,2020-01-01,much\n'
    mapping = {"customer_id": "Customer, short"}
    found = importer(content, dataset="orders", mapping=mapping)
    assert downloaded(found).decode() == 'Order ID,"Customer, short",Date,Total\r\n1,a,2020-01-01,much\r\n'
    mended = importer(downloaded(found).replace(b"much", b"5"), dataset="orders", mapping=mapping)
    assert mended.counts == (1, 1, 0, 0, 0)
