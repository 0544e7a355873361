"""The rows of a stored result in pages. Of a large result only the stored chunks are read in which the page lies."""

import flask

from models import result, session
from models.job import Job
from models.result import StoredResult
from web import cursor, job_object, render_child, render_pool, result_stream, results, row_schemas

# One chunk's Parquet, which of its rows come first, and how many are wanted.
Piece = tuple[bytes, int, int]


def page(job: Job, wanted: row_schemas.RowQuery) -> flask.Response:
    """Answer with a page of rows.

    Raises:
        problems.Problem: there is no result (any more), or the cursor is not one of its pages.
    """
    stored = results.stored_result(job)
    start = cursor.decode_number(wanted.cursor) if wanted.cursor is not None else 0
    count = max(0, min(wanted.limit, stored.row_count - start))
    pieces = _pieces(stored, start, count)
    rows = render_pool.pool().run(render_child.render_rows, pieces) if pieces else b""
    following = None
    if start + count < stored.row_count:
        last = cursor.encode_number(start + count)
        following = f"{job_object.address(job)}/rows?limit={wanted.limit}&cursor={last}"
    about = {"row_count": stored.row_count, "next": following}
    columns, end = flask.json.dumps(stored.header["columns"]), flask.json.dumps(about)
    body = b"".join([b'{"columns":', columns.encode(), b',"data":[', rows, b"],", end[1:].encode()])
    answer = flask.Response(body, content_type="application/json")
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer


def _pieces(stored: StoredResult, start: int, count: int) -> list[Piece]:
    """Read the chunks in which so many rows lie."""
    pieces: list[Piece] = []
    while count > 0:
        with session.transaction() as db:
            chunk = result.chunk_of_row(db, stored.job_id, start)
        if chunk is None:
            raise result_stream.ResultVanishedError(f"result {stored.job_id} has no row {start}")
        first = start - chunk.row_start
        taken = min(count, chunk.row_count - first)
        pieces.append((chunk.data, first, taken))
        start, count = start + taken, count - taken
    return pieces
