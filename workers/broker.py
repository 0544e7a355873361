"""What must be known of Redis beyond what Celery does with it: whether it answers, and whether it lost its memory."""

import functools
import os
import uuid

import redis

from models import settings

MARK = "reckoner:memory"
TIMEOUT_SECONDS = 1.0


@functools.cache
def _client_of_process(pid: int) -> "redis.Redis":  # noqa: ARG001 - the pid is the cache's key: no connection crosses a fork
    return redis.Redis.from_url(
        settings.load().redis_client_url,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=None,
    )


def client() -> "redis.Redis":
    return _client_of_process(os.getpid())


def ping() -> bool:
    """Tell whether Redis answers within a second."""
    try:
        return bool(client().ping())
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


def waiting(queue: str) -> int:
    """Return how many messages wait in a queue, not counting those a worker has taken.

    Raises:
        redis.RedisError: Redis cannot be asked.
    """
    return int(client().llen(queue))
