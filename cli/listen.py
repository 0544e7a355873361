"""`reckoner listen`: a receiver of webhooks on this machine, which verifies what comes and prints it."""

import contextlib
import hmac
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import click

from cli import api, invocation, listening, output
from cli.exit_codes import ExitCode
from cli.process_spec import StartError
from workers.deliveries import signing

HOST = "127.0.0.1"
# As the standard advises: a message that is older may have been recorded, and sent again by somebody else.
TOLERANCE_SECONDS = 300
LARGEST_BODY = 1 << 20
HINT = "start the stack with DELIVER_TO_PRIVATE=true: it sends nothing to addresses of this machine otherwise"


@dataclass(frozen=True, slots=True)
class Judged:
    """A message and what is to be thought of it; no fault: it is what it says it is."""

    message_id: str
    fault: str | None
    body: Any


@click.command("listen")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on.  [default: a free one]")
@click.option(
    "--secret", help="Secret of a webhook that leads here already. Without it one is made, and deleted at the end."
)
@click.option("--events", default="*", show_default=True, help="What the webhook that is made is told of.")
@click.option("--status", type=click.IntRange(200, 599), default=204, show_default=True, help="What to answer.")
@click.option("--count", type=click.IntRange(1), help="Stop after so many messages.  [default: at Ctrl-C]")
def command(*, port: int, secret: str | None, events: str, status: int, count: int | None) -> None:
    """Receive webhooks on this machine: verify each message, and print it.

    With `--status 500` one can watch messages being tried again.
    """
    receiver = Receiver(status=status, count=count, as_json=invocation.current().as_json)
    try:
        with receiver.listening(port) as url, _webhook(url, secret, events) as kept:
            receiver.secret = kept
            output.say(f"listening at {url}; Ctrl-C ends it")
            receiver.wait()
    except StartError as error:
        raise invocation.Failure(str(error), ExitCode.USAGE) from error


class Receiver:
    """Takes messages until there have been enough."""

    def __init__(self, *, status: int, count: int | None, as_json: bool) -> None:
        self.status = status
        # The command's context is not that of the threads that take messages.
        self._as_json = as_json
        self.secret: str | None = None
        self._left = count
        self._lock = threading.Lock()
        self._done = threading.Event()

    @contextlib.contextmanager
    def listening(self, port: int) -> Iterator[str]:
        """Listen for the length of the block, at the address that is returned.

        Raises:
            StartError: the port cannot be had.
        """
        with listening.listen(HOST, port, option="--port") as socket:
            server = _Server(socket.getsockname()[:2], _Handler, bind_and_activate=False)
            server.socket.close()
            server.socket, server.receiver = socket, self
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
            thread.start()
            try:
                yield f"{listening.url(HOST, socket.getsockname()[1])}/"
            finally:
                server.shutdown()
                thread.join()

    def wait(self) -> None:
        """Wait until there have been enough messages, or somebody presses Ctrl-C."""
        with contextlib.suppress(KeyboardInterrupt):
            self._done.wait()

    def take(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Print a message; False: it is not from who it says."""
        judged = judge(headers, body, secret=self.secret or "", now=time.time())
        with self._lock:
            _print(judged, as_json=self._as_json)
            if self._left is not None:
                self._left -= 1
                if self._left <= 0:
                    self._done.set()
        return judged.fault is None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        receiver = cast("_Server", self.server).receiver
        size = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        genuine = size <= LARGEST_BODY and receiver.take(headers, self.rfile.read(size))
        self.send_response(receiver.status if genuine else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Say nothing: what comes is printed already."""


def judge(headers: Mapping[str, str], body: bytes, *, secret: str, now: float) -> Judged:
    """Verify a message as Standard Webhooks says: its age, and one of its signatures over id, time and body."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    try:
        content: Any = json.loads(body)
    except ValueError:
        content = body.decode("utf-8", "replace")
    given = headers.get("webhook-signature", "").split()
    if not message_id or not timestamp.isdecimal() or not given:
        return Judged(message_id, "has no signature", content)
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        return Judged(message_id, "too old, or from the future", content)
    expected = signing.signature(message_id, int(timestamp), body, secret).encode()
    if not any(hmac.compare_digest(expected, one.encode()) for one in given):
        return Judged(message_id, "its signature is not right", content)
    return Judged(message_id, None, content)


def _print(judged: Judged, *, as_json: bool) -> None:
    if as_json:
        output.emit_json({"id": judged.message_id, "verified": judged.fault is None, "message": judged.body})
        return
    kind = judged.body.get("type", "?") if isinstance(judged.body, dict) else "?"
    verdict = "verified" if judged.fault is None else f"NOT VERIFIED: {judged.fault}"
    output.say(f"{time.strftime('%H:%M:%S')}  {kind}  {judged.message_id}  {verdict}")
    about = judged.body.get("data") if isinstance(judged.body, dict) else judged.body
    output.say(f"          {json.dumps(about, ensure_ascii=False)}")


@contextlib.contextmanager
def _webhook(url: str, secret: str | None, events: str) -> Iterator[str]:
    """Give the secret that messages are verified with: the one that is there, or that of a webhook made for the block."""
    if secret is not None:
        yield secret
        return
    with api.connect() as server:
        body = {"url": url, "events": [event.strip() for event in events.split(",")], "description": "reckoner listen"}
        try:
            made = server.post("/v1/webhooks", body)
        except invocation.Failure as error:
            if _is_closed(error):
                raise invocation.Failure(HINT, ExitCode.USAGE) from error
            raise
        try:
            yield made["secret"]
        finally:
            server.delete(f"/v1/webhooks/{made['id']}")


def _is_closed(error: invocation.Failure) -> bool:
    """Whether the server sends nothing to addresses of this machine."""
    problem = error.details.get("problem")
    fields = problem.get("errors") or [] if isinstance(problem, dict) else []
    return any(field.get("code") in {"private-address", "not-https"} for field in fields)
