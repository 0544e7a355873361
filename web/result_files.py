"""Results in formats that are files as a whole: rendered beside the web process, sent, and not kept.

Nothing stays on the disk that somebody would have to remember when a result is removed.
"""

import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import flask
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.wsgi import wrap_file

from models import settings
from models.result import Chunk, StoredResult
from web import errors, formats, problem_types, problems, render_child, render_pool

READ_BYTES = 64 * 1024

# Reads one chunk of a result, counted from 0.
ReadChunk = Callable[[uuid.UUID, int], Chunk]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which file of a result: its format, the chart a picture shows, and the validator of exactly these bytes."""

    format: formats.Format
    chart: int
    etag: str


def answer(stored: StoredResult, header: dict[str, Any], wanted: Wanted, read_chunk: ReadChunk) -> flask.Response:
    """Render a result into a file and answer with it, or with the part of it that was asked for.

    Raises:
        problems.Problem: it has no such chart, or there is no room to render it.
        werkzeug.exceptions.RequestedRangeNotSatisfiable: it has no such part.
    """
    if wanted.format.is_picture and wanted.chart >= len(header["charts"]):
        raise _no_chart(header, wanted.chart)
    try:
        file = _render(stored, header, wanted, read_chunk)
    except OSError as error:
        if errors.is_storage_full(error):
            raise problems.Problem(problem_types.STORAGE_FULL, "The disk is full; try another format.") from error
        raise
    size = file.seek(0, 2)
    file.seek(0)
    response = flask.Response(
        wrap_file(flask.request.environ, file, READ_BYTES),
        content_type=wanted.format.content_type,
        direct_passthrough=True,
    )
    response.content_length = size
    response.set_etag(wanted.etag)
    response.call_on_close(file.close)
    try:
        response.make_conditional(flask.request, accept_ranges=True, complete_length=size)
    except RequestedRangeNotSatisfiable:
        response.close()
        raise
    return response


def _render(stored: StoredResult, header: dict[str, Any], wanted: Wanted, read_chunk: ReadChunk) -> BinaryIO:
    """Render and open; the file has no name any more when this returns, so it is gone when it is closed."""
    folder = settings.load().rendering_folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        target = Path(name) / f"result.{wanted.format.name}"
        pieces = _shown_chunks(stored, wanted.format, Path(name), read_chunk)
        render_pool.file_pool().run(
            render_child.render_file,
            wanted.format.name,
            header,
            [str(piece) for piece in pieces],
            str(target),
            wanted.chart,
        )
        return target.open("rb")


def _shown_chunks(stored: StoredResult, fmt: formats.Format, folder: Path, read_chunk: ReadChunk) -> list[Path]:
    """Write the chunks that the format shows."""
    if fmt.is_picture:
        return []
    return write_chunks(stored, folder, read_chunk, most_rows=1 if fmt.first_chunk_only else None)


def write_chunks(
    stored: StoredResult, folder: Path, read_chunk: ReadChunk, *, most_rows: int | None = None
) -> list[Path]:
    """Put chunks where a rendering process finds them, one in memory at a time, until there are enough rows."""
    pieces: list[Path] = []
    rows, wanted = 0, stored.row_count if most_rows is None else min(stored.row_count, most_rows)
    while rows < wanted:
        chunk = read_chunk(stored.job_id, len(pieces))
        piece = folder / f"{len(pieces)}.chunk"
        piece.write_bytes(chunk.data)
        pieces.append(piece)
        rows += chunk.row_count
    return pieces


def _no_chart(header: dict[str, Any], chart: int) -> problems.Problem:
    titles = [found["title"] for found in header["charts"]]
    counted = f"{len(titles)} charts, counted from 0" if len(titles) != 1 else "one chart, number 0"
    return problems.Problem(
        problem_types.NOT_FOUND,
        f"The result has {counted}; there is no chart {chart}." if titles else "The result has no chart.",
        facts={"charts": titles},
    )
