"""A file's rows as they were written, kept in Parquet: several threads parse and write, and memory stays bounded."""

import threading
from collections.abc import Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analytics.datasets import batches, wording

ROW_GROUP_ROWS = 128 * 1024
SPACE = 0x20
LAST_OF_ASCII = 0x7F


@dataclass(frozen=True, slots=True)
class StagedText:
    """What a file was made of.

    Attributes:
        relation: SQL for the rows: `_line` and the text columns, in no order.
        misshapen: SQL for the rows that have no shape, as rejects.
        count: rows of either kind.
        blank: lines without any value, which are no rows.
        padded: columns with values that begin or end with white space of ASCII, perhaps more than have.
        wide: columns with characters outside ASCII, perhaps more than have.
    """

    relation: str
    misshapen: str
    count: int
    blank: int
    padded: frozenset[str]
    wide: frozenset[str]


@dataclass(slots=True)
class _Seen:
    """What one thread has seen."""

    blank: int = 0
    padded: set[str] = field(default_factory=set)
    wide: set[str] = field(default_factory=set)

    def look(self, batch: batches.TextBatch) -> None:
        self.blank += batch.blank
        for name in batch.rows.column_names[1:]:
            for chunk in batch.rows[name].chunks:
                # Of values that repeat it is enough to look at one.
                text = chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk
                padded, wide = _edges(text)
                self.padded |= {name} if padded else set()
                self.wide |= {name} if wide else set()


class _Pieces:
    """The parts of a file, given out to whichever thread asks next."""

    def __init__(self, parts: Iterator[batches.Parse]) -> None:
        self._parts = parts
        self._lock = threading.Lock()

    def take(self) -> batches.Parse | None:
        with self._lock:
            return next(self._parts, None)


def write(reader: batches.TextReader, folder: Path, *, threads: int) -> StagedText:
    """Read a file whole; each thread has files of its own, because a line says where a row stood."""
    pieces = _Pieces(reader.read())
    rows = [folder / f"text-{number}.parquet" for number in range(threads)]
    misshapen = [folder / f"misshapen-{number}.parquet" for number in range(threads)]
    with futures.ThreadPoolExecutor(threads, thread_name_prefix="stage") as pool:
        running = [
            pool.submit(_write_pieces, pieces, reader.schema, *files) for files in zip(rows, misshapen, strict=True)
        ]
        seen = [future.result() for future in running]
    # What the blocks took is better used by those who look at the rows next.
    pa.default_memory_pool().release_unused()
    count = sum(pq.read_metadata(file).num_rows for file in (*rows, *misshapen))
    return StagedText(
        relation=_relation(rows),
        misshapen=_relation(misshapen),
        count=count,
        blank=sum(each.blank for each in seen),
        padded=frozenset().union(*(each.padded for each in seen)),
        wide=frozenset().union(*(each.wide for each in seen)),
    )


def _write_pieces(pieces: _Pieces, schema: pa.Schema, rows: Path, misshapen: Path) -> _Seen:
    """Parse and write until no part is left."""
    seen = _Seen()
    repeating = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    with (
        pq.ParquetWriter(rows, schema, compression="lz4", write_statistics=False, use_dictionary=repeating) as good,
        pq.ParquetWriter(misshapen, batches.REJECTS) as bad,
    ):
        while (parse := pieces.take()) is not None:
            batch = parse()
            good.write_table(batch.rows, row_group_size=ROW_GROUP_ROWS)
            if batch.rejects.num_rows:
                bad.write_table(batch.rejects)
            seen.look(batch)
    return seen


def _edges(text: pa.StringArray) -> tuple[bool, bool]:
    """Whether a value begins or ends with white space of ASCII, and whether one has other characters than ASCII's."""
    _, offsets, data = text.buffers()
    if data is None or not data.size:
        return False, False
    ends = np.frombuffer(offsets, np.int32)[text.offset : text.offset + len(text) + 1]
    characters = np.frombuffer(data, np.uint8)[: ends[-1]]
    written = characters[ends[0] :]
    if not written.size:
        return False, False
    wide = bool(written.max() > LAST_OF_ASCII)
    # Most columns have no white space anywhere, which is found out faster than what their values begin and end with.
    if written.min() > SPACE:
        return False, wide
    starts, stops = ends[:-1], ends[1:]
    filled = starts < stops
    if not filled.all():
        starts, stops = starts[filled], stops[filled]
    padded = characters[starts].min() <= SPACE or characters[stops - 1].min() <= SPACE
    return bool(padded), wide


def _relation(files: Sequence[Path]) -> str:
    names = ", ".join(wording.quote_text(str(file)) for file in files)
    return f"read_parquet([{names}])"
