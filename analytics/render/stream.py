"""One way to print a result in any format, piece by piece and without state: bytes in, bytes out.

The functions are at top level and take plain values, so a pool of processes can run them.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from analytics.render import as_csv, as_json, as_rows, chunks, page


class Format(StrEnum):
    """The formats a result is printed in by this module."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    HTML = "html"
    # Of the rows that an import has rejected.
    ROWS = "rows.csv"


MEDIA_TYPES: Mapping[Format, str] = {
    Format.JSON: "application/json",
    Format.NDJSON: "application/x-ndjson",
    Format.CSV: "text/csv; charset=utf-8; header=present",
    Format.HTML: "text/html; charset=utf-8",
    Format.ROWS: "text/comma-separated-values; charset=utf-8",
}


def render_start(fmt: str, header: Mapping[str, Any]) -> bytes:
    """Return what comes before the rows."""
    match Format(fmt):
        case Format.JSON:
            return as_json.start(header)
        case Format.CSV:
            return as_csv.start(header)
        case Format.HTML:
            return page.start(header)
        case Format.ROWS:
            return as_rows.start(header)
        case Format.NDJSON:
            return b""


def render_chunk(fmt: str, header: Mapping[str, Any], chunk_bytes: bytes, is_first: bool) -> bytes:  # noqa: FBT001 - called by position through a process pool
    """Return the rows of one stored chunk. A page shows the first rows only, so nothing for later chunks."""
    kind = Format(fmt)
    if kind is Format.HTML and not is_first:
        return b""
    rows = chunks.decode(chunk_bytes)
    match kind:
        case Format.JSON:
            return as_json.chunk(rows, is_first=is_first)
        case Format.CSV:
            return as_csv.chunk(rows)
        case Format.HTML:
            return page.chunk(header, rows)
        case Format.ROWS:
            return as_rows.chunk(rows)
        case Format.NDJSON:
            return as_json.lines(rows)


def render_end(fmt: str, header: Mapping[str, Any]) -> bytes:
    """Return what comes after the rows."""
    match Format(fmt):
        case Format.JSON:
            return as_json.end(header)
        case Format.HTML:
            return page.end(header)
        case Format.CSV | Format.NDJSON | Format.ROWS:
            return b""
