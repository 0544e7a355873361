"""The proxy that plays network faults, tried on a server that echoes."""

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from tests.chaos.harness.proxy import Direction, Shape, TcpProxy
from tests.client import wait_for


class _Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while data := self.request.recv(65_536):
                self.request.sendall(data)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@pytest.fixture
def proxy() -> Iterator[TcpProxy]:
    with _Server(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        host, port = server.server_address[:2]
        try:
            with TcpProxy((str(host), int(port))) as running:
                yield running
        finally:
            server.shutdown()
            thread.join()


def _connect(proxy: TcpProxy) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=2)
    connection.settimeout(2)
    return connection


def _ask(connection: socket.socket, data: bytes) -> bytes:
    connection.sendall(data)
    answer = b""
    while len(answer) < len(data):
        piece = connection.recv(65_536)
        if not piece:
            break
        answer += piece
    return answer


def test_passes_what_is_larger_than_its_buffers(proxy: TcpProxy) -> None:
    data = bytes(range(256)) * 20_000
    with _connect(proxy) as connection:
        sender = threading.Thread(target=connection.sendall, args=(data,), daemon=True)
        sender.start()
        received = b""
        while len(received) < len(data):
            received += connection.recv(65_536)
        sender.join()
    assert received == data


def test_refuses_new_connections_and_keeps_the_open_one(proxy: TcpProxy) -> None:
    with _connect(proxy) as connection:
        assert _ask(connection, b"a") == b"a"
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            _connect(proxy)
        assert _ask(connection, b"b") == b"b"
    port = proxy.port
    proxy.heal()
    assert proxy.port == port
    with _connect(proxy) as connection:
        assert _ask(connection, b"c") == b"c"


def test_resets_what_is_open(proxy: TcpProxy) -> None:
    with _connect(proxy) as connection:
        assert _ask(connection, b"a") == b"a"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            _ask(connection, b"b")


@pytest.mark.parametrize("direction", Direction)
def test_is_silent_one_way_until_it_heals(proxy: TcpProxy, direction: Direction) -> None:
    with _connect(proxy) as connection:
        assert _ask(connection, b"a") == b"a"
        proxy.black_hole(direction)
        connection.settimeout(0.3)
        connection.sendall(b"b")
        with pytest.raises(TimeoutError):
            connection.recv(1)
        proxy.heal()
        connection.settimeout(2)
        assert connection.recv(1) == b"b"


def test_a_new_connection_through_a_black_hole_is_silent(proxy: TcpProxy) -> None:
    proxy.black_hole()
    with _connect(proxy) as connection:
        connection.settimeout(0.3)
        connection.sendall(b"a")
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_delays_without_spacing_out(proxy: TcpProxy) -> None:
    proxy.slow_down(latency=0.2)
    with _connect(proxy) as connection:
        started = time.monotonic()
        for _ in range(10):
            connection.sendall(b"x")
            time.sleep(0.01)
        received = b""
        while len(received) < 10:
            received += connection.recv(64)
        took = time.monotonic() - started
    assert 0.4 <= took < 1.5


def test_drips(proxy: TcpProxy) -> None:
    proxy.shape(Shape(bytes_per_second=50), Direction.TO_CLIENT)
    with _connect(proxy) as connection:
        started = time.monotonic()
        assert _ask(connection, b"x" * 20) == b"x" * 20
        assert time.monotonic() - started >= 0.35


def test_cuts_after_so_many_bytes(proxy: TcpProxy) -> None:
    proxy.shape(Shape(cut_after=5), Direction.TO_CLIENT)
    with _connect(proxy) as connection:
        assert _ask(connection, b"abc") == b"abc"
        connection.sendall(b"defg")
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(64):
                received += piece
    # What had arrived may be lost to the reset; what lies behind the cut never comes.
    assert b"de".startswith(received)


def test_an_answer_that_nobody_hears(proxy: TcpProxy) -> None:
    proxy.cut_after_answer_to(b"COMMIT", times=1)
    with _connect(proxy) as connection:
        assert _ask(connection, b"BEGIN") == b"BEGIN"
        with pytest.raises(ConnectionResetError):
            _ask(connection, b"COMMIT")
    assert proxy.cuts == 1
    with _connect(proxy) as connection:
        assert _ask(connection, b"COMMIT") == b"COMMIT"


def test_a_server_that_is_away_resets(proxy: TcpProxy) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = free.getsockname()[:2]
    with TcpProxy((str(nobody[0]), int(nobody[1]))) as lonely:
        # The reset may be there before the client has noticed that it is connected.
        with pytest.raises(ConnectionResetError), _connect(lonely) as connection:
            connection.recv(1)
        wait_for(lambda: lonely.accepted, seconds=2)
