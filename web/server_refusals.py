"""Requests that the server refuses before the application sees them are problem documents, too, with an id that the log has."""

import json
import socket
import uuid

import gunicorn.util
import structlog

from web import problem_types, problems
from web.problem_types import ProblemType
from web.request_log import SECURITY_HEADERS

OF_STATUS = {
    414: problem_types.REQUEST_LINE_TOO_LONG,
    431: problem_types.HEADERS_TOO_LARGE,
    500: problem_types.INTERNAL_ERROR,
}

log = structlog.get_logger("web.access")


def install() -> None:
    """Let gunicorn's workers write them so."""
    gunicorn.util.write_error = write


def write(sock: socket.socket, status: int, _reason: str, detail: str) -> None:
    """Answer in the place of gunicorn's page for people."""
    kind = OF_STATUS.get(status, problem_types.MALFORMED)
    request_id = uuid.uuid4().hex
    log.info("request", request_id=request_id, method=None, path=None, status=kind.status)
    gunicorn.util.write_nonblock(sock, answer(kind, detail, request_id))


def answer(kind: ProblemType, detail: str, request_id: str) -> bytes:
    said = detail if kind is not problem_types.INTERNAL_ERROR else "An unforeseen error; the log has it."
    body = json.dumps(problems.document(problems.Problem(kind, said or kind.title), request_id=request_id)).encode()
    headers = {
        "Connection": "close",
        "Content-Type": problems.MEDIA_TYPE,
        "Content-Length": str(len(body)),
        "X-Request-Id": request_id,
        **SECURITY_HEADERS,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {kind.status} {kind.title}\r\n{head}\r\n".encode("latin1") + body
