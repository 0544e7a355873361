"""Values come over without loss from every format, and each is what the format says that it is."""

import datetime as dt
import decimal
import io
import json
import math
from pathlib import Path
from typing import Any

import hypothesis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from hypothesis import strategies as st

from analytics import errors
from analytics.datasets import batches, options, reading, xlsx_values
from tests.unit.datasets import hostile_files
from tests.unit.datasets.conftest import Importer


def read(
    path: Path, content: str | bytes, **said: Any
) -> tuple[tuple[str, ...], list[list[str | None]], list[dict[str, Any]]]:
    """The headers, the rows with their lines first, and the rejects."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    asked = {"format": options.FileFormat.AUTO, "null_values": ()} | said
    reader = reading.open_reader(path, progress=lambda _done, _total: None, **asked)
    parts = [parse() for parse in reader.read()]
    rows = sorted((list(row.values()) for part in parts for row in part.rows.to_pylist()), key=lambda row: row[0])
    return reader.headers, rows, [row for part in parts for row in part.rejects.to_pylist()]


def test_json_keeps_every_digit_and_every_kind_of_value(tmp_path: Path) -> None:
    content = (
        '{"a":0.10,"b":1e400,"c":12345678901234567890,"d":true,"e":null,"f":"0.10"}\n'
        "\n"
        '{"a":1.5E3,"b":-2.50e-2,"c":' + "9" * 5000 + ',"d":{"x":[1.0,{"y":2.50}],"z":{}},"f":[1.10,null]}\n'
    )
    headers, rows, rejects = read(tmp_path / "f", content)
    assert headers == ("a", "b", "c", "d", "d.x", "d.z", "e", "f")
    assert rows == [
        [1, "0.10", "1e400", "12345678901234567890", "true", None, None, None, "0.10"],
        [3, "1500", "-0.0250", "9" * 5000, None, '[1.0,{"y":2.50}]', "{}", None, "[1.10,null]"],
    ]
    assert rejects == []


@pytest.mark.parametrize("content", ['{"a":0.10,"b":[2.50]}\n', '[{"a":0.10,"b":[2.50]}]'])
def test_fractions_are_never_floating_point_numbers(tmp_path: Path, content: str) -> None:
    assert read(tmp_path / "f", content)[1] == [[1, "0.10", "[2.50]"]]


def test_lines_of_ndjson_that_are_no_objects_are_rejects(tmp_path: Path) -> None:
    content = b'{"a":1,"b":"x"}\r\n{"a":\n"2"}\n[3]\n{"a":4}{"a":5}\n{"a":"\\ud800"}\n{"a":NaN,"b":"y"}\n'
    _, rows, rejects = read(tmp_path / "f", content, format=options.FileFormat.NDJSON)
    assert rows == [[1, "1", "x"], [7, None, "y"]]
    assert [(row["line"], row["code"]) for row in rejects] == [
        (2, "bad-json"),
        (3, "bad-json"),
        (4, "bad-json"),
        (5, "bad-json"),
        (6, "bad-encoding"),
    ]
    assert rejects[2]["row"] == "[3]"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ('[{"a":1}] {"b":2}', "not-json"),
        ('{"a":[{"x":1}],"b":[{"y":2}]}', "ambiguous-list"),
        ('{"data":[{"x":1}], broken', "not-json"),
        ("[[1,2],[3,4]]", "not-json"),
        ("[]", "not-json"),
    ],
)
def test_json_without_one_list_of_objects(tmp_path: Path, content: str, code: str) -> None:
    with pytest.raises(errors.Refusal) as refused:
        read(tmp_path / "f", content)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("declared", "content"),
    [("parquet", "a,b\n1,2\n"), ("csv", '{"a":1}\n'), ("json", "a,b\n1,2\n"), ("xlsx", '[{"a":1}]'), ("tsv", "PAR1")],
)
def test_a_declared_format_that_the_content_contradicts(tmp_path: Path, declared: str, content: str) -> None:
    with pytest.raises(errors.Refusal) as refused:
        read(tmp_path / "f", content, format=options.FileFormat(declared))
    assert refused.value.code == "format-mismatch"
    assert refused.value.data["declared"] == declared


def test_parquet_types_as_text(tmp_path: Path) -> None:
    moment = dt.datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=dt.UTC)
    table = pa.table(
        {
            "zoned": pa.array([moment], pa.timestamp("us", "Europe/Berlin")),
            "naive": pa.array([moment.replace(tzinfo=None)], pa.timestamp("ms")),
            "day": pa.array([moment.date()]),
            "money": pa.array([decimal.Decimal("12345678901234567.8900")], pa.decimal128(38, 4)),
            "float": pa.array([1e-7]),
            "sum": pa.array([0.1 + 0.2]),
            "exact": pa.array([1234567890.1234567]),
            "single": pa.array([0.1], pa.float32()),
            "none": pa.array([math.nan]),
            "list": pa.array([[1, 2]]),
            "struct": pa.array([{"it's": 1, "in": {"x": [True]}}]),
            "bytes": pa.array(["Zoë".encode()]),
            "word": pa.array(["x"]).dictionary_encode(),
            "null word": pa.array(["N/A"]),
        }
    )
    out = io.BytesIO()
    pq.write_table(table, out)
    headers, rows, _ = read(tmp_path / "f", out.getvalue())
    assert dict(zip(headers, rows[0][1:], strict=True)) == {
        "zoned": "2024-01-02 03:04:05.000678+00",
        "naive": "2024-01-02 03:04:05",
        "day": "2024-01-02",
        "money": "12345678901234567.8900",
        "float": "0.0000001",
        "sum": "0.3",
        "exact": "1234567890.1234567",
        "single": "0.1",
        "none": None,
        "list": "[1,2]",
        "struct.it's": "1",
        "struct.in": '{"x":[true]}',
        "bytes": "Zoë",
        "word": "x",
        "null word": None,
    }


@pytest.mark.parametrize(
    ("serial", "from_1904", "expected"),
    [
        (1, False, "1900-01-01"),
        (59, False, "1900-02-28"),
        (60, False, "1900-02-29"),  # a day that never was, and is rejected later
        (61, False, "1900-03-01"),
        (45292.5, False, "2024-01-01 12:00:00"),
        (45292.999999999, False, "2024-01-02"),
        (0, True, "1904-01-01"),
        (43830.25, True, "2024-01-01 06:00:00"),
        (-1, False, None),
    ],
)
def test_days_are_counted_as_excel_counts_them(serial: float, expected: str | None, *, from_1904: bool) -> None:
    assert xlsx_values.moment(serial, xlsx_values.DATE, from_1904=from_1904) == expected


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("General", None),
        ("#,##0.00 [$€-407]", None),
        ('0.0 "days"', None),
        ("0.00E+00", None),
        ("[Red]-0.0;0", None),
        ("dd/mm/yyyy", "date"),
        ("[$-409]d-mmm-yy;@", "date"),
        ("mmm", "date"),
        ("yyyy\\-mm\\-dd hh:mm", "date"),
        ("h:mm AM/PM", "time"),
        ("[h]:mm:ss", "elapsed"),
    ],
)
def test_what_a_number_format_shows(code: str, kind: str | None) -> None:
    assert xlsx_values.format_kind(code) == kind


def test_cells_of_a_workbook(tmp_path: Path) -> None:
    kinds = '<row r="2"><c r="A2" t="b"><v>1</v></c><c r="B2"><v>0.1</v></c><c r="C2"><v>1E2</v></c>'
    kinds += (
        '<c r="D2" t="str"><f>A1</f><v>made</v></c><c r="E2" t="inlineStr"><is><r><t>rich</t></r><rPh><t>no</t></rPh>'
    )
    kinds += '<r><t> text_x000D_</t></r></is></c><c r="F2" t="e"><v>#N/A</v></c><c r="G2"><v>30.299999999999997</v></c></row>'
    header = "".join(f'<c t="inlineStr"><is><t>{letter}</t></is></c>' for letter in "abcdefg")
    bad = '<row r="7"><c r="A7"><v>1</v></c><c r="B7" t="e"><v>#REF!</v></c></row>'
    bad += '<row r="8"><c r="A8"><f>1+1</f></c></row><row r="9"><c r="H9"><v>1</v></c></row>'
    sheet = f"<x:worksheet xmlns:x='m'><x:sheetData><row>{header}</row>{kinds}{bad}</x:sheetData></x:worksheet>"
    _, rows, rejects = read(tmp_path / "f", hostile_files.workbook(sheet=sheet))
    assert rows == [[2, "true", "0.1", "100", "made", "rich text\r", None, "30.3"]]
    assert [(row["line"], row["column"], row["code"], row["value"]) for row in rejects] == [
        (7, "b", "formula-error", "#REF!"),
        (8, "a", "formula-error", "formula without a value"),
        (9, None, "wrong-column-count", "8 instead of 7"),
    ]
    assert rejects[0]["row"] == "1,#REF!,,,,,"


def test_the_sheet_is_the_first_visible_one_with_a_table_or_the_one_asked_for(tmp_path: Path) -> None:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        book.add_worksheet("Read me").write_column(0, 0, ["This is", "an export"])
        hidden = book.add_worksheet("Old")
        hidden.hide()
        for name, sheet in (("Old", hidden), ("Deals", book.add_worksheet("Deals"))):
            sheet.write_row(0, 0, ["id", "name"])
            sheet.write_row(1, 0, ["1", name])
    assert read(tmp_path / "f", out.getvalue())[1] == [[2, "1", "Deals"]]
    assert read(tmp_path / "f", out.getvalue(), sheet="old")[1] == [[2, "1", "Old"]]
    with pytest.raises(errors.Refusal) as refused:
        read(tmp_path / "f", out.getvalue(), sheet="Leads")
    assert (refused.value.code, refused.value.data["sheets"]) == ("unknown-sheet", ["Read me", "Old", "Deals"])


def test_a_number_is_not_read_with_the_comma_of_the_texts_beside_it(importer: Importer) -> None:
    rows = [
        {"order_id": str(n), "ordered_at": "2024-01-01", "customer_id": "7", "amount": 1.234, "net": f"{n},5"}
        for n in range(30)
    ]
    found = importer(json.dumps(rows), dataset="orders", decimal=",")
    assert {str(row["amount"]) for row in found.rows} == {"1.2340"}
    mixed = [*rows, rows[0] | {"order_id": "x", "amount": "1,5"}]
    with pytest.raises(errors.Refusal) as refused:
        importer(json.dumps(mixed), dataset="orders", decimal=",")
    assert refused.value.code == "ambiguous-decimal-sign"


# Text that survives every format: XML has no control characters, CSV no lone carriage return at the end of a line.
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff\ufeff"), max_size=12
)
CELL = st.one_of(st.none(), TEXT.filter(lambda text: text not in reading.NULL_WORDS))


def as_csv(rows: list[list[str | None]]) -> bytes:
    quoted = (",".join("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)
    return ("a,b,c\n" + "".join(line + "\n" for line in quoted)).encode()


def as_objects(rows: list[list[str | None]]) -> list[dict[str, str | None]]:
    return [dict(zip("abc", row, strict=True)) for row in rows]


def as_parquet(rows: list[list[str | None]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(as_objects(rows), pa.schema([(name, pa.string()) for name in "abc"])), out)
    return out.getvalue()


def as_xlsx(rows: list[list[str | None]]) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, list("abc"))
        for number, row in enumerate(rows, start=1):
            for column, cell in enumerate(row):
                if cell:
                    sheet.write_string(number, column, cell)
    return out.getvalue()


@hypothesis.settings(
    max_examples=40, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@hypothesis.given(st.lists(st.tuples(TEXT.map(lambda text: "k" + text), CELL, CELL), min_size=1, max_size=8))
def test_random_tables_are_read_back_as_they_were_written(
    tmp_path: Path, table: list[tuple[str, str | None, str | None]]
) -> None:
    rows: list[list[str | None]] = [list(row) for row in table]
    written = {
        "csv": as_csv(rows),
        "ndjson": "".join(json.dumps(each) + "\n" for each in as_objects(rows)).encode(),
        "json": json.dumps(as_objects(rows), ensure_ascii=False, indent=2).encode(),
        "parquet": as_parquet(rows),
        "xlsx": as_xlsx(rows),
    }
    for name, content in written.items():
        headers, found, rejects = read(tmp_path / name, content, format=options.FileFormat(name))
        assert rejects == []
        assert [row[1:] for row in found] == [row[: len(headers)] for row in rows], name
        assert batches.LINE not in headers
