"""Results in formats that are files as a whole: rendered beside the web process, into files without a name."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from models import rendering_scratch, settings
from models.base import Json
from models.result import StoredResult
from web import formats, render_child, render_pool, result_stream

# What a process that was killed has left behind is older than anything that is being rendered.
ABANDONED_SECONDS = 3600.0


def render(stored: StoredResult, header: dict[str, Any], fmt: formats.Format, chart: int) -> BinaryIO:
    """Render and open; the file has no name any more when this returns, so it is gone when it is closed."""
    with rendering_scratch.folder() as folder:
        target = folder / f"result.{fmt.name}"
        pieces = _shown_chunks(stored, fmt, folder)
        render_pool.file_pool().run(
            render_child.render_file, fmt.name, header, [str(piece) for piece in pieces], str(target), chart
        )
        return target.open("rb")


def render_part(stored: StoredResult, header: dict[str, Any], fmt: formats.Format, filter_: Json) -> BinaryIO:
    """Render the rows that a filter lets through; the file has no name any more when this returns."""
    with rendering_scratch.folder() as folder:
        target = folder / f"result.{fmt.name}"
        pieces = [str(piece) for piece in write_chunks(stored, folder)]
        render_pool.file_pool().run(render_child.render_part, fmt.name, header, filter_, pieces, str(target))
        return target.open("rb")


def gather(pieces: Iterable[bytes]) -> BinaryIO:
    """Write pieces, as they would go out, into a file."""
    descriptor, name = tempfile.mkstemp(
        dir=rendering_scratch.parent(), prefix=rendering_scratch.prefix(), suffix=".result"
    )
    Path(name).unlink()
    file = os.fdopen(descriptor, "w+b")
    try:
        for piece in pieces:
            file.write(piece)
        file.flush()
    except BaseException:
        file.close()
        raise
    return file


def write_chunks(stored: StoredResult, folder: Path, *, most_rows: int | None = None) -> list[Path]:
    """Put chunks where a rendering process finds them, one in memory at a time, until there are enough rows."""
    pieces: list[Path] = []
    rows, wanted = 0, stored.row_count if most_rows is None else min(stored.row_count, most_rows)
    while rows < wanted:
        chunk = result_stream.read_chunk(stored.job_id, len(pieces))
        piece = folder / f"{len(pieces)}.chunk"
        piece.write_bytes(chunk.data)
        pieces.append(piece)
        rows += chunk.row_count
    return pieces


def remove_abandoned() -> None:
    """Remove what killed processes have left in the rendering folder."""
    folder = settings.load().rendering_folder
    oldest = time.time() - ABANDONED_SECONDS
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):
            if path.lstat().st_mtime < oldest:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _shown_chunks(stored: StoredResult, fmt: formats.Format, folder: Path) -> list[Path]:
    """Write the chunks that the format shows."""
    if fmt.is_picture:
        return []
    return write_chunks(stored, folder, most_rows=1 if fmt.first_chunk_only else None)
