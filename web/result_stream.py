"""A result as pieces of bytes, rendered beside the web process chunk by chunk while they go out."""

import itertools
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from models import rendering_scratch, result, session
from models.result import Chunk, StoredResult
from web import formats, render_child, render_pool

PIECE_BYTES = 64 * 1024
# So many rows are rendered in one go and in memory, because each call of the pool costs milliseconds.
FEW_ROWS = 2_000


class ResultVanishedError(RuntimeError):
    """A result was removed while it was being sent; the connection is cut, so that nobody takes a part for the whole."""


def read_chunk(job_id: uuid.UUID, position: int) -> Chunk:
    """Read one chunk in a transaction of its own: a slow reader must not hold one open for as long as it likes."""
    with session.transaction() as db:
        chunk = result.read_chunk(db, job_id, position)
    if chunk is None:
        raise ResultVanishedError(f"result {job_id} has no chunk {position}")
    return chunk


def is_short(stored: StoredResult, fmt: formats.Format) -> bool:
    """Tell whether a result fits into memory as a whole."""
    return stored.row_count <= FEW_ROWS or fmt.first_chunk_only


def whole(stored: StoredResult, fmt: formats.Format, header: dict[str, Any]) -> bytes:
    """Render a short result."""
    first = read_chunk(stored.job_id, 0) if stored.row_count else None
    if first is not None and first.row_count < stored.row_count and not fmt.first_chunk_only:
        # It was stored in smaller chunks than usual.
        return b"".join(pieces(stored, fmt, header))
    return render_pool.pool().run(
        render_child.render_whole, fmt.name, header, first.data if first is not None else None
    )


def pieces(stored: StoredResult, fmt: formats.Format, header: dict[str, Any]) -> Iterator[bytes]:
    """Render chunk by chunk, through files: what fifty thousand rows become may be larger than this process should be.

    No piece is larger than what even a slow client takes within the patience of `web.gunicorn`, which is reckoned per write.
    """
    pool = render_pool.pool()
    yield from _cut(pool.run(render_child.render_start, fmt.name, header))
    rows = 0
    for position in itertools.count():
        if rows >= stored.row_count:
            break
        file, count = _rendered(stored, fmt, header, position)
        with file:
            while piece := os.read(file.fileno(), PIECE_BYTES):
                yield piece
        rows += count
    yield from _cut(pool.run(render_child.render_end, fmt.name, header))


def _rendered(stored: StoredResult, fmt: formats.Format, header: dict[str, Any], position: int) -> tuple[BinaryIO, int]:
    """Render a chunk into a file without a name; returns it, and how many rows it has. The chunk itself is held by nobody."""
    with rendering_scratch.folder() as folder:
        source, target = folder / "chunk", folder / "rows"
        count = _write_chunk(stored.job_id, position, source)
        render_pool.pool().run(render_child.render_chunk, fmt.name, header, str(source), position == 0, str(target))
        return target.open("rb", buffering=0), count


def _write_chunk(job_id: uuid.UUID, position: int, target: Path) -> int:
    chunk = read_chunk(job_id, position)
    target.write_bytes(chunk.data)
    return chunk.row_count


def _cut(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), PIECE_BYTES):
        yield data[start : start + PIECE_BYTES]
