"""The API as it is served: a real gunicorn process, real sockets, clients that misbehave."""

import concurrent.futures
import contextlib
import http.client
import json
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from typing import TypeVar

import httpx
import psutil
import pyarrow as pa
import pytest
import sqlalchemy

from models import session, settings
from models.result import ResultChunk
from tests.integration import web_api, web_server
from tests.integration.web_api import Caller
from tests.integration.web_server import Server, wait_for

T = TypeVar("T")

# What is shared with other processes counts by each one's share: the parent's imports, and libraries.
MOST_MEMORY = 100 * 1024 * 1024
MOST_GROWTH = 8 * 1024 * 1024
ROWS = 200_000


@pytest.fixture(scope="module")
def server(database: settings.Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("gunicorn") / "log"
    with web_server.listening() as listener, web_server.running(database, listener, log) as running:
        yield running


@pytest.fixture
def api(server: Server, caller: Caller) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {caller.secret}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=60) as client:
        yield client


def files(server: Server) -> set[str]:
    return {path.name for path in server.uploads.iterdir()} if server.uploads.exists() else set()


def test_an_upload_without_a_length_streams_to_the_disk(server: Server, api: httpx.Client) -> None:
    piece = b"1,a,2026-01-02,10.50\n" * 5000
    pieces = [web_api.CSV] + [piece] * 400
    api.post("/v1/imports?dataset=orders", content=web_api.CSV)  # what is made once has been made after this
    before = server.worker.memory_info().rss
    answer = api.post("/v1/imports?dataset=orders", content=iter(pieces))
    assert answer.status_code == 202, answer.text
    assert (server.uploads / answer.json()["id"]).stat().st_size == sum(map(len, pieces)) > 40_000_000
    assert server.worker.memory_info().rss - before < 10_000_000


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_client_that_dies_in_mid_upload_leaves_nothing(server: Server, caller: Caller, framing: str) -> None:
    before = files(server)
    head = "Content-Length: 100000000" if framing == "length" else "Transfer-Encoding: chunked"
    request = f"POST /v1/imports?dataset=orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {caller.secret}\r\n{head}\r\n\r\n"
    body = b"1,a,2026-01-02,10.50\n" * 50_000
    with socket.create_connection(server.address) as connection:
        connection.sendall(request.encode())
        connection.sendall(body if framing == "length" else f"{len(body):x}\r\n".encode() + body + b"\r\n")
        assert wait_for(lambda: files(server) - before), "the upload never began"
    assert wait_for(lambda: files(server) == before), files(server) - before
    assert caller.get("/v1/imports").json["data"] == []


def test_a_body_above_the_limit_is_refused_before_it_is_sent(server: Server, caller: Caller) -> None:
    connection = http.client.HTTPConnection(*server.address, timeout=20)
    connection.putrequest("POST", "/v1/imports?dataset=orders")
    connection.putheader("Authorization", f"Bearer {caller.secret}")
    connection.putheader("Content-Length", str(1 << 50))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert json.loads(answer.read())["type"] == "/docs/problems/too-large"
    connection.close()


def test_a_long_result_streams_and_the_worker_stays_small(server: Server, caller: Caller, api: httpx.Client) -> None:
    web_api.give_dataset(caller)
    job = api.post("/v1/reports", json={"type": "rfm"}).json()
    table = pa.table({"name": [f"customer {number}" for number in range(ROWS)], "orders": list(range(ROWS))})
    web_api.finish(job["id"], table, rows_per_chunk=20_000)
    for path in ("/docs", "/openapi.json", "/v1/report-types/rfm", "/v1/datasets", "/readyz"):
        assert api.get(path).status_code == 200
    assert len(api.get(job["links"]["result"]).json()["rows"]) == ROWS  # what is made once has been made after this
    before = server.worker.memory_full_info().uss
    for _ in range(3):
        answer = api.get(job["links"]["result"], params={"format": "csv"})
        assert answer.status_code == 200
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert len(answer.content.splitlines()) == ROWS + 1
    memory = server.worker.memory_full_info()
    assert memory.uss - before <= MOST_GROWTH, f"{before:,} to {memory.uss:,} bytes"
    assert memory.pss <= MOST_MEMORY, f"{memory.pss:,} bytes"


def test_a_result_that_breaks_off_is_never_taken_for_whole(caller: Caller, api: httpx.Client) -> None:
    web_api.give_dataset(caller)
    job = api.post("/v1/reports", json={"type": "rfm"}).json()
    stored = web_api.finish(job["id"], pa.table({"n": list(range(4000))}), rows_per_chunk=500)
    with session.transaction() as db:
        db.delete(db.get_one(ResultChunk, (stored.job_id, 5)))
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
        api.get(job["links"]["result"], params={"format": "csv"})


def test_a_renderer_that_is_killed_is_replaced(server: Server, caller: Caller, api: httpx.Client) -> None:
    web_api.give_dataset(caller)
    job = api.post("/v1/reports", json={"type": "rfm"}).json()
    web_api.finish(job["id"], pa.table({"n": [1, 2]}))
    assert api.get(job["links"]["result"]).status_code == 200
    renderers = [child for child in server.worker.children() if "spawn_main" in " ".join(child.cmdline())]
    assert renderers
    for renderer in renderers:
        renderer.send_signal(signal.SIGKILL)
    assert api.get(job["links"]["result"]).json()["rows"] == [[1], [2]]


def test_the_log_has_ids_and_no_secrets(server: Server, caller: Caller, api: httpx.Client) -> None:
    marker = f"mark-{uuid.uuid4()}"
    api.get("/v1/reports?type=rfm&status=failed", headers={"X-Request-Id": marker})
    assert wait_for(lambda: marker in server.log.read_text())
    line = next(json.loads(line) for line in server.log.read_text().splitlines() if marker in line)
    assert (line["method"], line["path"], line["status"]) == ("GET", "/v1/reports", 200)
    assert line["organisation_id"] == str(caller.organisation_id)
    assert line["ms"] > 0
    assert caller.secret not in server.log.read_text()


@contextlib.contextmanager
def frozen_database() -> Iterator[None]:
    with session.engine().connect() as connection:
        backend = psutil.Process(connection.scalar(sqlalchemy.text("SELECT pg_backend_pid()")))
    postmaster = backend.parent()
    assert postmaster is not None
    stopped = [postmaster, *postmaster.children()]
    for process in stopped:
        process.suspend()
    try:
        yield
    finally:
        for process in stopped:
            process.resume()


def test_a_frozen_database_is_503_within_five_seconds(caller: Caller, api: httpx.Client) -> None:
    web_api.give_dataset(caller)
    _all_at_once(lambda: api.get("/v1/jobs"))
    before = len(api.get("/v1/jobs").json()["data"])
    with frozen_database():
        # At first there are connections in the pool; afterwards each request has to open one.
        answers = [answer for _ in range(2) for answer in _all_at_once(lambda: _timed(lambda: _submit(api)))]
    assert {answer.status_code for answer, _ in answers} == {503}
    assert {answer.headers["Retry-After"] for answer, _ in answers} == {"5"}
    assert max(seconds for _, seconds in answers) < 5.0
    assert wait_for(lambda: api.get("/v1/jobs").status_code == 200)
    assert len(api.get("/v1/jobs").json()["data"]) == before
    assert _submit(api).status_code == 202


def _submit(api: httpx.Client) -> httpx.Response:
    return api.post("/v1/reports", json={"type": "rfm"})


def _all_at_once(send: Callable[[], T]) -> list[T]:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return [future.result() for future in [pool.submit(send) for _ in range(8)]]


def _timed(send: Callable[[], httpx.Response]) -> tuple[httpx.Response, float]:
    began = time.monotonic()
    return send(), time.monotonic() - began


def test_it_ends_soon_and_leaves_no_process(database: settings.Settings, server: Server) -> None:
    family = psutil.Process(server.process.pid).children(recursive=True)
    server.process.terminate()
    assert server.process.wait(20) == 0
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []
