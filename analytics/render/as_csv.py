"""A result as CSV (RFC 4180, UTF-8, header line), in pieces; text that a spreadsheet would run is disarmed."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from analytics.render import cells

# A cell that starts with one of these is a formula to a spreadsheet; an apostrophe makes it text.
_FORMULA = r"^[=+\-@\t\r\n]"
_NEEDS_QUOTES = r'[",\r\n]'


def start(header: Mapping[str, Any]) -> bytes:
    """Return the header line."""
    names = pa.array([column["name"] for column in header["columns"]], pa.string())
    return (",".join(_quote(_disarm(names)).to_pylist()) + "\r\n").encode()


def chunk(rows: pa.Table) -> bytes:
    """Return rows, one per line; an empty cell is null, two quotes are empty text."""
    if not rows.num_rows:
        return b""
    columns = [_csv_cells(column) for column in rows.columns]
    lines = pc.binary_join_element_wise(*columns, ",").to_pylist()
    return ("\r\n".join(lines) + "\r\n").encode()


def _csv_cells(column: pa.ChunkedArray) -> pa.Array:
    text = cells.plain(column)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        text = _quote(_disarm(text))
    return pc.fill_null(text, "")


def _disarm(text: pa.Array) -> pa.Array:
    risky = pc.fill_null(pc.match_substring_regex(text, _FORMULA), False)
    return pc.if_else(risky, pc.binary_join_element_wise("'", text, ""), text)


def _quote(text: pa.Array) -> pa.Array:
    needed = pc.fill_null(pc.or_(pc.match_substring_regex(text, _NEEDS_QUOTES), pc.equal(text, "")), False)
    doubled = pc.replace_substring(text, '"', '""')
    return pc.if_else(needed, pc.binary_join_element_wise('"', doubled, '"', ""), text)
