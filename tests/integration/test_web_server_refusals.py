"""What the server refuses before the application sees it is answered as everything else is: a problem, with an id."""

import json
import socket
from collections.abc import Iterator

import pytest

from models import settings
from tests.integration import web_server
from tests.integration.web_api import Caller
from tests.integration.web_server import Server

HEAD = b"GET /healthz HTTP/1.1\r\nHost: here\r\n"


@pytest.fixture(scope="module")
def served(database: settings.Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("server") / "log"
    with web_server.listening() as listener, web_server.running(database, listener, log) as server:
        yield server


def test_requests_that_cannot_be_read_are_problems_too(served: Server) -> None:
    refused = {
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: here\r\n\r\n": (414, "request-line-too-long"),
        HEAD + b"".join(b"X-%d: y\r\n" % number for number in range(80)) + b"\r\n": (431, "headers-too-large"),
        HEAD + b"X-Long: " + b"y" * 9000 + b"\r\n\r\n": (431, "headers-too-large"),
        b"nonsense\r\n\r\n": (400, "malformed-request"),
        b"GET / HTTP/9.9\r\nHost: here\r\n\r\n": (400, "malformed-request"),
        HEAD + b"Bad Name: 1\r\n\r\n": (400, "malformed-request"),
    }
    for sent, (status, slug) in refused.items():
        answered, headers, problem = _send(served.address, sent)
        assert (answered, problem["type"]) == (status, f"/docs/problems/{slug}"), sent[:40]
        assert problem["status"] == status
        assert headers["content-type"] == "application/problem+json"
        assert headers["x-request-id"] == problem["request_id"]
        assert str(problem["request_id"]) in served.log.read_text()


@pytest.mark.parametrize("framing", [b"ZZ\r\nabc\r\n0\r\n\r\n", b"-5\r\nabc", b"3\r\n{}!abc", b"3;\r\n"])
@pytest.mark.parametrize(
    "target",
    [
        b"/v1/reports HTTP/1.1\r\nContent-Type: application/json",
        b"/v1/imports?dataset=orders HTTP/1.1\r\nContent-Type: text/csv",
        b"/v1/imports?dataset=orders HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x",
    ],
)
def test_a_body_in_broken_chunks_is_the_senders_mistake(
    caller: Caller, served: Server, target: bytes, framing: bytes
) -> None:
    key = b"Bearer " + caller.secret.encode()
    head = b"POST " + target + b"\r\nHost: here\r\nTransfer-Encoding: chunked\r\nAuthorization: " + key
    # Reading ends when the server closes the connection: nobody knows where the next request would begin.
    status, _, problem = _send(served.address, head + b"\r\n\r\n" + framing)
    assert (status, problem["type"]) == (400, "/docs/problems/malformed-request"), problem


def test_json_that_ends_before_its_length_is_not_taken(caller: Caller, served: Server) -> None:
    key = b"Bearer " + caller.secret.encode()
    head = b"POST /v1/reports HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nAuthorization: " + key
    sent = head + b'\r\nContent-Length: 400\r\n\r\n{"type": "rfm"}'
    status, _, problem = _send(served.address, sent, ends=True)
    assert (status, problem["type"]) == (400, "/docs/problems/incomplete-body")


def _send(
    address: tuple[str, int], request: bytes, *, ends: bool = False
) -> tuple[int, dict[str, str], dict[str, object]]:
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(request)
        if ends:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), headers, json.loads(body)
