"""Results as files: Parquet that reads back, workbooks with typed cells, documents and pictures; the same bytes each time."""

import datetime as dt
import io
import json
import re
import zipfile
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics import result
from analytics.catalogue import registry
from analytics.render import as_parquet, chunks, files, manifest, workbook
from analytics.reports import charts
from tests.unit.render.samples import COLUMNS, NOON

ROWS = pa.table(
    {
        "name": ["=1+1", "0042", None, "Zoë #strike[x] *b*", "http://x"],
        "n": pa.array([1, -2, None, 4, 2**60 + 1], pa.int64()),
        "amount": pa.array(
            [Decimal("10.5"), Decimal("-0.00000001"), None, Decimal(0), Decimal("123456789012345.67890001")],
            pa.decimal128(38, 8),
        ),
        "rate": [0.5, float("nan"), None, float("inf"), 1e-9],
        "ok": [True, False, None, True, True],
        "day": pa.array([dt.date(2024, 2, 29), dt.date(1815, 6, 18), None, *[dt.date(2024, 1, 1)] * 2], pa.date32()),
        "at": pa.array([NOON, NOON, None, NOON, NOON], pa.timestamp("us", "UTC")),
    }
)
ANSWER = result.Result(
    columns=COLUMNS,
    rows=ROWS,
    summary={
        "as_of": "2024-03-01T00:00:00Z",
        "currency": "GBP",
        "customers": 1234,
        "segments": [{"segment": "loyal", "revenue": "1234.5000", "share": 0.25}],
        "holdout": {"by_frequency": [{"x": 0, "actual": 0.5}]},
    },
    charts=(charts.bars("Bars & <more>", [{"a": "x", "b": 1}], label="a", value="b", order=["x"]),),
    warnings=(result.ResultWarning("careful", "not #markup"),),
    dropped={"filtered": 3},
    invariants=(result.Invariant("adds_up", holds=False, detail="1 = 2"),),
)
HEADER = manifest.header(ANSWER, registry.REPORT_TYPES["rfm"], params={"bins": 5}, manifest="/v1/m") | {
    "made": {"sha256": "ab" * 32, "engine": {"duckdb": "2"}}
}


def _write(fmt: str, folder: Path, rows: pa.Table = ROWS, rows_per_chunk: int = 2) -> bytes:
    pieces = []
    for position, piece in enumerate(chunks.encode(rows, rows_per_chunk)):
        pieces.append(folder / f"{position}.chunk")
        pieces[-1].write_bytes(piece.data)
    files.write(fmt, HEADER | {"row_count": rows.num_rows}, pieces, folder / f"out.{fmt}")
    return (folder / f"out.{fmt}").read_bytes()


@pytest.mark.parametrize("fmt", files.FileFormat)
def test_the_same_result_gives_the_same_bytes(tmp_path: Path, fmt: str) -> None:
    assert _write(fmt, tmp_path) == _write(fmt, tmp_path)


def test_parquet_reads_back_with_what_it_means(tmp_path: Path) -> None:
    read = pq.read_table(pa.BufferReader(_write("parquet", tmp_path)))
    assert read.column_names == ROWS.column_names
    assert read.drop_columns("rate").equals(ROWS.drop_columns("rate"))
    about = json.loads(read.schema.metadata[as_parquet.METADATA])
    assert about["columns"][2]["unit"] == "GBP"
    assert about["made"]["sha256"] == "ab" * 32


def test_parquet_without_rows_has_its_columns(tmp_path: Path) -> None:
    read = pq.read_table(pa.BufferReader(_write("parquet", tmp_path, ROWS.slice(0, 0))))
    assert (read.num_rows, read.column_names) == (0, ROWS.column_names)
    assert read.schema.field("at").type == pa.timestamp("us", "UTC")


def test_a_workbook_has_typed_cells_and_nothing_that_runs(tmp_path: Path) -> None:
    book = openpyxl.load_workbook(io.BytesIO(_write("xlsx", tmp_path)))
    assert book.sheetnames == ["Summary", "Rows", "Definition"]
    sheet = book["Rows"]
    assert sheet.freeze_panes == "A2"
    heads, *rows = sheet.iter_rows(values_only=True)
    assert heads == ("name", "n (orders)", "amount (GBP)", "rate (ratio)", "ok", "day", "at (UTC)")
    assert rows[0] == ("=1+1", 1, 10.5, 0.5, True, dt.datetime(2024, 2, 29), dt.datetime(2024, 2, 29, 12))  # noqa: DTZ001
    assert rows[1][:6] == ("0042", -2, -1e-8, None, False, "1815-06-18")
    assert rows[2] == (None,) * 7
    # A double could not hold these; another number must not be shown for them.
    assert rows[4][1:3] == (str(2**60 + 1), "123456789012345.67890001")
    assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)


def test_the_first_sheet_has_the_numbers_and_the_last_their_meaning(tmp_path: Path) -> None:
    written = io.BytesIO(_write("xlsx", tmp_path))
    book = openpyxl.load_workbook(written)
    summary = [row for row in book["Summary"].iter_rows(values_only=True) if any(row)]
    assert ("customers", 1234) in [row[:2] for row in summary]
    assert ("loyal", 1234.5, 0.25) in [row[:3] for row in summary]
    assert any(row[0] == "check failed: adds up" for row in summary)
    assert [name for name in zipfile.ZipFile(written).namelist() if "media" in name] == ["xl/media/image1.png"]
    meaning = {row[0]: row[1] for row in book["Definition"].iter_rows(values_only=True) if row[0]}
    assert meaning["Definition"] == HEADER["definition"]
    assert meaning["sha256"] == "ab" * 32


def test_rows_that_a_sheet_cannot_hold_go_on_in_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "ROWS_PER_SHEET", 2)
    book = openpyxl.load_workbook(io.BytesIO(_write("xlsx", tmp_path)))
    assert book.sheetnames == ["Summary", "Rows 1", "Rows 2", "Rows 3", "Definition"]
    names = [row[0] for sheet in book.sheetnames[1:-1] for row in book[sheet].iter_rows(min_row=2, values_only=True)]
    assert names == ROWS["name"].to_pylist()


def test_a_workbook_without_rows_opens(tmp_path: Path) -> None:
    book = openpyxl.load_workbook(io.BytesIO(_write("xlsx", tmp_path, ROWS.slice(0, 0))))
    assert book["Rows"].max_row == 1


def test_a_document_is_made_whatever_the_words_are(tmp_path: Path) -> None:
    assert _write("pdf", tmp_path).startswith(b"%PDF-")
    assert _write("pdf", tmp_path, ROWS.slice(0, 0)).startswith(b"%PDF-")


def test_pictures_stand_alone(tmp_path: Path) -> None:
    svg = _write("svg", tmp_path).decode()
    assert "currentColor" not in svg
    assert not re.search(r'(?:href|src)="http', svg)
    assert _write("png", tmp_path).startswith(b"\x89PNG")


def test_a_workbook_names_no_time_at_which_it_was_made(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(_write("xlsx", tmp_path))) as archive:
        core = archive.read("docProps/core.xml").decode()
    assert "2000-01-01" in core
