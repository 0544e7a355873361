"""A result shared out among many in one reading, through files: each share in chunks of its own, as if there were no other."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa

from analytics.catalogue.filters import Filter
from analytics.render import chunks, parts

_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")


class Spool:
    """Rows on disk, in the order in which they came."""

    def __init__(self, path: Path, closing: ExitStack) -> None:
        self._path = path
        self._closing = closing
        self._writer: pa.RecordBatchStreamWriter | None = None
        self._schema: pa.Schema | None = None
        self.row_count = 0

    def add(self, rows: pa.Table) -> None:
        if self._writer is None:
            self._schema = rows.schema
            sink = self._closing.enter_context(self._path.open("wb"))
            self._writer = self._closing.enter_context(pa.ipc.new_stream(sink, rows.schema, options=_OPTIONS))
        self._writer.write_table(rows.cast(self._schema))
        self.row_count += rows.num_rows

    def pieces(self) -> Iterator[bytes]:
        """Yield them as chunks of a stored result; only when all are in. Equal rows give equal bytes, whoever else has a share."""
        if self._schema is None:
            return
        with self._path.open("rb") as source, pa.ipc.open_stream(source) as batches:
            waiting = self._schema.empty_table()
            for batch in batches:
                waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
                while waiting.num_rows >= chunks.ROWS_PER_CHUNK:
                    yield _encoded(waiting.slice(0, chunks.ROWS_PER_CHUNK))
                    waiting = waiting.slice(chunks.ROWS_PER_CHUNK)
            if waiting.num_rows:
                yield _encoded(waiting)
        self._path.unlink()


def share_out(
    stored: Iterable[bytes], nodes: Sequence[Filter], whole: Mapping[str, Any], folder: Path
) -> Iterator[Spool]:
    """Yield the share of each filter, in their order, having read each chunk once.

    In memory is one chunk, and what one filter lets through of it; all else is in the folder.
    """
    with ExitStack() as closing:
        spools = [Spool(folder / f"{number}.share", closing) for number in range(len(nodes))]
        for number, rows in parts.divided(stored, list(nodes), whole):
            spools[number].add(rows)
    yield from spools


def _encoded(rows: pa.Table) -> bytes:
    [piece] = chunks.encode(rows.combine_chunks())
    return piece.data
