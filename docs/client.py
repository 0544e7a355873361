"""A client for Reckoner in one file, for you to copy: it needs Python 3.11 and nothing else.

    reckoner = Reckoner("http://localhost:8000", "rk_...")
    reckoner.import_file("orders.csv.gz", dataset="orders")
    for row in reckoner.rows(reckoner.report("rfm", {"bins": 4})):
        print(row["customer_id"], row["segment"], row["monetary"])

Every request that could do something twice carries an idempotency key and is sent again, with the same key, after a broken
connection, 429 or 503: there is one job however often it was sent. Money comes as `Decimal`.
"""

import base64
import hashlib
import hmac
import http.client
import json
import random
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from email.message import Message
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

Json = dict[str, Any]
T = TypeVar("T")

FINAL = frozenset({"succeeded", "failed", "cancelled"})
# 409 says that the same key is being decided at this moment, if it also says when to come back.
WORTH_ANOTHER_TRY = frozenset({409, 429, 502, 503, 504})
# One long poll; the server holds no answer back for longer.
LONGEST_WAIT = 30
PIECE = 1024 * 1024
WEBHOOK_TOLERANCE_SECONDS = 300


class ReckonerError(Exception):
    """What went wrong, in words; see its subclasses."""


class Unreachable(ReckonerError):  # noqa: N818 - reads as what happened
    """The server did not answer, or only that it cannot now, for as long as one was prepared to try."""


class Problem(ReckonerError):  # noqa: N818 - its name in RFC 9457
    """The server refused a request (RFC 9457).

    Attributes:
        status: the HTTP status.
        type: the address of a page about this kind of problem; stable, so compare this.
        errors: which fields were wrong, each with `pointer`, `code` and `detail`.
        request_id: by which the server's log knows the request.
    """

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        super().__init__(document.get("detail") or document.get("title") or f"HTTP {status}")
        self.status = status
        self.type = str(document.get("type", "about:blank"))
        self.errors: list[Json] = list(document.get("errors") or [])
        self.request_id = document.get("request_id")


class JobFailed(ReckonerError):  # noqa: N818 - reads as what happened
    """A job ended as failed or cancelled; `job` is the whole of it."""

    def __init__(self, job: Json) -> None:
        error = job.get("error") or {}
        super().__init__(error.get("detail") or f"the job {job['id']} was {job['status']}")
        self.job = job


class NotDone(ReckonerError):  # noqa: N818 - reads as what happened
    """A job is still at work; `job` is how it was when last looked at. Wait again for as long as you like."""

    def __init__(self, job: Json) -> None:
        super().__init__(f"the job {job['id']} is still {job['status']}")
        self.job = job


class Reckoner:
    """One organisation's access to a server.

    Args:
        url: where the server is, such as `https://reckoner.example.com`.
        key: the API key, `rk_...`.
        patience: for how many seconds a request is tried again while the server is away or busy.
        timeout: seconds without a byte after which a connection counts as broken.
    """

    def __init__(self, url: str, key: str, *, patience: float = 120, timeout: float = 60) -> None:
        self._at = urllib.parse.urlsplit(url)
        self._key = key
        self._patience = patience
        self._timeout = max(timeout, LONGEST_WAIT + 10.0)

    def import_file(self, path: str | Path, dataset: str, *, seconds: float = 3600, **options: Any) -> Json:
        """Import a file and wait until it is in.

        Args:
            path: CSV, NDJSON, JSON, XLSX or Parquet, as it is or compressed.
            dataset: such as `orders`.
            seconds: how long to wait.
            options: `mode`, `mapping`, `timezone`, `date_format`, `decimal`, ... as the API names them.

        Returns:
            The job; `rows` says how many were inserted, updated, unchanged and rejected.
        """
        asked = {name: json.dumps(one) if isinstance(one, dict | list) else one for name, one in options.items()}
        return self.wait(self._post(_with("/v1/imports", {"dataset": dataset, **asked}), Path(path)), seconds=seconds)

    def submit(self, report_type: str, params: Json | None = None, **options: Any) -> Json:
        """Ask for a report and return its job at once; `options` are `max_age`, `priority`, `label`, `dataset_versions`."""
        return self._post("/v1/reports", {"type": report_type, "params": params or {}, **options})

    def report(self, report_type: str, params: Json | None = None, *, seconds: float = 3600, **options: Any) -> Json:
        """Ask for a report, wait until it is computed, and return its job."""
        return self.wait(self.submit(report_type, params, **options), seconds=seconds)

    def wait(self, job: Json, *, seconds: float = 3600) -> Json:
        """Wait until a job has succeeded and return it as it is then.

        Raises:
            JobFailed: it ended otherwise.
            NotDone: it has not ended in time.
        """
        deadline = time.monotonic() + seconds
        while job["status"] not in FINAL:
            left = deadline - time.monotonic()
            if left <= 0:
                raise NotDone(job)
            job = self._get(_with(job["links"]["self"], {"wait": int(min(LONGEST_WAIT, max(1, left)))}))
        if job["status"] != "succeeded":
            raise JobFailed(job)
        return job

    def result(self, job: Json) -> Json:
        """Return the whole result: columns, rows, summary, warnings, rows left out by reason, invariants."""
        return self._get(_with(job["links"]["result"], {"format": "json"}))

    def rows(self, job: Json, *, page: int = 1000) -> Iterator[Json]:
        """Yield the result's rows by column name, page after page; decimals as `Decimal`."""
        at: str | None = _with(f"{job['links']['self']}/rows", {"limit": page})
        while at is not None:
            answer = self._get(at)
            columns = [(one["name"], one["type"] in {"decimal", "money"}) for one in answer["columns"]]
            for row in answer["data"]:
                cells = zip(columns, row, strict=True)
                yield {name: Decimal(cell) if exact and cell is not None else cell for (name, exact), cell in cells}
            at = answer["next"]

    def save(self, job: Json, path: str | Path, *, format: str | None = None) -> Path:  # noqa: A002 - the API's word
        """Write a result into a file, whole or not at all; the format is that of the ending if it is not said."""
        path = Path(path)
        unfinished = path.with_name(f"{path.name}.part")
        address = _with(job["links"]["result"], {"format": format or path.suffix.lstrip(".")})

        def fetch(answer: http.client.HTTPResponse) -> None:
            length = answer.headers["Content-Length"]
            with unfinished.open("wb") as file:
                while piece := answer.read(PIECE):
                    file.write(piece)
                if length is not None and file.tell() != int(length):
                    raise ConnectionError(f"broke off after {file.tell()} of {length} bytes")

        self._asked("GET", address, None, {}, fetch)
        return unfinished.replace(path)

    def cancel(self, job: Json, reason: str | None = None) -> Json:
        """End a job that has not finished."""
        return self._post(job["links"]["cancel"], {"reason": reason} if reason else {})

    def rerun(self, job: Json) -> Json:
        """Do again what a finished job did, as a new job."""
        return self._post(job["links"]["rerun"])

    def listing(self, path: str, **filters: Any) -> Iterator[Json]:
        """Yield what a list of the API holds, page after page, such as `listing("/v1/reports", status="failed")`."""
        at: str | None = _with(path, filters)
        while at is not None:
            answer = self._get(at)
            yield from answer["data"]
            at = answer["next"]

    def _get(self, path: str) -> Json:
        return self._asked("GET", path, None, {}, _as_json)

    def _post(self, path: str, body: Json | Path | None = None) -> Json:
        return self._asked("POST", path, body, {"Idempotency-Key": str(uuid.uuid4())}, _as_json)

    def _asked(
        self,
        method: str,
        path: str,
        body: Json | Path | None,
        headers: Mapping[str, str],
        use: Callable[[http.client.HTTPResponse], T],
    ) -> T:
        """Send a request until it is answered whole, and use the answer: each try is the same request with the same key."""
        deadline = time.monotonic() + self._patience
        pause = 0.5
        while True:
            said: str | None = None
            connection = self._connection()
            try:
                answer = self._answer(connection, method, path, body, headers)
                if answer.status < HTTPStatus.BAD_REQUEST:
                    return use(answer)
                said = answer.headers["Retry-After"]
                why: Exception = Problem(answer.status, _document(answer))
                if answer.status not in WORTH_ANOTHER_TRY or (answer.status == HTTPStatus.CONFLICT and said is None):
                    raise why
            except (OSError, http.client.HTTPException) as error:
                why = error
            finally:
                connection.close()
            # Clients that broke down together do not come back together.
            nap = max(_seconds(said), pause * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            if time.monotonic() + nap > deadline:
                raise Unreachable(f"{method} {path} was not answered within {self._patience:g} s: {why}") from why
            time.sleep(nap)
            pause = min(2 * pause, 15)

    def _connection(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._at.scheme == "https" else http.client.HTTPConnection
        return kind(self._at.hostname or "", self._at.port, timeout=self._timeout, blocksize=PIECE)

    def _answer(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Json | Path | None,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        said = {"Authorization": f"Bearer {self._key}", "User-Agent": "reckoner-client/1", **headers}
        address = f"{self._at.path.rstrip('/')}{path}"
        if not isinstance(body, Path):
            content = None if body is None else json.dumps(body).encode()
            kind = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, address, body=content, headers={**said, **kind})
            return connection.getresponse()
        said |= {"Content-Type": "application/octet-stream", "Content-Length": str(body.stat().st_size)}
        with body.open("rb") as file:
            try:
                connection.request(method, address, body=file, headers=said)
            except (BrokenPipeError, ConnectionResetError):
                # A file that is refused is not read to its end; why it was refused may be there all the same.
                if connection.sock is None:
                    raise
        return connection.getresponse()


def verify_webhook(secret: str, headers: Mapping[str, str] | Message, body: bytes, *, now: float | None = None) -> Json:
    """Return the event that a webhook brought, once it is certain that the server has sent it (Standard Webhooks 1.0).

    Args:
        secret: `whsec_...`, as it was shown when the webhook was made.
        headers: of the request.
        body: of the request, byte for byte.
        now: the time it is, for tests.

    Raises:
        ValueError: somebody else has sent it, or it is too old.
    """
    given = {name.lower(): value for name, value in headers.items()}
    identity, sent_at = given["webhook-id"], given["webhook-timestamp"]
    if abs((time.time() if now is None else now) - int(sent_at)) > WEBHOOK_TOLERANCE_SECONDS:
        raise ValueError(f"the webhook is from {sent_at}")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{identity}.{sent_at}.".encode() + body, hashlib.sha256)
    expected = f"v1,{base64.b64encode(digest).decode()}"
    if not any(hmac.compare_digest(one, expected) for one in given["webhook-signature"].split()):
        raise ValueError("the signature is not the server's")
    event: Json = json.loads(body)
    return event


def _with(path: str, query: Mapping[str, Any]) -> str:
    said = {name: _word(value) for name, value in query.items() if value is not None}
    return f"{path}?{urllib.parse.urlencode(said)}" if said else path


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _seconds(retry_after: str | None) -> float:
    return float(retry_after) if retry_after is not None and retry_after.isdigit() else 0.0


def _as_json(answer: http.client.HTTPResponse) -> Json:
    document: Json = json.loads(answer.read())
    return document


def _document(answer: http.client.HTTPResponse) -> Json:
    """Return the problem document; a proxy in between may answer with something else."""
    try:
        document = json.loads(answer.read())
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
