"""A real receiver of webhooks on loopback, which answers as a test wants it to."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sqlalchemy import func, update

from models import session
from models.delivery import Delivery


@dataclass(frozen=True)
class Received:
    """One request as it came, and what it was answered; 0: nothing."""

    path: str
    headers: dict[str, str]
    body: bytes
    status: int = 0


@dataclass
class Manner:
    """How it answers. `hang` ends with the test."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    endless: bool = False
    dribble: bool = False
    hang: bool = False


class Receiver:
    """Keeps what it gets; `manners` are used up one after the other, and the last one stays."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.received: list[Received] = []
        self.manners: list[Manner] = [Manner()]
        self.released = threading.Event()
        self._changed = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?of=test"

    def behave(self, *manners: Manner) -> None:
        self.manners = list(manners)

    def take(self, received: Received) -> Manner:
        with self._changed:
            manner = self.manners.pop(0) if len(self.manners) > 1 else self.manners[0]
            self.received.append(replace(received, status=0 if manner.hang else manner.status))
            self._changed.notify_all()
            return manner

    def wait_for(self, count: int, *, seconds: float = 30.0) -> list[Received]:
        """Wait until so many requests have come."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.received) >= count, seconds), f"only {len(self.received)}"
            return list(self.received)


def empty_outbox() -> None:
    """Let nothing be due that other tests have left."""
    with session.transaction() as db:
        cancelled = {"status": "cancelled", "finished_at": func.now(), "claim_token": None, "claim_until": None}
        db.execute(update(Delivery).where(Delivery.finished_at.is_(None)).values(cancelled))


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Listen on a free port for the length of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    receiver = Receiver(server.server_port)
    server.receiver = receiver  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        receiver: Receiver = self.server.receiver  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        manner = receiver.take(Received(self.path, headers, body))
        if manner.hang:
            receiver.released.wait()
            return
        try:
            self._answer(manner, receiver)
        except OSError:
            self.close_connection = True

    def _answer(self, manner: Manner, receiver: Receiver) -> None:
        self.send_response(manner.status)
        for name, value in manner.headers.items():
            self.send_header(name, value)
        if manner.dribble:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not receiver.released.is_set():
                self.wfile.write(b"X-Slow: 1\r\n")
                time.sleep(0.05)
        if manner.endless:
            self.end_headers()
            while not receiver.released.is_set():
                self.wfile.write(b"more " * 1000)
        self.send_header("Content-Length", str(len(manner.body)))
        self.end_headers()
        self.wfile.write(manner.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Say nothing."""
