"""The rejected rows of an import as a result, so that they are stored, streamed and downloaded like any other."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analytics.catalogue import columns
from analytics.catalogue.columns import Column
from analytics.render import chunks, manifest

COLUMNS = (
    Column("line", columns.ColumnType.INTEGER, "Line of the file on which the row begins; the header is line 1"),
    Column("column", columns.ColumnType.TEXT, "Header of the column that is wrong; empty where the whole row is"),
    Column("code", columns.ColumnType.TEXT, "What is wrong with it"),
    Column("value", columns.ColumnType.TEXT, "The value as the file has it"),
    Column("row", columns.ColumnType.TEXT, "The whole row as a CSV record, to be mended and imported again"),
)


def header(
    *, count: int, by_code: Mapping[str, int], params: Mapping[str, Any], headers: Sequence[str]
) -> dict[str, Any]:
    """Return what goes with the rejected rows; `headers` are those of the file, which `as_rows` puts above them."""
    return {
        "type": "import_rejects",
        "version": 1,
        "title": "Rejected rows",
        "definition": "Every row of the file that was not written, with the first thing that is wrong with it.",
        "source": "The rules for reading a file.",
        "params": dict(params),
        "headers": list(headers),
        "columns": manifest.describe_columns(COLUMNS),
        "row_count": count,
        "summary": {"by_code": dict(by_code)},
        "charts": [],
        "warnings": [],
        "dropped": {},
        "invariants": [],
        "manifest": None,
    }


def encode(path: Path) -> Iterator[chunks.EncodedChunk]:
    """Yield a Parquet file of rejects as chunks, one at a time."""
    start = 0
    for batch in pq.ParquetFile(path).iter_batches(batch_size=chunks.ROWS_PER_CHUNK):
        piece = pa.Table.from_batches([batch]).select([column.name for column in COLUMNS])
        for encoded in chunks.encode(piece):
            yield chunks.EncodedChunk(start + encoded.row_start, encoded.row_count, encoded.data)
        start += piece.num_rows
