"""A file's rows as they were written, kept in Parquet: several threads parse and write, and memory stays bounded."""

import threading
from collections.abc import Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from analytics.datasets import batches, wording

ROW_GROUP_ROWS = 128 * 1024


@dataclass(frozen=True, slots=True)
class StagedText:
    """What a file was made of.

    Attributes:
        relation: SQL for the rows: `_line` and the text columns, in no order.
        misshapen: SQL for the rows that have no shape, as rejects.
        count: rows of either kind.
        blank: lines without any value, which are no rows.
        is_ascii: whether all of it is, which spares all questions about other characters.
    """

    relation: str
    misshapen: str
    count: int
    blank: int
    is_ascii: bool


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
        blank = sum(future.result() for future in running)
    count = sum(pq.read_metadata(file).num_rows for file in (*rows, *misshapen))
    # The encoding is final now that all was read.
    is_ascii = reader.facts["encoding"] == "ascii"
    return StagedText(_relation(rows), _relation(misshapen), count, blank, is_ascii)


def _write_pieces(pieces: _Pieces, schema: pa.Schema, rows: Path, misshapen: Path) -> int:
    """Parse and write until no part is left. Returns the number of blank lines."""
    blank = 0
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
            blank += batch.blank
    return blank


def _relation(files: Sequence[Path]) -> str:
    names = ", ".join(wording.quote_text(str(file)) for file in files)
    return f"read_parquet([{names}])"
