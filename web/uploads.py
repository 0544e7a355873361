"""Receives a file: from the socket to the disk in small pieces, whole or not at all.

The name of the file on disk is the job's id. What the caller calls it is data, never a path.
"""

import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import flask
import werkzeug.exceptions
from werkzeug.http import parse_options_header

from models import settings
from web import body_errors, errors, json_body, multipart, problem_types, problems

PIECE = 1024 * 1024
# Slower than this over a minute is a stalled client, or one that means to hold a thread.
SLOWEST_BYTES_PER_SECOND = 1024
PATIENCE_SECONDS = 60.0
LONGEST_NAME = 255
# The importer knows compressed files by their first bytes, so such a body is kept as it came.
KEPT_ENCODINGS = frozenset(("gzip", "x-gzip", "zstd"))


@dataclass(frozen=True, slots=True)
class Upload:
    """What is known of a received file; kept with the job."""

    filename: str | None
    bytes: int
    sha256: str
    content_type: str | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def receive(job_id: uuid.UUID, *, at_most: int) -> Upload:
    """Write the request's file to the upload folder under the job's id, durably.

    Args:
        job_id: whose file it is.
        at_most: bytes; a larger file is refused.

    Raises:
        problems.Problem: the file is empty, the form is wrong, or there is no room.
        werkzeug.exceptions.HTTPException: it is too large, it came too slowly, or the client went away.
    """
    _check_encoding()
    flask.request.max_content_length = at_most
    folder = settings.load().upload_folder
    part = folder / f".{job_id}.part"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        upload = _write(part)
        part.replace(folder / str(job_id))
        _sync_folder(folder)
    except OSError as error:
        if errors.is_storage_full(error):
            raise problems.Problem(problem_types.STORAGE_FULL, "The disk is full; nothing was kept.") from error
        raise
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return upload


def discard(job_id: uuid.UUID) -> None:
    """Remove a received file whose job was not accepted."""
    (settings.load().upload_folder / str(job_id)).unlink(missing_ok=True)


def _write(part: Path) -> Upload:
    form = None
    pieces: Iterator[bytes] = _pieces()
    if flask.request.mimetype == "multipart/form-data":
        form = multipart.FileField(pieces)
        pieces = iter(form)
    digest = hashlib.sha256()
    with part.open("xb") as file:
        size = _copy(pieces, file, digest)
        if size == 0:
            raise problems.Problem(problem_types.EMPTY_FILE, "The file has no bytes; there is nothing to import.")
        file.flush()
        os.fsync(file.fileno())
    filename = form.filename if form is not None else _name_of_raw_body()
    content_type = form.content_type if form is not None else flask.request.content_type
    return Upload(filename=_clean(filename), bytes=size, sha256=digest.hexdigest(), content_type=_clean(content_type))


def _copy(pieces: Iterator[bytes], file: BinaryIO, digest: "hashlib._Hash") -> int:
    size = 0
    for piece in pieces:
        file.write(piece)
        digest.update(piece)
        size += len(piece)
    return size


def _pieces() -> Iterator[bytes]:
    """Yield the body. A body shorter than it said it would be is a client that went away, not a short file."""
    stream = flask.request.stream
    promised = flask.request.content_length
    received, began = 0, time.monotonic()
    while True:
        with body_errors.translated():
            piece = stream.read(PIECE)
        if not piece:
            break
        received += len(piece)
        elapsed = time.monotonic() - began
        if elapsed > PATIENCE_SECONDS and received < elapsed * SLOWEST_BYTES_PER_SECOND:
            raise werkzeug.exceptions.RequestTimeout
        yield piece
    if promised is not None and received < promised:
        raise werkzeug.exceptions.ClientDisconnected


def _check_encoding() -> None:
    mimetype = flask.request.mimetype
    if mimetype.startswith("multipart/") and mimetype != "multipart/form-data":
        raise problems.Problem(
            problem_types.UNSUPPORTED_MEDIA_TYPE,
            "Send the file as the body itself, or as the field `file` of multipart/form-data.",
        )
    encoding = flask.request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in {"", "identity"}:
        return
    if encoding not in KEPT_ENCODINGS:
        raise problems.Problem(
            problem_types.UNSUPPORTED_MEDIA_TYPE,
            f"The Content-Encoding {encoding!r} is not understood; gzip and zstd are.",
        )
    if mimetype == "multipart/form-data":
        raise problems.Problem(
            problem_types.UNSUPPORTED_MEDIA_TYPE,
            "A form is not taken with a Content-Encoding. Compress the file in its field `file` instead.",
        )


def _name_of_raw_body() -> str | None:
    _, options = parse_options_header(flask.request.headers.get("Content-Disposition"))
    return options.get("filename")


def _clean(text: str | None) -> str | None:
    if text is None:
        return None
    kept = "".join(character for character in text if character.isprintable() and json_body.storable(character))
    return kept[-LONGEST_NAME:] or None


def _sync_folder(folder: Path) -> None:
    """Make the new name durable: without this a power cut could keep the job and lose its file."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
