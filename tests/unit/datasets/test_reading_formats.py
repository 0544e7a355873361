"""The same table in every format and compression becomes the same rows."""

import datetime as dt
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from tests.unit.datasets.conftest import Importer

HEADER = ["order_id", "customer_id", "ordered_at", "amount", "city"]
WHEN = [dt.datetime(2024, 1, 2, 3, 4, 5), dt.datetime(2024, 2, 29, 23, 59), dt.datetime(2025, 12, 31)]  # noqa: DTZ001 - naive, as in files
ROWS: list[list[Any]] = [
    ["A1", "7", WHEN[0], 1234.5, "Köln"],
    ["A2", "8", WHEN[1], -0.25, 'with "quotes", and commas'],
    ["A3", "9", WHEN[2], 1.234, None],
]


def as_csv() -> bytes:
    lines = [",".join(HEADER), "A1,7,2024-01-02 03:04:05,1234.5,Köln"]
    lines.append('A2,8,2024-02-29 23:59:00,-0.25,"with ""quotes"", and commas"')
    lines.append("A3,9,2025-12-31 00:00:00,1.234,")
    return "\n".join(lines).encode()


def objects() -> list[dict[str, Any]]:
    return [
        {name: value.isoformat(" ") if isinstance(value, dt.datetime) else value for name, value in zip(HEADER, row)}  # noqa: B905 - equally long
        for row in ROWS
    ]


def as_ndjson() -> bytes:
    return "\n".join(json.dumps(each, ensure_ascii=False) for each in objects()).encode()


def as_array() -> bytes:
    return json.dumps(objects(), indent=1).encode()


def as_wrapped() -> bytes:
    return json.dumps({"object": "list", "has_more": False, "data": objects(), "url": "/v1/orders"}).encode()


def as_parquet() -> bytes:
    out = io.BytesIO()
    columns = list(zip(*ROWS, strict=True))
    pq.write_table(pa.table(dict(zip(HEADER, map(list, columns), strict=True))), out)
    return out.getvalue()


def as_xlsx(rows: list[list[Any]] = ROWS, header: list[str] = HEADER, **said: Any) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, "default_date_format": "yyyy-mm-dd hh:mm:ss"} | said) as book:
        sheet = book.add_worksheet("Orders")
        for number, row in enumerate([header, *rows]):
            sheet.write_row(number, 0, row)
    return out.getvalue()


def as_zip(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("export")
        archive.writestr("export/../../etc/orders.dat", content)
        archive.writestr("__MACOSX/export/._orders.dat", b"\0\5\x16\7")
    return out.getvalue()


def as_zstd(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


FORMATS = [as_csv, as_ndjson, as_array, as_wrapped, as_parquet, as_xlsx]
PACKINGS: list[Callable[[bytes], bytes]] = [bytes, gzip.compress, as_zstd, as_zip]


@pytest.mark.parametrize("pack", PACKINGS, ids=["plain", "gzip", "zstd", "zip"])
@pytest.mark.parametrize("write", FORMATS, ids=lambda write: write.__name__.removeprefix("as_"))
def test_every_format_and_compression_gives_the_table_of_the_csv(
    importer: Importer, write: Callable[[], bytes], pack: Callable[[bytes], bytes]
) -> None:
    expected = importer(as_csv(), dataset="orders", decimal=".")
    # No decimal sign is given: a number of JSON, Parquet or XLSX is not guessed at.
    said = {"decimal": "."} if write is as_csv else {}
    found = importer(pack(write()), dataset="orders", **said)
    assert found.rows == expected.rows
    assert found.counts == (3, 3, 0, 0, 0)
    assert len(expected.rows) == 3
