"""Waits for the web server to answer: in one call for commands and tests, and in small steps for the supervisor's loop."""

import http
import select
import socket
import time
import urllib.parse

import httpx

PAUSE_SECONDS = 0.05
# The web server's socket accepts before its process answers: asking again would only make the queue longer.
ANSWER_SECONDS = 20.0
# Asking is done at least once, and then takes as long as an answer may take on a busy machine.
LEAST_ANSWER_SECONDS = 1.0


class NotReadyError(TimeoutError):
    """The URL did not answer 200 in time; the message holds its last answer."""


def wait_until_ready(url: str, deadline: float) -> None:
    """Wait until a GET of `url` answers 200; `deadline` is a time of the monotonic clock. It is asked at least once.

    Raises:
        NotReadyError: it did not.
    """
    last = None
    with httpx.Client() as client:
        while last is None or time.monotonic() < deadline:
            left = max(deadline - time.monotonic(), LEAST_ANSWER_SECONDS)
            try:
                answer = client.get(url, timeout=min(left, ANSWER_SECONDS))
            except httpx.TransportError as error:
                last = str(error) or type(error).__name__
            else:
                if answer.status_code == http.HTTPStatus.OK:
                    return
                last = f"{answer.status_code}: {answer.text[:500]}"
            time.sleep(PAUSE_SECONDS)
    raise NotReadyError(f"{url} was not ready in time; last: {last}")


class WebProbe:
    """Asks a web server the same, and never waits: one short look each time it is called."""

    def __init__(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._request = f"GET {parts.path} HTTP/1.0\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode()
        self._socket: socket.socket | None = None
        self._asked_at = 0.0

    def is_ready(self) -> bool:
        try:
            return self._look()
        except OSError:
            self.close()
            return False

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _look(self) -> bool:
        if self._socket is None:
            # The server's socket is ours and listens already: connecting takes no time, only the answer does.
            self._socket = socket.create_connection(self._address, timeout=PAUSE_SECONDS)
            self._socket.sendall(self._request)
            self._asked_at = time.monotonic()
        if not select.select([self._socket], [], [], 0)[0]:
            if time.monotonic() - self._asked_at > ANSWER_SECONDS:
                self.close()
            return False
        status_line = self._socket.recv(64).split(b"\r\n")[0]
        self.close()
        return b" 200" in status_line
