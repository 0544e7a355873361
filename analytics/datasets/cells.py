"""Columns of text made of what formats with types hold: exact digits, null words, and rows with values that cannot be kept."""

import csv
import decimal
import io
import re
import threading
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analytics.datasets import batches, numbers

# A number with more digits than this stays in scientific notation: no column takes it.
MOST_DIGITS = 60
# So many cells are made at once, whatever the number of columns.
CELLS_AT_ONCE = 1024**2
FEWEST_ROWS = 64
EXPONENT = "[eE]"
# Floating-point numbers of more characters have more than fifteen digits; a trace of arithmetic is so many of them.
LONGEST_CLEAN = 16
TRACE = 4


class NumberTally:
    """Which columns had numbers and which had other text; several threads add to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numeric: set[str] = set()
        self._other: set[str] = set()
        self._ambiguous: set[str] = set()

    def add(self, column: str, *, numeric: bool, other: bool, ambiguous: bool = False) -> None:
        with self._lock:
            self._numeric |= {column} if numeric else set()
            self._other |= {column} if other else set()
            self._ambiguous |= {column} if ambiguous else set()

    def found(self) -> Mapping[str, batches.NumberCells]:
        return {
            name: batches.NumberCells(only=name not in self._other, ambiguous=name in self._ambiguous)
            for name in self._numeric
        }


def rows_at_once(columns: int) -> int:
    return max(FEWEST_ROWS, CELLS_AT_ONCE // max(columns, 1))


def without_exponents(text: pa.Array) -> pa.Array:
    """The same numbers written out: `1.5E3` becomes `1500`; what would be too long stays as it is."""
    scientific = pc.match_substring_regex(text, EXPONENT)
    if not pc.any(scientific).as_py():
        return text
    return pa.array([written_out(value) for value in text.to_pylist()], pa.string())


def written_out(value: str | None) -> str | None:
    if value is None or not re.search(EXPONENT, value):
        return value
    try:
        number = decimal.Decimal(value)
    except decimal.InvalidOperation:
        return value
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) + len(number.as_tuple().digits) > MOST_DIGITS:
        return value
    return f"{number:f}"


def shortest(number: float) -> str:
    """The shortest decimal that gives the same number in floating point, written out.

    Arithmetic leaves its trace after the fifteenth digit, where 0.1 + 0.2 is 0.30000000000000004. Spreadsheets show fifteen;
    where these are a far shorter number, that is the one that was meant.
    """
    text = repr(number)
    if len(text) > LONGEST_CLEAN:
        shown = f"{number:.15g}"
        text = shown if len(shown) + TRACE <= len(text) else text
    text = text.removesuffix(".0")
    return written_out(text) or text


def without_traces(text: pa.Array) -> pa.Array:
    """Text of floating-point numbers as `shortest` writes them; most are so already."""
    long = pc.fill_null(pc.greater(pc.utf8_length(text), LONGEST_CLEAN), fill_value=False)
    if not pc.any(long).as_py():
        return text
    return pc.replace_with_mask(
        text, long, pa.array([shortest(float(value)) for value in text.filter(long).to_pylist()])
    )


def has_ambiguous(text: pa.Array) -> bool:
    return bool(pc.any(pc.match_substring_regex(text, f"^(?:{numbers.AMBIGUOUS})$")).as_py())


def without_null_words(text: pa.Array, words: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_in(text, value_set=words), pa.scalar(None, pa.string()), text)


def take_out(
    rows: pa.Table, substring: str, *, code: str, headers: Sequence[str]
) -> tuple[pa.Table, list[dict[str, object]]]:
    """Rows without a value that contains the text, and rejects for those with one."""
    hit = pa.array(np.zeros(rows.num_rows, dtype=bool))
    rejects: list[dict[str, object]] = []
    for name, header in zip(rows.column_names[1:], headers, strict=True):
        found = pc.fill_null(pc.match_substring(rows[name], substring), fill_value=False)
        if not pc.any(found).as_py():
            continue
        for row in rows.filter(pc.and_not(found, hit)).to_pylist():
            line = row.pop(batches.LINE)
            rejects.append(reject(line, code, row[name], row=record(row.values()), column=header))
        hit = pc.or_(hit, found)
    return rows.filter(pc.invert(hit)), rejects


def without_blank(rows: pa.Table) -> tuple[pa.Table, int]:
    """Rows that have any value, and the number of those that have none."""
    blank: pa.ChunkedArray | None = None
    for column in rows.columns[1:]:
        if column.null_count == 0:
            return rows, 0
        is_null = pc.is_null(column)
        blank = is_null if blank is None else pc.and_(blank, is_null)
    kept = rows.filter(pc.invert(blank))
    return kept, rows.num_rows - kept.num_rows


def reject(line: int, code: str, value: str | None, *, row: str, column: str | None = None) -> dict[str, object]:
    # U+0000 is no text for those who keep and show rejects.
    return {
        "line": line,
        "column": column,
        "code": code,
        "value": value.replace("\0", "\N{REPLACEMENT CHARACTER}") if value else value,
        "row": row.replace("\0", "\N{REPLACEMENT CHARACTER}"),
    }


def rejects_table(rejects: Sequence[Mapping[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(list(rejects), schema=batches.REJECTS)


def record(values: Iterable[object], delimiter: str = ",") -> str:
    """The values as one record of CSV."""
    out = io.StringIO()
    # With no line end of its own the writer would take one within a value for nothing that needs quotes.
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerow(values)
    return out.getvalue().removesuffix("\r\n")
