"""What the server refuses before the application sees it is answered as everything else is: a problem, with an id."""

import json
import socket
from pathlib import Path

from models import settings
from tests.integration import web_server

HEAD = b"GET /healthz HTTP/1.1\r\nHost: here\r\n"


def test_requests_that_cannot_be_read_are_problems_too(database: settings.Settings, tmp_path: Path) -> None:
    refused = {
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: here\r\n\r\n": (414, "request-line-too-long"),
        HEAD + b"".join(b"X-%d: y\r\n" % number for number in range(80)) + b"\r\n": (431, "headers-too-large"),
        HEAD + b"X-Long: " + b"y" * 9000 + b"\r\n\r\n": (431, "headers-too-large"),
        b"nonsense\r\n\r\n": (400, "malformed-request"),
        b"GET / HTTP/9.9\r\nHost: here\r\n\r\n": (400, "malformed-request"),
        HEAD + b"Bad Name: 1\r\n\r\n": (400, "malformed-request"),
    }
    log = tmp_path / "log"
    with web_server.listening() as listener, web_server.running(database, listener, log) as server:
        for sent, (status, slug) in refused.items():
            answered, headers, problem = _send(server.address, sent)
            assert (answered, problem["type"]) == (status, f"/docs/problems/{slug}"), sent[:40]
            assert problem["status"] == status
            assert headers["content-type"] == "application/problem+json"
            assert headers["x-request-id"] == problem["request_id"]
            assert str(problem["request_id"]) in log.read_text()


def _send(address: tuple[str, int], request: bytes) -> tuple[int, dict[str, str], dict[str, object]]:
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), headers, json.loads(body)
