"""Around every request: its ids on the answer, headers that keep browsers out of trouble, and one line in the log."""

import time

import flask
import structlog

from web import request_context

# An API's answers are data: nothing in them may run, be framed, be guessed at or be kept by a cache.
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}

_SECURITY_HEADERS = tuple((name.lower(), name, value) for name, value in SECURITY_HEADERS.items())

log = structlog.get_logger("web.access")


def register(app: flask.Flask) -> None:
    app.before_request(_begin)
    app.after_request(_finish)


def _begin() -> None:
    flask.g.began = time.perf_counter()
    request_context.open_context()


def _finish(response: flask.Response) -> flask.Response:
    response.headers["X-Request-Id"] = request_context.request_id()
    said = {name.lower() for name, _ in response.headers}
    for lower, name, value in _SECURITY_HEADERS:
        if lower not in said:
            response.headers.add(name, value)
    _log_when_closed(response)
    return response


def _log_when_closed(response: flask.Response) -> None:
    """Log once the last byte is out: a streamed answer has hardly begun when the view returns."""
    rule = flask.request.url_rule
    line = {
        "request_id": request_context.request_id(),
        "method": flask.request.method,
        # The template and not the path: it groups well, and holds no id and nothing a caller made up.
        "path": rule.rule if rule is not None else None,
        "status": response.status_code,
    }
    if "caller" in flask.g:
        line["organisation_id"] = str(flask.g.caller.organisation_id)
    began = flask.g.get("began", time.perf_counter())

    def write() -> None:
        log.info("request", **line, ms=round((time.perf_counter() - began) * 1000, 1))

    response.call_on_close(write)
