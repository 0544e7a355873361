"""Rejected rows alone, under the headers of their file: CSV to be mended and imported again.

Unlike `as_csv` nothing is disarmed, or a value that begins with a sign would come back as another. It is the sender's own.
"""

import csv
import io
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

LINE_END = "\r\n"


def start(header: Mapping[str, Any]) -> bytes:
    """Return the file's header line."""
    line = io.StringIO()
    csv.writer(line, lineterminator=LINE_END).writerow(header.get("headers", ()))
    return line.getvalue().encode()


def chunk(rows: pa.Table) -> bytes:
    """Return the rows as their records are kept, each of which may have several lines."""
    return "".join(f"{row}{LINE_END}" for row in rows["row"].to_pylist() if row is not None).encode()
