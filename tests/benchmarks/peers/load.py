"""`python -m tests.benchmarks.peers.load ADDRESS REQUESTS FILE [STATUS]`: send the request in FILE so often, and say how it went.

One thread drives 16 connections that stay open, each with one request at a time: it costs a small and always equal part of
the machine, whatever server it loads.
"""

import contextlib
import json
import selectors
import socket
import statistics
import sys
import time
from pathlib import Path

CONNECTIONS = 16
PATIENCE_SECONDS = 30.0
_END_OF_HEAD = b"\r\n\r\n"


class Connection:
    """One open connection with at most one request under way."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self._sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.received = b""
        self._sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> tuple[int, float] | None:
        """Status and seconds of the answer once it is whole.

        Raises:
            ConnectionError: the server closed the connection.
        """
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed a connection")
        self.received += data
        head, separator, body = self.received.partition(_END_OF_HEAD)
        if not separator or len(body) < _length(head):
            return None
        return int(head[9:12]), time.perf_counter() - self._sent_at


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError(f"an answer without a length: {head!r}")


def load(address: tuple[str, int], request: bytes, requests: int, *, status: int = 202) -> dict[str, float]:
    """Send all requests; return how many per second were answered, and the latencies.

    Raises:
        AssertionError: one of them was answered with another status.
        TimeoutError: no answer came for too long.
    """
    begun = time.perf_counter()
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(contextlib.closing(selectors.DefaultSelector()))
        for _ in range(CONNECTIONS):
            connection = Connection(address)
            stack.callback(connection.socket.close)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        waits = sorted(_drive(selector, request, requests, status))
    return {
        "per_second": requests / (time.perf_counter() - begun),
        "p50_milliseconds": 1000 * statistics.median(waits),
        "p99_milliseconds": 1000 * waits[int(0.99 * len(waits))],
    }


def _drive(selector: selectors.BaseSelector, request: bytes, requests: int, wanted: int) -> list[float]:
    """Keep every connection busy until all are answered; return how long each took."""
    waits: list[float] = []
    idle: list[Connection] = [key.data for key in selector.get_map().values()]
    left = requests
    while len(waits) < requests:
        for connection in idle[:left]:
            connection.send(request)
        left -= min(left, len(idle))
        ready = selector.select(PATIENCE_SECONDS)
        if not ready:
            raise TimeoutError(f"no answer within {PATIENCE_SECONDS:.0f} s, after {len(waits)}")
        idle = []
        for key, _ in ready:
            answer = key.data.receive()
            if answer is None:
                continue
            status, seconds = answer
            if status != wanted:
                raise AssertionError(f"not {wanted}, after {len(waits)} were: {key.data.received!r}")
            waits.append(seconds)
            idle.append(key.data)
    return waits


def main() -> None:
    host, _, port = sys.argv[1].rpartition(":")
    wanted = int(sys.argv[4]) if len(sys.argv) > 4 else 202
    answer = load((host, int(port)), Path(sys.argv[3]).read_bytes(), int(sys.argv[2]), status=wanted)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
