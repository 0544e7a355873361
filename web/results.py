"""A stored result as an answer: checked, named, and rendered chunk by chunk while it goes out."""

import itertools
import uuid
from collections.abc import Iterator
from typing import Any

import flask

from models import erasure_traces, result, session
from models.job import Job
from models.job_states import JobKind, JobStatus
from models.result import Chunk, StoredResult
from web import formats, job_object, problem_types, problems, render_child, render_pool, result_files

# The page carries its own style and pictures and fetches nothing; whatever a cell smuggled in could not run.
HTML_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox allow-downloads"
)

BYTES_PER_WRITE = 64 * 1024


class ResultVanishedError(RuntimeError):
    """A result was removed while it was being sent; the connection is cut, so that nobody takes a part for the whole."""


def require_succeeded(job: Job) -> None:
    """Refuse a request for the result of a job that has none."""
    status = JobStatus(job.status)
    facts = {"job_status": job.status, "job_error": job.error}
    if not status.is_final:
        raise problems.Problem(
            problem_types.NOT_READY,
            f"The job is {job.status}; ask again in {job_object.RETRY_AFTER} s, or fetch the job with ?wait=30 first.",
            headers={"Retry-After": str(job_object.RETRY_AFTER)},
            facts=facts,
        )
    if status is not JobStatus.SUCCEEDED:
        why = f": {job.error['detail']}" if job.error and job.error.get("detail") else "."
        raise problems.Problem(problem_types.NO_RESULT, f"The job was {job.status}{why}", facts=facts)


def stored_result(job: Job) -> StoredResult:
    """Return everything of a result but its rows.

    Raises:
        problems.Problem: the job has no result yet, will never have one, or has had one.
    """
    require_succeeded(job)
    with session.transaction() as db:
        stored = result.find(db, job.id)
    erased_at = (job.outcome or {}).get(erasure_traces.ERASED_AT)
    if stored is None and erased_at is not None:
        raise problems.Problem(
            problem_types.RESULT_ERASED,
            "The result has been removed because a person in it was erased. Run the job again on what is left.",
            facts={"erased_at": erased_at},
        )
    if stored is None:
        raise problems.Problem(
            problem_types.RESULT_EXPIRED,
            "The result has been removed because its time to be kept is over. Submit the report again.",
            facts={"expired_at": job.expires_at.isoformat().replace("+00:00", "Z") if job.expires_at else None},
        )
    return stored


def answer(job: Job, stored: StoredResult, fmt: formats.Format, *, name: str, chart: int = 0) -> flask.Response:
    """Answer with a result in a format, or with 304 where the caller has it already; `chart` is what a picture shows."""
    etag = f"{stored.sha256}-{chart}.{fmt.name}" if fmt.is_picture else f"{stored.sha256}-{fmt.name}"
    if flask.request.if_none_match.contains_weak(etag):
        response = flask.Response(status=304)
    else:
        # Only the result of a report is a number that somebody may want to have explained.
        manifest = f"{job_object.address(job)}/manifest" if job.kind == JobKind.REPORT else None
        header = {**stored.header, "row_count": stored.row_count, "manifest": manifest}
        if fmt.is_file:
            about = {**header, "made": stored.manifest}
            response = result_files.answer(stored, about, result_files.Wanted(fmt, chart, etag), read_chunk)
        else:
            response = flask.Response(_sliced(_begun(_pieces(stored, fmt, header))), content_type=fmt.content_type)
        response.headers["Content-Disposition"] = f'{_disposition(fmt)}; filename="{name}.{fmt.name}"'
    response.set_etag(etag)
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Accept, Authorization"
    if fmt in (formats.HTML, formats.SVG):
        response.headers["Content-Security-Policy"] = HTML_POLICY
    return response


def _disposition(fmt: formats.Format) -> str:
    return "inline" if fmt.shown_by_browsers else "attachment"


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Render the start and the first rows before the headers go out, so that what fails at once is still a problem document."""
    first = list(itertools.islice(pieces, 2))
    return itertools.chain(first, pieces)


def _sliced(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Cut pieces into what even a slow client takes within the patience of `web.gunicorn`, which is reckoned per write."""
    for piece in pieces:
        for start in range(0, len(piece), BYTES_PER_WRITE):
            yield piece[start : start + BYTES_PER_WRITE]


def _pieces(stored: StoredResult, fmt: formats.Format, header: dict[str, Any]) -> Iterator[bytes]:
    """Render chunk by chunk; where there is at most one, all at once, because each call of the pool costs milliseconds."""
    pool = render_pool.pool()
    rows_wanted = min(stored.row_count, 1) if fmt.first_chunk_only else stored.row_count
    first = read_chunk(stored.job_id, 0) if rows_wanted else None
    if first is None or first.row_count >= rows_wanted:
        yield pool.run(render_child.render_whole, fmt.name, header, first.data if first is not None else None)
        return
    yield pool.run(render_child.render_start, fmt.name, header)
    yield pool.run(render_child.render_chunk, fmt.name, header, first.data, True)
    rows = first.row_count
    for position in itertools.count(1):
        if rows >= rows_wanted:
            break
        chunk = read_chunk(stored.job_id, position)
        yield pool.run(render_child.render_chunk, fmt.name, header, chunk.data, False)
        rows += chunk.row_count
    yield pool.run(render_child.render_end, fmt.name, header)


def read_chunk(job_id: uuid.UUID, position: int) -> Chunk:
    """Read one chunk in a transaction of its own: a slow reader must not hold one open for as long as it likes."""
    with session.transaction() as db:
        chunk = result.read_chunk(db, job_id, position)
    if chunk is None:
        raise ResultVanishedError(f"result {job_id} has no chunk {position}")
    return chunk
