"""A result as one Parquet file: a row group per stored chunk, and in the file's metadata what the numbers mean."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analytics.catalogue import columns

# The name of the entry with the result's header and manifest, as JSON.
METADATA = b"reckoner"
_ARROW_TYPES = {
    columns.ColumnType.TEXT: pa.string(),
    columns.ColumnType.INTEGER: pa.int64(),
    columns.ColumnType.DECIMAL: pa.decimal128(38, 8),
    columns.ColumnType.NUMBER: pa.float64(),
    columns.ColumnType.BOOLEAN: pa.bool_(),
    columns.ColumnType.DATE: pa.date32(),
    columns.ColumnType.TIMESTAMP: pa.timestamp("us", "UTC"),
}


def write(header: Mapping[str, Any], chunks: Iterable[pa.Table], target: Path) -> None:
    """Write the rows, one chunk in memory at a time."""
    rows = iter(chunks)
    first = next(rows, None)
    schema = first.schema if first is not None else _schema(header)
    about = json.dumps(header, ensure_ascii=False).encode()
    with pq.ParquetWriter(
        target, schema.with_metadata({**(schema.metadata or {}), METADATA: about}), compression="zstd"
    ) as writer:
        while first is not None:
            writer.write_table(first.cast(schema))
            first = next(rows, None)


def _schema(header: Mapping[str, Any]) -> pa.Schema:
    """The columns of a result without rows, of which no chunk tells the types."""
    return pa.schema(
        [(column["name"], _ARROW_TYPES[columns.ColumnType(column["type"])]) for column in header["columns"]]
    )
