"""One POST to an address that was judged: no redirects, a bounded answer, and an end in time, whatever the receiver does."""

import functools
import os
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpcore

from workers.deliveries import addresses
from workers.deliveries.addresses import Destination, Resolve
from workers.deliveries.lookups import Lookups

EXCERPT_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a receiver may take, in seconds: to have its name looked up, to be connected to, and for all of it."""

    connect: float = 5.0
    total: float = 15.0


@dataclass(frozen=True, slots=True)
class Way:
    """How destinations are reached; what tests put in their own for."""

    allow_private: bool = False
    resolve: Resolve = addresses.resolve
    tls: ssl.SSLContext | None = None
    patience: Patience = Patience()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver has said: its status, its headers by lower-case names, and how its body begins."""

    status: int
    headers: Mapping[str, str]
    excerpt: str


class NoAnswerError(Exception):
    """The receiver was not reached, or has not answered as HTTP wants it; a sentence."""


def post(destination: Destination, body: bytes, headers: Mapping[str, str], *, way: Way) -> Answer:
    """Send a body and read the beginning of the answer.

    Raises:
        addresses.RefusedError: the name stands for an address that nothing is sent to.
        NoAnswerError: there was no answer, or none in time.
    """
    deadline = time.monotonic() + way.patience.total
    try:
        judged = addresses.usable(destination, resolve=_in_time(way), allow_private=way.allow_private)
    except OSError as error:
        raise NoAnswerError(f"{destination.host} has no address: {error.strerror or error}.") from error
    backend = _Pinned(judged, deadline, way.patience)
    url = httpcore.URL(
        scheme=destination.scheme, host=destination.host, port=destination.port, target=destination.target
    )
    sent = [("Host", destination.authority), ("Connection", "close"), ("Content-Length", str(len(body)))]
    patience = {"connect": way.patience.connect, "read": way.patience.total, "write": way.patience.total}
    try:
        with (
            httpcore.ConnectionPool(ssl_context=way.tls or _tls(), network_backend=backend, max_connections=1) as pool,
            pool.stream(
                "POST", url, headers=[*sent, *headers.items()], content=body, extensions={"timeout": patience}
            ) as answer,
        ):
            return Answer(answer.status, _headers(answer.headers), _beginning(answer.iter_stream()))
    except httpcore.TimeoutException as error:
        raise NoAnswerError(f"No answer within {way.patience.total:.0f} seconds.") from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise NoAnswerError(f"No answer: {error or type(error).__name__}.") from error


def _in_time(way: Way) -> Resolve:
    """Return a look-up that takes no longer than reaching the receiver may take."""
    seconds = min(way.patience.connect, way.patience.total)
    return lambda host, port: _lookups_of_process(os.getpid()).find(way.resolve, host, port, seconds=seconds)


@functools.cache
def _lookups_of_process(pid: int) -> Lookups:  # noqa: ARG001 - the pid is the cache's key: a fork has none of the threads
    return Lookups()


class _Pinned(httpcore.NetworkBackend):
    """Connects to addresses that were judged, and looks nothing up: TLS and `Host` still go by the name."""

    def __init__(self, judged: list[str], deadline: float, patience: Patience) -> None:
        self._judged = judged
        self._deadline = deadline
        self._patience = patience
        self._system = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - httpcore's signature; the name was resolved before
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - there is one time for all addresses together
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        until = min(self._deadline, time.monotonic() + self._patience.connect)
        for number, address in enumerate(self._judged, start=1):
            left = until - time.monotonic()
            if left <= 0:
                break
            try:
                stream = self._system.connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(self._judged):
                    raise
            else:
                return _Timed(stream, self._deadline)
        raise httpcore.ConnectTimeout


class _Timed(httpcore.NetworkStream):
    """A connection whose reads and writes all end by one moment: a receiver that sends a byte now and then gains nothing."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - as above
        return self._stream.read(max_bytes, self._left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - as above
        self._stream.write(buffer, self._left(httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - as above
    ) -> httpcore.NetworkStream:
        left = self._left(httpcore.ConnectTimeout)
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _left(self, error: type[Exception]) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise error
        return left


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}


def _beginning(pieces: Iterable[bytes]) -> str:
    """Read as much as is kept, and no more: the status has been said, and a body may never end."""
    kept = b""
    for piece in pieces:
        kept += piece
        if len(kept) >= EXCERPT_BYTES:
            break
    return kept[:EXCERPT_BYTES].decode("utf-8", "replace")
