"""Redis that takes connections and never answers: what is asked of the web is answered all the same, and at once."""

import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from models import session, settings
from models.job import Job
from tests.integration import web_server
from tests.integration.web_api import Caller
from tests.integration.web_server import Server

# A message that is sent to it, or a question put to it, comes back after as many seconds as these at the earliest.
BROKER_SECONDS = 3.0


@pytest.fixture(scope="module")
def server(database: settings.Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("gunicorn") / "log"
    with web_server.listening() as listener, socket.create_server(("127.0.0.1", 0), backlog=100) as mute:
        address = f"redis://127.0.0.1:{mute.getsockname()[1]}/0"
        with web_server.running(database, listener, log, REDIS_URL=address) as running:
            yield running


def test_nobody_waits_for_a_broker_that_is_silent(server: Server, ready: Caller) -> None:
    headers = {"Authorization": f"Bearer {ready.secret}"}
    took: list[float] = []
    with httpx.Client(base_url=server.url, headers=headers, timeout=60, trust_env=False) as api:
        for _ in range(10):
            began = time.monotonic()
            answer = api.post("/v1/reports", json={"type": "rfm", "max_age": 0})
            took.append(time.monotonic() - began)
            assert answer.status_code == 202, answer.text
    assert max(took) < BROKER_SECONDS, took
    # None of them was sent: they are in the database, for the rescue sweep.
    with session.transaction() as db:
        job = db.get_one(Job, answer.json()["id"])
        assert job.status == "queued"
