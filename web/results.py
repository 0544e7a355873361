"""A stored result as an answer: checked, named, in the format and the coding that are wanted, whole or in part."""

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import flask
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from models import erasure_traces, result, session
from models.base import Json
from models.job import Job
from models.job_states import JobKind, JobStatus
from models.result import StoredResult
from web import (
    byte_ranges,
    codings,
    errors,
    file_names,
    formats,
    job_object,
    problem_types,
    problems,
    rendering_version,
    result_files,
    result_stream,
)
from web.codings import Coding
from workers import kept_files

# The page carries its own style and pictures and fetches nothing; whatever a cell smuggled in could not run.
HTML_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox allow-downloads"
)


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


@dataclass(frozen=True, slots=True)
class _Representation:
    """A result in one format: what it is rendered from, and the validator of exactly these bytes."""

    stored: StoredResult
    format: formats.Format
    header: dict[str, Any]
    chart: int
    etag: str
    of_receiver: Json | None = None

    @property
    def is_file(self) -> bool:
        return self.format.is_file or self.of_receiver is not None

    @property
    def name(self) -> str:
        """The validator holds at one address; the files of a process are of many."""
        return f"{self.stored.job_id}/{self.etag}"

    def etag_in(self, coding: Coding) -> str:
        return self.etag if coding is Coding.IDENTITY else f"{self.etag}-{coding}"

    def pieces(self) -> Iterator[bytes]:
        return result_stream.pieces(self.stored, self.format, self.header)

    def file(self) -> kept_files.Reading:
        return kept_files.shelf().find_or_make(self.name, self._made)

    def _made(self) -> BinaryIO:
        if self.of_receiver is not None:
            return result_files.render_part(self.stored, self.header, self.format, self.of_receiver)
        if self.format.is_file:
            return result_files.render(self.stored, self.header, self.format, self.chart)
        return result_files.gather(self.pieces())


def answer(  # noqa: PLR0913 - an answer has as many sides
    job: Job,
    stored: StoredResult,
    fmt: formats.Format,
    *,
    words: str,
    chart: int = 0,
    of_receiver: Json | None = None,
) -> flask.Response:
    """Answer with a result in a format, with a part of it, or with 304 where the caller has it already.

    Args:
        job: whose result it is.
        stored: the result.
        fmt: the format.
        words: what to call a download of a job without a label.
        chart: which one a picture shows.
        of_receiver: the filter of a receiver who sees only what it lets through, and nothing that tells of the rest; None: all.

    Raises:
        problems.Problem: it has no such chart, there is no room to render it, or the request takes no coding there is.
        werkzeug.exceptions.RequestedRangeNotSatisfiable: it has no such part.
    """
    wanted = (
        _of_receiver(job, stored, fmt, of_receiver)
        if of_receiver is not None
        else _representation(job, stored, fmt, chart)
    )
    accepted = codings.accepted(compressible=not fmt.is_compressed)
    if not accepted:
        raise _no_coding()
    # A caller that has the bytes in any coding it takes needs no others.
    had = (one for one in accepted if flask.request.if_none_match.contains_weak(wanted.etag_in(one)))
    unchanged = next(had, None)
    response, coding = (flask.Response(status=304), unchanged) if unchanged else _sendable(wanted, accepted)
    response.set_etag(wanted.etag_in(coding))
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Accept, Accept-Encoding, Authorization"
    if response.status_code == 304:
        return response
    name = file_names.named(job.label, words, job.id)
    response.content_type = fmt.content_type
    response.headers["Content-Disposition"] = file_names.disposition(f"{name}.{fmt.name}", shown=fmt.shown_by_browsers)
    # Parts are parts of the bytes as they are: a part of what is compressed on the fly could not be continued later.
    response.headers["Accept-Ranges"] = "bytes" if coding is Coding.IDENTITY else "none"
    if coding is not Coding.IDENTITY:
        response.headers["Content-Encoding"] = coding.value
    if fmt in (formats.HTML, formats.SVG):
        response.headers["Content-Security-Policy"] = HTML_POLICY
    return response


def _representation(job: Job, stored: StoredResult, fmt: formats.Format, chart: int) -> _Representation:
    # Only the result of a report is a number that somebody may want to have explained.
    manifest = f"{job_object.address(job)}/manifest" if job.kind == JobKind.REPORT else None
    header = {**stored.header, "row_count": stored.row_count, "manifest": manifest}
    if fmt.is_file:
        header["made"] = stored.manifest
    if fmt.is_picture and chart >= len(header["charts"]):
        raise _no_chart(header, chart)
    shown = f"{chart}.{fmt.name}" if fmt.is_picture else fmt.name
    etag = f"{stored.sha256}-{shown}-{rendering_version.digest()}"
    return _Representation(stored, fmt, header, chart, etag)


def _of_receiver(job: Job, stored: StoredResult, fmt: formats.Format, filter_: Json) -> _Representation:
    params = {**job.params, **(stored.header.get("params") or {})}
    shown = hashlib.sha256(json.dumps(filter_, sort_keys=True).encode()).hexdigest()
    etag = f"{stored.sha256}-{shown}-{fmt.name}-{rendering_version.digest()}"
    return _Representation(stored, fmt, {**stored.header, "params": params}, 0, etag, of_receiver=filter_)


def _sendable(wanted: _Representation, accepted: tuple[Coding, ...]) -> tuple[flask.Response, Coding]:
    """Choose how to make the bytes: from a file where parts or the length are worth one, else while they go out."""
    try:
        if Coding.IDENTITY in accepted and byte_ranges.is_wanted(wanted.etag):
            return _part(wanted.file()), Coding.IDENTITY
        coding = accepted[0]
        kept = wanted.file() if wanted.is_file else kept_files.shelf().find(wanted.name)
        if kept is not None:
            return _from_file(kept, coding), coding
        if result_stream.is_short(wanted.stored, wanted.format):
            return _at_once(wanted, accepted)
        if flask.request.method == "HEAD":
            return flask.Response(iter(())), coding
        return flask.Response(codings.compressed(_begun(wanted.pieces()), coding)), coding
    except OSError as error:
        if errors.is_storage_full(error):
            raise problems.Problem(
                problem_types.STORAGE_FULL, "The disk is full; nothing could be rendered."
            ) from error
        raise


def _part(kept: kept_files.Reading) -> flask.Response:
    try:
        part = byte_ranges.of_request(kept.size)
    except RequestedRangeNotSatisfiable:
        kept.close()
        raise
    response = _closing(kept, kept.pieces(part), status=206)
    response.content_length = len(part)
    response.headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{kept.size}"
    return response


def _from_file(kept: kept_files.Reading, coding: Coding) -> flask.Response:
    response = _closing(kept, codings.compressed(kept.pieces(range(kept.size)), coding), status=200)
    if coding is Coding.IDENTITY:
        response.content_length = kept.size
    return response


def _closing(kept: kept_files.Reading, pieces: Iterator[bytes], *, status: int) -> flask.Response:
    response = flask.Response(pieces, status=status)
    response.call_on_close(kept.close)
    return response


def _at_once(wanted: _Representation, accepted: tuple[Coding, ...]) -> tuple[flask.Response, Coding]:
    """Render a short result; a very short one is not worth compressing."""
    data = result_stream.whole(wanted.stored, wanted.format, wanted.header)
    is_tiny = len(data) < codings.WORTH_BYTES and Coding.IDENTITY in accepted
    coding = Coding.IDENTITY if is_tiny else accepted[0]
    return flask.Response(codings.compressed_whole(data, coding)), coding


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Render the start and the first rows before the headers go out, so that what fails at once is still a problem document."""
    first = list(itertools.islice(pieces, 2))
    return itertools.chain(first, pieces)


def _no_coding() -> problems.Problem:
    return problems.Problem(
        problem_types.NOT_ACCEPTABLE,
        "Accept-Encoding refuses every coding there is, and bytes without one. Available: zstd, gzip, identity.",
        facts={"available_codings": [coding.value for coding in Coding]},
    )


def _no_chart(header: dict[str, Any], chart: int) -> problems.Problem:
    titles = [found["title"] for found in header["charts"]]
    counted = f"{len(titles)} charts, counted from 0" if len(titles) != 1 else "one chart, number 0"
    return problems.Problem(
        problem_types.NOT_FOUND,
        f"The result has {counted}; there is no chart {chart}." if titles else "The result has no chart.",
        facts={"charts": titles},
    )
