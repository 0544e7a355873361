"""kombu's Redis transport, but for what it does when an acknowledgement fails: it neither ends the worker nor makes it idle."""

from typing import Any

import redis
from kombu import transport
from kombu.transport import redis as kombu_redis


class Channel(kombu_redis.Channel):
    """A channel that says of itself that it is closed, and that an acknowledgement was refused.

    kombu 5.7 finds no connection in a closed channel and raises an AttributeError, which Celery takes for unrecoverable: a
    Redis that dies at the wrong moment ends the main process, and with it what its children run. The same happens to a
    channel that was left over when closing another one failed: it has a connection, which has been thrown away.

    An acknowledgement that Redis refuses, as after a change of its password, is logged and forgotten. Its message stays in
    the worker's hands for ever and counts against what it may take: after as many as it has slots it takes nothing more.
    """

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's signature
        try:
            super().basic_ack(delivery_tag, multiple=multiple)
        except redis.RedisError as error:
            if self._is_cut_off():
                raise
            # Of all errors this is the one that is not swallowed: Celery connects anew, with empty hands.
            raise BrokenPipeError(str(error)) from error

    def _connparams(self, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 - kombu's signature
        if self._is_cut_off():
            raise redis.ConnectionError("the channel is closed")
        return super()._connparams(asynchronous)

    def _is_cut_off(self) -> bool:
        return self.connection is None or self.connection.client is None


class Transport(kombu_redis.Transport):
    Channel = Channel


def use() -> None:
    """Have kombu take this transport for addresses of Redis, also for those that write a Unix socket."""
    transport.TRANSPORT_ALIASES["redis"] = f"{__name__}:Transport"
