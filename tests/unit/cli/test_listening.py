"""Addresses and readiness, with real sockets."""

import contextlib
import http.server
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from cli import listening, readiness
from cli.process_spec import StartError
from cli.stack import StackError, until


@contextlib.contextmanager
def server(status: int) -> Iterator[str]:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}/healthz"
        finally:
            running.shutdown()
            thread.join()


def test_port_0_is_a_free_one_and_a_taken_one_is_refused() -> None:
    with listening.listen("127.0.0.1", 0, option="--port") as listener:
        port = listener.getsockname()[1]
        assert port > 0
        with pytest.raises(StartError, match=f"port {port} of 127.0.0.1 is in use; choose another with --flower-port"):
            listening.pick_port("127.0.0.1", port, option="--flower-port")
    assert listening.pick_port("127.0.0.1", port, option="--flower-port") == port


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(StartError, match="cannot be used"), listening.listen("192.0.2.1", 0, option="--port"):
        pass


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104 - a name in a test, nothing is bound
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
    ],
)
def test_the_url_is_one_that_can_be_typed(host: str, url: str) -> None:
    assert listening.url(host, 80) == url


def test_waiting_ends_with_the_first_200() -> None:
    with server(200) as url:
        readiness.wait_until_ready(url, deadline=time.monotonic() + 5)
        probe = readiness.WebProbe(url)
        assert until(probe.is_ready, "the probe sees it", 5)


def test_waiting_for_what_is_not_ready_ends_with_its_answer() -> None:
    with server(503) as url:
        with pytest.raises(readiness.NotReadyError, match="last: 503"):
            readiness.wait_until_ready(url, deadline=time.monotonic() + 0.3)
        with contextlib.closing(readiness.WebProbe(url)) as probe, pytest.raises(StackError):
            until(probe.is_ready, "it is not", 0.3)


def test_even_without_time_to_wait_it_is_asked_once() -> None:
    with server(503) as url, pytest.raises(readiness.NotReadyError, match="last: 503"):
        readiness.wait_until_ready(url, deadline=time.monotonic() - 1)


def test_nobody_there() -> None:
    url = listening.url("127.0.0.1", listening.pick_port("127.0.0.1", 0, option="--port"))
    with pytest.raises(readiness.NotReadyError, match="refused"):
        readiness.wait_until_ready(url, deadline=time.monotonic() + 0.3)
    assert readiness.WebProbe(url).is_ready() is False


def test_a_probe_does_not_wait_for_a_server_that_listens_and_says_nothing() -> None:
    with listening.listen("127.0.0.1", 0, option="--port") as listener:
        url = listening.url("127.0.0.1", listener.getsockname()[1])
        probe = readiness.WebProbe(url)
        began = time.monotonic()
        assert [probe.is_ready() for _ in range(200)] == [False] * 200
        assert time.monotonic() - began < 200 * readiness.PAUSE_SECONDS / 2
        probe.close()
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(url, timeout=0.2)
