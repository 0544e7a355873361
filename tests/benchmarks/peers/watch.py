"""`python -m tests.benchmarks.peers.watch ADDRESS KEY FILE`: follow or wait for the jobs in FILE, until the input ends.

The first half are followed, the others waited for, again and again. A line is printed once all streams have begun.
"""

import contextlib
import selectors
import socket
import sys
from pathlib import Path

PATIENCE_SECONDS = 60.0


class Watcher:
    """One connection, which sends its request again when it was answered."""

    def __init__(self, address: tuple[str, int], request: bytes, *, is_stream: bool) -> None:
        self._address = address
        self._request = request
        self.is_stream = is_stream
        self.open()

    def open(self) -> None:
        self.socket = socket.create_connection(self._address, timeout=PATIENCE_SECONDS)
        self.socket.sendall(self._request)

    def read(self) -> bool:
        """Read what has come; False: the connection has ended, and there is another."""
        data = self.socket.recv(65536)
        if not data:
            self.socket.close()
            self.open()
            return False
        if not self.is_stream and data.startswith(b"HTTP/1.1 200"):
            self.socket.sendall(self._request)
        return True


def main() -> None:
    host, _, port = sys.argv[1].rpartition(":")
    paths = Path(sys.argv[3]).read_text().split()
    with contextlib.closing(selectors.DefaultSelector()) as selector:
        selector.register(sys.stdin, selectors.EVENT_READ, None)
        for number, path in enumerate(paths):
            is_stream = number < len(paths) // 2
            target = f"{path}/events" if is_stream else f"{path}?wait=30"
            request = (
                f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {sys.argv[2]}\r\n\r\n".encode()
            )
            watcher = Watcher((host, int(port)), request, is_stream=is_stream)
            selector.register(watcher.socket, selectors.EVENT_READ, watcher)
        _serve(selector, streams=len(paths) // 2)


def _serve(selector: selectors.DefaultSelector, *, streams: int) -> None:
    served: set[Watcher] = set()
    while True:
        for key, _ in selector.select():
            watcher = key.data
            if watcher is None:
                return
            before = watcher.socket
            if not watcher.read():
                selector.unregister(before)
                selector.register(watcher.socket, selectors.EVENT_READ, watcher)
            elif watcher.is_stream and watcher not in served:
                served.add(watcher)
                if len(served) == streams:
                    print("all are served", flush=True)


if __name__ == "__main__":
    main()
