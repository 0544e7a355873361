"""The load client counts every answer, takes answers that come in pieces, and refuses a server that does not accept."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.benchmarks.peers import load

REQUEST = b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
ACCEPTED = b"HTTP/1.1 202 ACCEPTED\r\nContent-Length: 5\r\n\r\nhello"
PAUSE_SECONDS = 0.002
FAILED = b"HTTP/1.1 500 INTERNAL SERVER ERROR\r\nContent-Length: 0\r\n\r\n"


class Answering:
    """A server that answers each request in so many pieces, and counts them."""

    def __init__(self, answer: bytes, *, piece: int) -> None:
        self.answered = 0
        self._answer = answer
        self._piece = piece
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._listening.getsockname()
        return host, port

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        accepting = threading.Thread(target=self._accept, daemon=True)
        accepting.start()
        yield
        accepting.join(10)
        self._listening.close()

    def _accept(self) -> None:
        serving = []
        for _ in range(load.CONNECTIONS):
            connection, _ = self._listening.accept()
            serving.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
            serving[-1].start()
        for thread in serving:
            thread.join(10)

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(ConnectionError):
            connection.settimeout(10)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while connection.recv(4096):
                with self._lock:
                    self.answered += 1
                for begin in range(0, len(self._answer), self._piece):
                    connection.sendall(self._answer[begin : begin + self._piece])
                    # Long enough for the client to see the piece alone.
                    time.sleep(PAUSE_SECONDS if self._piece < len(self._answer) else 0)


@pytest.mark.parametrize("piece", [len(ACCEPTED) - 2, 4096])
def test_every_request_is_sent_and_answered_once(piece: int) -> None:
    server = Answering(ACCEPTED, piece=piece)
    with server.serving():
        figures = load.load(server.address, REQUEST, 200)
    assert server.answered == 200
    assert figures["per_second"] > 0
    assert 0 < figures["p50_milliseconds"] <= figures["p99_milliseconds"]


def test_an_answer_that_does_not_accept_ends_the_measurement() -> None:
    server = Answering(FAILED, piece=4096)
    with server.serving(), pytest.raises(AssertionError, match="500 INTERNAL SERVER ERROR"):
        load.load(server.address, REQUEST, 50)
