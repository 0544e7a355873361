"""A result as an XLSX workbook: a sheet to read first, the rows with typed cells, and one that says what it all means."""

import datetime as dt
import io
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from analytics.render import outline, pictures

# A sheet has 1,048,576 rows, the first of which are the headings.
ROWS_PER_SHEET = 1_048_575
LONGEST_CELL = 32_767
# A double keeps so many digits; a longer number becomes text rather than another number.
_EXACT_DIGITS = 15
_WIDEST = 60
_WIDTHS_FROM = 200
_FIRST_DAY = dt.datetime(1900, 3, 1)  # noqa: DTZ001 - a workbook's times have no zone
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "nan_inf_to_errors": False,
    "default_date_format": "yyyy-mm-dd",
}
_FORMATS = {
    "date": "yyyy-mm-dd",
    "timestamp": "yyyy-mm-dd hh:mm:ss",
    "decimal": "#,##0.00######",
    "integer": "#,##0",
    "share": "0.0%",
}


def write(header: Mapping[str, Any], chunks: Iterable[pa.Table], target: Path) -> None:
    """Write the workbook, a row in memory at a time. Times are UTC, as the headings say; no cell is a formula."""
    with xlsxwriter.Workbook(str(target), _OPTIONS) as book:
        # The same result gives the same bytes.
        book.set_properties({"title": outline.title(header), "created": dt.datetime(2000, 1, 1, tzinfo=dt.UTC)})
        styles = _Styles.of(book)
        _write_summary(book, styles, header)
        _write_rows(book, styles, header, chunks)
        _write_definition(book, styles, header)


@dataclass(frozen=True, slots=True)
class _Styles:
    heading: Format
    title: Format
    quiet: Format
    wrapped: Format
    section: Format
    of_type: Mapping[str, Format]

    @classmethod
    def of(cls, book: xlsxwriter.Workbook) -> "_Styles":
        return cls(
            heading=book.add_format({"bold": True, "bg_color": "#E8EEF4", "bottom": 1, "text_wrap": True}),
            title=book.add_format({"bold": True, "font_size": 16}),
            quiet=book.add_format({"font_color": "#636A73"}),
            wrapped=book.add_format({"text_wrap": True, "valign": "top"}),
            section=book.add_format({"bold": True, "font_color": "#1F5F8B", "font_size": 12}),
            of_type={name: book.add_format({"num_format": pattern}) for name, pattern in _FORMATS.items()},
        )


def _write_summary(book: xlsxwriter.Workbook, styles: _Styles, header: Mapping[str, Any]) -> None:
    sheet = book.add_worksheet("Summary")
    _print_on_pages(sheet)
    sheet.hide_gridlines(2)
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, 12, 18)
    sheet.write_string(0, 0, outline.title(header), styles.title)
    sheet.write_string(1, 0, outline.subtitle(header), styles.quiet)
    at = 3
    for notice in outline.notices(header):
        sheet.write_string(at, 0, notice.name)
        sheet.write_string(at, 1, _cut(notice.detail))
        at += 1
    at += 1
    for label, value in outline.tiles(header["summary"]):
        sheet.write_string(at, 0, label, styles.quiet)
        _write_value(sheet, at, 1, value, styles)
        at += 1
    for label, text in outline.sentences(header["summary"]):
        sheet.write_string(at, 0, label, styles.quiet)
        sheet.write_string(at, 1, _cut(text))
        at += 1
    for table in outline.lists(header["summary"]):
        at = _write_list(sheet, at + 1, table, styles)
    _insert_charts(sheet, at + 2, header["charts"])


def _write_list(sheet: Worksheet, at: int, table: outline.SmallTable, styles: _Styles) -> int:
    """Write a list of the summary; return the row after it."""
    sheet.write_string(at, 0, table.title, styles.section)
    for position, name in enumerate(table.names):
        sheet.write_string(at + 1, position, outline.words(name), styles.heading)
    for offset, row in enumerate(table.rows):
        for position, cell in enumerate(row):
            _write_value(sheet, at + 2 + offset, position, cell, styles)
    end = at + 2 + len(table.rows)
    if table.more:
        sheet.write_string(end, 0, f"{table.more:,} more in the data.", styles.quiet)
        end += 1
    return end


def _write_value(sheet: Worksheet, row: int, column: int, value: outline.Value, styles: _Styles) -> None:
    if value.number is not None:
        style = styles.of_type["share" if value.share else "integer"] if _styled(value) else None
        sheet.write_number(row, column, value.number, style)
    elif value.exact is not None and _fits(value.exact):
        sheet.write_number(row, column, float(value.exact), styles.of_type["decimal"])
    else:
        sheet.write_string(row, column, _cut(value.exact or value.text))


def _styled(value: outline.Value) -> bool:
    return value.share or isinstance(value.number, int)


def _insert_charts(sheet: Worksheet, at: int, charts: Sequence[Mapping[str, Any]]) -> None:
    for chart in charts:
        picture = pictures.alone_png(chart)
        options = {"image_data": io.BytesIO(picture), "x_scale": 0.5, "y_scale": 0.5, "description": chart["title"]}
        sheet.insert_image(at, 0, "chart.png", options)
        at += 22


def _write_rows(
    book: xlsxwriter.Workbook, styles: _Styles, header: Mapping[str, Any], chunks: Iterable[pa.Table]
) -> None:
    rows = iter(chunks)
    first = next(rows, None)
    widths = _widths(header, first)
    written = _typed_rows(itertools.chain([first] if first is not None else [], rows))
    for number in itertools.count(1):
        sheet = book.add_worksheet("Rows" if header["row_count"] <= ROWS_PER_SHEET else f"Rows {number}")
        _write_headings(sheet, header, styles, widths)
        count = 0
        for count, row in enumerate(itertools.islice(written, ROWS_PER_SHEET), start=1):
            _write_row(sheet, count, row, header["columns"], styles)
        sheet.autofilter(0, 0, max(count, 1), len(header["columns"]) - 1)
        if number * ROWS_PER_SHEET >= header["row_count"]:
            return


def _write_headings(sheet: Worksheet, header: Mapping[str, Any], styles: _Styles, widths: Sequence[int]) -> None:
    _print_on_pages(sheet)
    sheet.repeat_rows(0)
    sheet.freeze_panes(1, 0)
    for position, (column, width) in enumerate(zip(header["columns"], widths, strict=True)):
        sheet.set_column(position, position, width)
        unit = "UTC" if column["type"] == "timestamp" else column.get("unit")
        sheet.write_string(0, position, f"{column['name']} ({unit})" if unit else column["name"], styles.heading)


def _widths(header: Mapping[str, Any], first: pa.Table | None) -> list[int]:
    """How wide each column has to be for what its first rows show."""
    shown = list(outline.rows(header, first.slice(0, _WIDTHS_FROM))) if first is not None else []
    names = [len(column["name"]) + len(column.get("unit") or "") + 4 for column in header["columns"]]
    longest = [max((len(row[at] or "") for row in shown), default=0) + 2 for at in range(len(names))]
    return [min(_WIDEST, max(pair)) for pair in zip(names, longest, strict=True)]


def _typed_rows(chunks: Iterable[pa.Table]) -> Iterator[tuple[Any, ...]]:
    for table in chunks:
        for batch in table.to_batches(max_chunksize=5_000):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _write_row(
    sheet: Worksheet, at: int, row: Sequence[Any], columns: Sequence[Mapping[str, Any]], styles: _Styles
) -> None:
    for position, (value, column) in enumerate(zip(row, columns, strict=True)):
        if value is None:
            continue
        style = styles.of_type.get(column["type"])
        if isinstance(value, bool):
            sheet.write_boolean(at, position, value)
        elif isinstance(value, int | float | Decimal):
            _write_number(sheet, at, position, value, style)
        elif isinstance(value, dt.date):
            _write_moment(sheet, at, position, value, style)
        else:
            sheet.write_string(at, position, _cut(str(value)))


def _write_number(sheet: Worksheet, at: int, position: int, value: float | Decimal, style: Format | None) -> None:
    if isinstance(value, float):
        # What is not finite has no cell in a workbook.
        if value - value == 0:
            sheet.write_number(at, position, value)
    elif _fits(exact := f"{value:f}" if isinstance(value, Decimal) else str(value)):
        sheet.write_number(at, position, float(value), style)
    else:
        sheet.write_string(at, position, exact)


def _write_moment(sheet: Worksheet, at: int, position: int, value: dt.date, style: Format | None) -> None:
    if isinstance(value, dt.datetime):
        moment = value.astimezone(dt.UTC).replace(tzinfo=None)
    else:
        moment = dt.datetime.combine(value, dt.time())
    # Workbooks believe in a 29 February 1900 and know nothing before that year.
    if moment >= _FIRST_DAY:
        sheet.write_datetime(at, position, moment, style)
    else:
        sheet.write_string(at, position, value.isoformat())


def _fits(number: str) -> bool:
    digits = number.lstrip("-").replace(".", "").strip("0")
    return len(digits) <= _EXACT_DIGITS


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


def _write_definition(book: xlsxwriter.Workbook, styles: _Styles, header: Mapping[str, Any]) -> None:
    sheet = book.add_worksheet("Definition")
    _print_on_pages(sheet)
    sheet.hide_gridlines(2)
    sheet.set_column(0, 0, 30)
    sheet.set_column(1, 1, 110)
    sections: list[tuple[str, Iterable[tuple[str, str]]]] = [
        (
            "What the numbers mean",
            [("Definition", header.get("definition") or ""), ("Source", header.get("source") or "")],
        ),
        ("Columns", outline.columns(header)),
        ("Parameters", _named(header.get("params") or {})),
        ("Rows left out", _named(header["dropped"])),
        ("Checks", [(name, found) for name, found, _ in outline.checks(header["invariants"])]),
        ("How this was made", ((name, text) for name, text, _ in outline.made(header))),
    ]
    at = 0
    for title, items in sections:
        sheet.write_string(at, 0, title, styles.section)
        at += 1
        for name, text in items:
            sheet.write_string(at, 0, name, styles.wrapped)
            sheet.write_string(at, 1, _cut(text), styles.wrapped)
            at += 1
        at += 1


def _print_on_pages(sheet: Worksheet) -> None:
    """All columns side by side on sideways A4, however many rows follow."""
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)


def _named(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    return ((name, text) for name, text, _ in outline.pairs(values))
