"""What must be known of Redis beyond what Celery does with it: whether it takes messages, and whether it lost its memory."""

import functools
import os
import re
import uuid
from collections.abc import Iterator

import redis

import celeryconfig
from models import settings

MARK = "reckoner:memory"
PROOF = "reckoner:takes-messages"
PROOF_SECONDS = 60
TIMEOUT_SECONDS = 1.0
# What Celery writes into the header of every message. Reading them all as JSON would take ten times as long.
_TASK_ID = re.compile(rb'"id": ?"([0-9a-f-]{36})"')
_PIECE = 500


@functools.cache
def _client_of_process(pid: int) -> "redis.Redis":  # noqa: ARG001 - the pid is the cache's key: no connection crosses a fork
    # A client whose connections are its own closes them when it is collected, and waits for whoever uses them. At the end of a
    # process that may be a thread that never runs again, and the process would not end.
    connections = redis.ConnectionPool.from_url(
        settings.load().redis_client_url,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=None,
    )
    return redis.Redis(connection_pool=connections)


def client() -> "redis.Redis":
    return _client_of_process(os.getpid())


def ping() -> bool:
    """Tell whether Redis answers within a second and takes what it is given.

    One that is full, read-only or unable to save answers a mere ping and still moves no message.
    """
    try:
        return bool(client().set(PROOF, b"", ex=PROOF_SECONDS))
    except redis.RedisError:
        return False


def lost_memory() -> bool:
    """Tell whether Redis has forgotten what it was told: flushed, wiped, or another server.

    A mark is left at the first look. Where it is missing, so may be the messages. The answer is True once per loss and
    the caller must publish again everything that should be there; answering True once too often only costs duplicates,
    which claims refuse.

    Raises:
        redis.RedisError: Redis cannot be asked.
    """
    return bool(client().set(MARK, str(uuid.uuid4()), nx=True))


def lists_of(queue: str) -> tuple[str, ...]:
    """Return the keys of a queue's lists, the express one first, as kombu names them."""
    return tuple(queue if step == 0 else f"{queue}\x06\x16{step}" for step in celeryconfig.PRIORITY_STEPS)


def waiting(queue: str) -> int:
    """Return how many messages wait in a queue, not counting those a worker has taken.

    Raises:
        redis.RedisError: Redis cannot be asked.
    """
    return sum(int(client().llen(key)) for key in lists_of(queue))


def waiting_jobs(queue: str) -> set[uuid.UUID]:
    """Return the jobs whose messages wait in a queue.

    Read from the end where messages are put in to the end where they are taken out: one that moves on meanwhile is seen
    twice rather than not at all.

    Raises:
        redis.RedisError: Redis cannot be asked.
    """
    return {uuid.UUID(found.decode()) for key in lists_of(queue) for found in _ids(key)}


def _ids(key: str) -> Iterator[bytes]:
    start = 0
    while True:
        piece = client().lrange(key, start, start + _PIECE - 1)
        for message in piece:
            yield from _TASK_ID.findall(message if isinstance(message, bytes) else message.encode())[:1]
        if len(piece) < _PIECE:
            return
        start += _PIECE
