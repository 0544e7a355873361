"""kombu's Redis transport, which does not end the worker for an acknowledgement that comes after the connection was closed."""

from typing import Any

import redis
from kombu import transport
from kombu.transport import redis as kombu_redis


class Channel(kombu_redis.Channel):
    """A channel that says of itself that it is closed.

    kombu 5.7 finds no connection in a closed channel and raises an AttributeError, which Celery takes for unrecoverable: a
    Redis that dies at the wrong moment ends the main process, and with it what its children run. This error it expects.
    """

    def _connparams(self, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 - kombu's signature
        if self.connection is None:
            raise redis.ConnectionError("the channel is closed")
        return super()._connparams(asynchronous)


class Transport(kombu_redis.Transport):
    Channel = Channel


def use() -> None:
    """Have kombu take this transport for addresses of Redis, also for those that write a Unix socket."""
    transport.TRANSPORT_ALIASES["redis"] = f"{__name__}:Transport"
