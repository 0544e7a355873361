"""Results as JSON, NDJSON, CSV and HTML: every cell as the contract says, piece by piece, nothing that could run."""

import csv
import datetime as dt
import io
import json
import math
import re
import subprocess
import sys
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pytest

from analytics import result
from analytics.catalogue import registry
from analytics.render import cells, chunks, manifest, pictures, stream
from analytics.reports import charts
from tests.unit.render.samples import COLUMNS, NOON

ROOT = Path(__file__).resolve().parents[3]
ROWS = pa.table(
    {
        "name": ['=cmd|"x"', "Zoë, <b>\n", None, "", "plain"],
        "n": pa.array([1, -2, None, 4, 5], pa.int64()),
        "amount": pa.array(
            [Decimal("10.5"), Decimal("-0.00000001"), None, Decimal(0), Decimal("8911407.904")], pa.decimal128(38, 8)
        ),
        "rate": [0.5, math.nan, None, math.inf, 1e-9],
        "ok": [True, False, None, True, True],
        "day": pa.array([dt.date(2024, 2, 29)] * 5, pa.date32()),
        "at": pa.array([NOON, NOON.replace(microsecond=5), None, NOON, NOON], pa.timestamp("us", "UTC")),
    }
)
ANSWER = result.Result(
    columns=COLUMNS,
    rows=ROWS,
    summary={"as_of": "2024-03-01T00:00:00Z", "currency": "GBP", "mean": math.nan, "list": [{"k": 1, "rate": 0.25}]},
    charts=(charts.bars("<Bars>", [{"a": "x", "b": 1}], label="a", value="b", order=["x"]),),
    warnings=(result.ResultWarning("careful", "a <script>alert(1)</script>"),),
    dropped={"filtered": 3},
    invariants=(result.Invariant("adds_up", holds=False, detail="1 = 2"),),
)
HEADER = manifest.header(ANSWER, registry.REPORT_TYPES["rfm"], params={"bins": 5, "note": "<i>"}, manifest="/v1/m")


def _render(fmt: str, rows_per_chunk: int = 2) -> str:
    pieces = [piece.data for piece in chunks.encode(ROWS, rows_per_chunk)]
    body = b"".join(stream.render_chunk(fmt, HEADER, data, i == 0) for i, data in enumerate(pieces))
    return (stream.render_start(fmt, HEADER) + body + stream.render_end(fmt, HEADER)).decode()


def test_json_is_the_contract() -> None:
    shown = json.loads(_render("json"), parse_constant=pytest.fail)
    assert list(shown) == [
        "type", "version", "columns", "rows", "row_count", "summary", "charts", "warnings", "dropped", "invariants", "manifest",
    ]  # fmt: skip
    assert shown["rows"] == [
        ['=cmd|"x"', 1, "10.50", 0.5, True, "2024-02-29", "2024-02-29T12:00:00Z"],
        ["Zoë, <b>\n", -2, "-0.00000001", None, False, "2024-02-29", "2024-02-29T12:00:00.000005Z"],
        [None, None, None, None, None, "2024-02-29", None],
        ["", 4, "0.00", None, True, "2024-02-29", "2024-02-29T12:00:00Z"],
        ["plain", 5, "8911407.904", 1e-9, True, "2024-02-29", "2024-02-29T12:00:00Z"],
    ]
    assert shown["columns"][2] == {"name": "amount", "type": "decimal", "unit": "GBP", "description": "the amount"}
    assert shown["summary"]["mean"] is None
    assert shown["row_count"] == 5


@pytest.mark.parametrize("fmt", ["json", "ndjson", "csv", "html"])
def test_pieces_do_not_show(fmt: str) -> None:
    """How rows were cut into chunks is not seen in what is printed; a page needs its rows in the first chunk only."""
    if fmt == "html":
        assert _render(fmt, 5) == _render(fmt, 50)
    else:
        assert _render(fmt, 1) == _render(fmt, 2) == _render(fmt, 50)


def test_ndjson_has_a_named_object_per_row() -> None:
    first = json.loads(_render("ndjson").splitlines()[0])
    assert first["name"] == '=cmd|"x"'
    assert list(first) == [column.name for column in COLUMNS]


def test_csv_reads_back_and_nothing_in_it_runs() -> None:
    text = _render("csv")
    assert text.count("\r\n") == 6
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[0] == [column.name for column in COLUMNS]
    assert rows[1][:4] == ['\'=cmd|"x"', "1", "10.50", "0.5"]
    assert rows[2][:5] == ["Zoë, <b>\n", "-2", "-0.00000001", "", "false"]
    assert rows[3] == ["", "", "", "", "", "2024-02-29", ""]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_disarms_every_start_of_a_formula(start: str) -> None:
    rows = pa.table({"name": [start + "1"], "n": pa.array([-1], pa.int64())})
    data = next(iter(chunks.encode(rows))).data
    read = next(csv.reader(io.StringIO(stream.render_chunk("csv", HEADER, data, True).decode(), newline="")))
    assert read == ["'" + start + "1", "-1"]


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links.extend(value for name, value in attrs if name in {"src", "href"} and value)


def test_html_stands_alone_and_escapes() -> None:
    text = _render("html", 50)
    page = _Page()
    page.feed(text)
    assert page.tags.count("svg") == 1
    assert {"script", "link", "iframe", "img"}.isdisjoint(page.tags)
    assert [link for link in page.links if not link.startswith("#")] == ["/v1/m"]
    assert page.tags.count("tr") == 1 + ROWS.num_rows + 2
    assert "&lt;script&gt;" in text
    assert "check failed" in text
    assert re.search(r"prefers-color-scheme:\s*dark", text)
    for needed in ("viewport", "@media print", "What the numbers mean", "Rows left out", "Parameters"):
        assert needed in text


def test_no_rows_print_in_every_format() -> None:
    empty = HEADER | {"row_count": 0}
    whole = stream.render_start("json", empty) + stream.render_end("json", empty)
    assert json.loads(whole)["rows"] == []
    assert list(chunks.encode(ROWS.slice(0, 0))) == []
    assert b"No rows" in stream.render_end("html", empty)


def test_chunks_are_deterministic_and_complete() -> None:
    pieces = list(chunks.encode(ROWS, 2))
    assert [(piece.row_start, piece.row_count) for piece in pieces] == [(0, 2), (2, 2), (4, 1)]
    assert [piece.data for piece in pieces] == [piece.data for piece in chunks.encode(ROWS, 2)]
    together = pa.concat_tables([chunks.decode(piece.data) for piece in pieces])
    # A number that is not one equals nothing, so that column is compared as text.
    assert together.drop_columns("rate").equals(ROWS.drop_columns("rate"))
    assert together["rate"].cast(pa.string()) == ROWS["rate"].cast(pa.string())


def test_digest_follows_the_numbers_and_not_the_words() -> None:
    pieces = [piece.data for piece in chunks.encode(ROWS, 2)]
    whole = manifest.digest(HEADER, pieces)
    assert whole == manifest.digest(HEADER | {"manifest": "/elsewhere", "definition": "better said"}, pieces)
    assert whole != manifest.digest(HEADER | {"summary": {"as_of": None}}, pieces)
    assert whole != manifest.digest(HEADER, pieces[::-1])
    assert whole != manifest.digest(HEADER, pieces[:2])


def test_manifest_tells_how_it_was_made() -> None:
    told = manifest.manifest(HEADER, ANSWER, datasets={"orders": {"version": 7, "rows": 9}}, sha256="ab")
    assert told["datasets"] == {"orders": {"version": 7, "rows": 9, "rows_read": None}}
    assert told["dropped"] == {"filtered": 3}
    assert told["engine"]["duckdb"]
    json.dumps(told, allow_nan=False)


def test_charts_draw() -> None:
    """What the reports emit is Vega-Lite that draws, in colours the page decides."""
    drawn = pictures.charts_svg(
        [
            {"title": made.title, "spec": made.spec}
            for made in (
                charts.bars("b", [{"a": "x", "b": 1}], label="a", value="b", order=["x"]),
                charts.lines("l", [{"t": "2024-01-01", "v": 1, "s": "q"}], x="t", y="v", color="s"),
                charts.heat("h", [{"c": "2024", "k": 0, "rate": 1.0}], x="k", y="c", value="rate"),
                charts.curve("c", [{"k": 0, "rate": 1.0}, {"k": 1, "rate": 0.5}], x="k", y="rate"),
            )
        ]
    )
    assert all(svg.startswith("<svg") and "currentColor" in svg for svg in drawn)
    assert ['aria-roledescription="bar"' in drawn[0], "q" in drawn[1], "100%" in drawn[2], "60%" in drawn[3]] == [
        True
    ] * 4


def test_decimals_of_any_scale() -> None:
    assert cells.plain(pa.array([Decimal("1.5")], pa.decimal128(18, 1))).to_pylist() == ["1.5"]
    assert cells.plain(pa.array([Decimal(7)], pa.decimal128(18, 0))).to_pylist() == ["7"]
    assert cells.plain(pa.array([Decimal("-1.2300")], pa.decimal128(18, 4))).to_pylist() == ["-1.23"]


def test_printing_is_light() -> None:
    """A small pool of processes of the web prints, so it must not load what computes."""
    heavy = ("pandas", "duckdb", "ibis", "scipy", "altair", "vl_convert", "pydantic")
    script = f"import sys, analytics.render.stream; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
