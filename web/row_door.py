"""Puts every request behind a door of its own: it sees no row before its key has said whose it may see, and none of others'."""

from collections.abc import Iterable, Iterator
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from models import row_access


class RowDoor:
    """The outermost part of the application, so that nothing is asked of the database beside it."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        door = row_access.Door()
        with row_access.behind(door):
            body = self._application(environ, start_response)
        # A server sends a file by itself, and knows it by its class.
        is_file = isinstance(body, environ.get("wsgi.file_wrapper", ()))
        return body if is_file else _Body(body, door)


class _Body:
    """A body that reads the database while it goes out, by whichever thread, does so behind the door of its request."""

    def __init__(self, body: Iterable[bytes], door: row_access.Door) -> None:
        self._body = body
        self._door = door
        self._pieces: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with row_access.behind(self._door):
            if self._pieces is None:
                self._pieces = iter(self._body)
            return next(self._pieces)

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        if close is not None:
            with row_access.behind(self._door):
                close()
