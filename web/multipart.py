"""Reads the one file of a `multipart/form-data` body piece by piece, so that it need not fit into memory."""

from collections.abc import Iterable, Iterator

import flask
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio import multipart

from web import problem_types, problems

FIELD = "file"
# Room for one piece of the body and what is left of the one before.
LARGEST_BUFFER = 1024 * 1024
MOST_PARTS = 20


class FileField:
    """The `file` field: its name and type are known once the first piece has been read."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.filename: str | None = None
        self.content_type: str | None = None
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        decoder = multipart.MultipartDecoder(_boundary(), LARGEST_BUFFER, max_parts=MOST_PARTS)
        for piece in self._pieces:
            decoder.receive_data(piece)
            yield from self._drain(decoder)
        decoder.receive_data(None)
        yield from self._drain(decoder)
        if self.filename is None:
            raise problems.refused(
                problems.FieldError(f"#/{FIELD}", "missing", f"The form has no file field {FIELD!r}.")
            )

    def _drain(self, decoder: multipart.MultipartDecoder) -> Iterator[bytes]:
        while True:
            try:
                event = decoder.next_event()
            except RequestEntityTooLarge:
                raise
            except ValueError as error:
                raise problems.Problem(problem_types.MALFORMED, "The multipart body is not well-formed.") from error
            if isinstance(event, multipart.NeedData | multipart.Epilogue):
                return
            if isinstance(event, multipart.File):
                self._begin(event)
            elif isinstance(event, multipart.Field):
                raise _unknown_field(event.name)
            elif isinstance(event, multipart.Data):
                yield event.data

    def _begin(self, event: multipart.File) -> None:
        if event.name != FIELD:
            raise _unknown_field(event.name)
        if self.filename is not None:
            raise problems.refused(problems.FieldError(f"#/{FIELD}", "repeated", "Send one file per import."))
        self.filename = event.filename
        self.content_type = event.headers.get("Content-Type")


def _boundary() -> bytes:
    boundary = flask.request.mimetype_params.get("boundary", "")
    if not boundary or not boundary.isascii():
        raise problems.Problem(problem_types.MALFORMED, "The Content-Type names no multipart boundary.")
    return boundary.encode("ascii")


def _unknown_field(name: str) -> problems.Problem:
    detail = f"The form may have the file field {FIELD!r} only; options go into the query string."
    return problems.refused(problems.FieldError(f"#/{name}", "unknown-field", detail))
