"""A result's rows as a sequence of Parquet pieces, each readable by itself, so that no reader needs them all."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_PER_CHUNK = 50_000


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """One piece: its rows are `row_start` up to `row_start + row_count`."""

    row_start: int
    row_count: int
    data: bytes


def encode(rows: pa.Table, rows_per_chunk: int = ROWS_PER_CHUNK) -> Iterator[EncodedChunk]:
    """Yield the rows in order; equal rows give equal bytes. No rows give no chunk."""
    if rows_per_chunk < 1:
        raise ValueError("rows_per_chunk must be positive")
    # Dictionaries help the few texts that repeat; on numbers and ids they only cost time.
    repeating = [field.name for field in rows.schema if _repeats(rows, field)]
    for start in range(0, rows.num_rows, rows_per_chunk):
        piece = rows.slice(start, rows_per_chunk)
        yield EncodedChunk(start, piece.num_rows, _to_parquet(piece, repeating))


def decode(data: bytes) -> pa.Table:
    """Return the rows of one piece."""
    return pq.read_table(pa.BufferReader(data), use_threads=False)


def _repeats(rows: pa.Table, field: pa.Field) -> bool:
    sample = rows[field.name].slice(0, 1_000)
    return len(sample) > 0 and len(sample.unique()) * 4 <= len(sample)


def _to_parquet(piece: pa.Table, repeating: list[str]) -> bytes:
    target = io.BytesIO()
    pq.write_table(
        piece,
        target,
        compression="zstd",
        compression_level=1,
        use_dictionary=repeating,
        write_statistics=False,
        row_group_size=piece.num_rows,
        store_schema=True,
    )
    return target.getvalue()
