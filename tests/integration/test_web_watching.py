"""Callers who wait for jobs and follow their events, by the dozen, against a real server: nobody is in another's way.

And none of them loses anything when the server, or PostgreSQL, is restarted meanwhile.
"""

import concurrent.futures
import contextlib
import http.client
import json
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import psutil
import pyarrow as pa
import pytest
import sqlalchemy

from models import session, settings
from tests.integration import event_reading, web_api, web_server
from tests.integration.event_reading import Event, Retry
from tests.integration.web_api import Caller
from tests.integration.web_server import Server

TABLE = pa.table({"n": [1]})
# More of each than there are seats.
MANY = 30
SEATS = 4
PATIENCE = 30.0


@dataclass(frozen=True)
class Site:
    """Where one server after another runs."""

    configured: settings.Settings
    listener: socket.socket
    log: Path

    def serve(self) -> contextlib.AbstractContextManager[Server]:
        return web_server.running(self.configured, self.listener, self.log, WEB_THREADS=str(SEATS))


@pytest.fixture(scope="module")
def site(database: settings.Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with web_server.listening() as listener:
        yield Site(database, listener, tmp_path_factory.mktemp("watching") / "log")


@pytest.fixture(scope="module")
def server(site: Site) -> Iterator[Server]:
    with site.serve() as running:
        yield running


@pytest.fixture
def api(server: Server, ready: Caller) -> Iterator[httpx.Client]:
    with client_of(server, ready) as client:
        yield client


def client_of(server: Server, caller: Caller) -> httpx.Client:
    limits = httpx.Limits(max_connections=None)
    headers = {"Authorization": f"Bearer {caller.secret}"}
    return httpx.Client(base_url=server.url, headers=headers, timeout=PATIENCE, limits=limits, trust_env=False)


def submit(api: httpx.Client) -> dict[str, Any]:
    answer = api.post("/v1/reports", json={"type": "rfm", "max_age": 0})
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()
    return made


@dataclass
class Follower:
    """A client that follows a job's events and comes again with the last id, as browsers do."""

    api: httpx.Client
    path: str
    told: list[Event] = field(default_factory=list)
    hints: list[Retry] = field(default_factory=list)

    @contextlib.contextmanager
    def connected(self) -> Iterator[Iterator[Event]]:
        headers = {"Last-Event-ID": self.told[-1].id} if self.told else {}
        with self.api.stream("GET", self.path, headers=headers) as answer:
            assert answer.status_code == 200
            yield self._read(answer)

    def _read(self, answer: httpx.Response) -> Iterator[Event]:
        for one in event_reading.read(answer.iter_lines()):
            if isinstance(one, Event):
                self.told.append(one)
                yield one
            elif isinstance(one, Retry):
                self.hints.append(one)

    @property
    def statuses(self) -> list[str]:
        return [event.status for event in self.told if event.kind == "state"]


def test_waiting_over_a_socket(api: httpx.Client) -> None:
    job = submit(api)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(api.get, job["links"]["self"], headers={"Prefer": "wait=20"})
        web_api.finish(job["id"], TABLE)
        answer = waiting.result(PATIENCE)
    assert answer.json()["status"] == "succeeded"
    assert answer.headers["Preference-Applied"] == "wait=20"


def test_many_who_wait_and_follow_take_no_seat(server: Server, api: httpx.Client) -> None:
    job = submit(api)
    followers = [Follower(api, job["links"]["events"]) for _ in range(MANY)]
    with contextlib.ExitStack() as open_streams, concurrent.futures.ThreadPoolExecutor(MANY) as pool:
        streams = [open_streams.enter_context(follower.connected()) for follower in followers]
        waits = [pool.submit(api.get, f"{job['links']['self']}?wait=30") for _ in range(MANY)]
        # All of them are being served, which with a seat each they could not be.
        assert [next(stream).status for stream in streams] == ["queued"] * MANY
        assert web_server.wait_for(lambda: server.worker.num_threads() > 2 * MANY)
        answers = [api.get("/v1/jobs") for _ in range(10)]
        assert {answer.status_code for answer in answers} == {200}
        assert not any(wait.done() for wait in waits)
        web_api.finish(job["id"], TABLE)
        for stream in streams:
            assert list(stream)[-1].status == "succeeded"
        assert {wait.result(PATIENCE).json()["status"] for wait in waits} == {"succeeded"}
    assert {tuple(follower.statuses) for follower in followers} == {("queued", "running", "succeeded")}


def test_a_follower_outlasts_a_restart_of_postgresql(database: settings.Settings, api: httpx.Client) -> None:
    job = submit(api)
    follower = Follower(api, job["links"]["events"])
    with follower.connected() as stream:
        assert next(stream).status == "queued"
        web_api.start(job["id"])
        assert next(stream).status == "running"
        restart_postgresql()
        with session.transaction() as db:
            db.execute(
                sqlalchemy.text('UPDATE jobs SET progress = \'{"phase": "after"}\' WHERE id = :id'), {"id": job["id"]}
            )
        assert next(stream).data["progress"]["phase"] == "after"


def restart_postgresql() -> None:
    """Kill a backend: PostgreSQL ends all others, recovers as after a crash, and takes connections again."""
    before = checkpointer()
    with session.engine().connect() as connection:
        backend = psutil.Process(connection.scalar(sqlalchemy.text("SELECT pg_backend_pid()")))
        backend.kill()
        connection.invalidate()
    session.engine().dispose()
    assert web_server.wait_for(lambda: checkpointer() not in {None, before}, PATIENCE)


def checkpointer() -> int | None:
    """The process that PostgreSQL has one of, and a new one after each restart; None while it does not answer."""
    query = sqlalchemy.text("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
    with contextlib.suppress(sqlalchemy.exc.OperationalError), session.engine().connect() as connection:
        pid: int | None = connection.scalar(query)
        return pid
    return None


def connections(server: Server) -> int:
    """How many connections the server has taken."""
    return sum(one.status == psutil.CONN_ESTABLISHED for one in server.worker.net_connections("tcp4"))


class Upload:
    """An upload of which a part has been sent."""

    def __init__(self, server: Server, caller: Caller) -> None:
        self._connection = http.client.HTTPConnection(*server.address, timeout=PATIENCE)
        self._connection.putrequest("POST", "/v1/imports?dataset=orders")
        self._connection.putheader("Authorization", f"Bearer {caller.secret}")
        self._connection.putheader("Transfer-Encoding", "chunked")
        self._connection.endheaders()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(self, data: bytes) -> None:
        self._connection.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def finish(self) -> tuple[int, Any]:
        self._connection.send(b"0\r\n\r\n")
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_a_server_that_stops_finishes_what_is_under_way(
    site: Site, server: Server, ready: Caller, api: httpx.Client
) -> None:
    """Uploads and downloads are finished, who waits is answered, streams of events end; the next server goes on with them."""
    job, long_one = submit(api), submit(api)
    # More than fits between a server that sends and a client that does not read.
    web_api.finish(long_one["id"], pa.table({"n": ["x" * 1000] * 20_000}), rows_per_chunk=2_000)
    follower = Follower(api, job["links"]["events"])
    download = f"{long_one['links']['result']}?format=csv"
    with (
        follower.connected() as stream,
        Upload(server, ready) as upload,
        api.stream("GET", download, headers={"Accept-Encoding": "identity"}) as answer,
        client_of(server, ready) as another,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        upload.send(web_api.CSV)
        lines = answer.iter_lines()
        assert next(lines) == "n"
        assert next(stream).status == "queued"
        before = connections(server)
        waiting = pool.submit(another.get, f"{job['links']['self']}?wait=30")
        assert web_server.wait_for(lambda: connections(server) > before)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert waiting.result(PATIENCE).json()["status"] == "queued"
        assert time.monotonic() - began < 20
        assert list(stream) == []
        assert follower.hints[-1] == Retry(1000)
        assert server.process.poll() is None
        upload.send(web_api.CSV.splitlines(keepends=True)[1].replace(b"1,", b"2,"))
        status, accepted = upload.finish()
        assert (status, accepted["status"]) == (202, "queued")
        assert sum(1 for _ in lines) == 20_000
    assert server.process.wait(PATIENCE) == 0
    web_api.finish(job["id"], TABLE)
    with site.serve() as following, client_of(following, ready) as client:
        again = Follower(client, follower.path, told=follower.told)
        with again.connected() as stream:
            assert [event.status for event in stream] == ["running", "succeeded"]
        assert again.statuses == ["queued", "running", "succeeded"]
