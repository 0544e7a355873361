"""The HTTP API as the command line uses it: like any other program, with a key, and problems told in words."""

import http
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self

import httpx

from cli import kept_key, runtime_file
from cli.exit_codes import ExitCode
from cli.invocation import Failure
from cli.output import Reporter
from models import settings

POLL_SECONDS = 0.1
UPLOAD_BLOCK = 1 << 20
FINAL = {"succeeded", "failed", "cancelled"}

Json = dict[str, Any]


class Api:
    """One server and one key."""

    def __init__(self, url: str, key: str) -> None:
        self._client = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=httpx.Timeout(60.0, connect=5.0)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, **params: Any) -> Json:
        return _checked(self._send("GET", path, params=params)).json()  # type: ignore[no-any-return]

    def post(self, path: str, body: Json | None = None) -> Json:
        return _checked(self._send("POST", path, json=body)).json()  # type: ignore[no-any-return]

    def patch(self, path: str, body: Json) -> Json:
        return _checked(self._send("PATCH", path, json=body)).json()  # type: ignore[no-any-return]

    def delete(self, path: str, **params: Any) -> Json:
        return _checked(self._send("DELETE", path, params=params)).json()  # type: ignore[no-any-return]

    def upload(self, file: Path, params: Mapping[str, Any], report: Reporter, *, path: str = "/v1/imports") -> Json:
        """Send a file to be imported or previewed, block by block; the answer is the job."""
        size = file.stat().st_size
        with file.open("rb") as source:
            answer = self._send(
                "POST",
                path,
                params=params,
                content=_blocks(source, size, report),
                headers={
                    "Content-Length": str(size),
                    "Content-Type": "application/octet-stream",
                    "Content-Disposition": f"attachment; filename*=UTF-8''{quoted(file.name)}",
                },
            )
        return _checked(answer).json()  # type: ignore[no-any-return]

    def wait(self, job: Json, report: Reporter) -> Json:
        """Follow a job to its end.

        Raises:
            Failure: it failed or was cancelled.
        """
        path = job["links"]["self"]
        while job["status"] not in FINAL:
            progress = job["progress"] or {}
            report(progress.get("phase") or job["status"], progress.get("done"), progress.get("total"))
            time.sleep(POLL_SECONDS)
            job = self.get(path)
        if job["status"] != "succeeded":
            raise Failure(_why(job), ExitCode.JOB_FAILED, job=job)
        report("done", 1, 1)
        return job

    @contextmanager
    def stream(self, path: str, **params: Any) -> Iterator[httpx.Response]:
        """Open an answer that may be long, to be read block by block."""
        try:
            with self._client.stream("GET", path, params=params) as answer:
                if answer.is_error:
                    answer.read()
                yield _checked(answer)
        except httpx.TransportError as error:
            raise _unreachable(self._client.base_url, error) from error

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **arguments)
        except httpx.TransportError as error:
            raise _unreachable(self._client.base_url, error) from error


def connect() -> Api:
    """Reach the server that the settings name, or the stack that runs under the home.

    Raises:
        Failure: no stack runs there, or there is no key for it.
    """
    configured = settings.load()
    url = configured.reckoner_url
    if url is None:
        running = runtime_file.read(configured.home)
        if running is None:
            raise Failure(f"no stack runs in {configured.home}; start one with `reckoner up`", ExitCode.UNREACHABLE)
        url = running.web_url
    key = configured.reckoner_api_key
    secret = key.get_secret_value() if key is not None else kept_key.read(configured.home)
    if secret is None:
        raise Failure(
            "there is no API key: make one with `reckoner keys create` and set RECKONER_API_KEY", ExitCode.USAGE
        )
    return Api(url, secret)


def _blocks(source: IO[bytes], size: int, report: Reporter) -> Iterator[bytes]:
    sent = 0
    while block := source.read(UPLOAD_BLOCK):
        yield block
        sent += len(block)
        report("upload", sent, size)


def quoted(name: str) -> str:
    return urllib.parse.quote(name, safe="")


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    code = ExitCode.FAILED
    if answer.status_code in {
        http.HTTPStatus.BAD_REQUEST,
        http.HTTPStatus.NOT_FOUND,
        http.HTTPStatus.UNPROCESSABLE_ENTITY,
    }:
        code = ExitCode.USAGE
    try:
        problem = answer.json()
    except ValueError:
        raise Failure(f"the server answered {answer.status_code}", code) from None
    raise Failure(describe_problem(problem), code, problem=problem)


def describe_problem(problem: Json) -> str:
    """Put a problem document into words: the title, the sentence, and each wrong field."""
    title, fields = problem.get("title", "Refused"), problem.get("errors") or []
    if fields:
        return "\n".join([f"{title}:", *(f"  {item['pointer']}: {item['detail']}" for item in fields)])
    return f"{title}. {problem.get('detail', '')}".rstrip()


def _why(job: Json) -> str:
    if job["status"] == "cancelled":
        return f"job {job['id']} was cancelled"
    return f"job {job['id']} failed. {describe_problem(job['error'] or {})}"


def _unreachable(url: object, error: httpx.TransportError) -> Failure:
    return Failure(f"nothing answers at {url}: {error or type(error).__name__}", ExitCode.UNREACHABLE)
