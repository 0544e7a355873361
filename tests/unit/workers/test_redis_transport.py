"""What a closed channel says of itself, and that Celery uses ours for every way of writing Redis's address."""

from types import SimpleNamespace

import pytest
import redis
from celery import Celery
from kombu.transport import redis as kombu_redis

from workers import redis_transport
from workers.celery import app


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "redis+socket:///nowhere/redis.sock"])
def test_addresses_of_redis_lead_to_this_transport(url: str) -> None:
    with Celery("other", broker=url, set_as_current=False).connection_for_write() as connection:
        assert connection.get_transport_cls() is redis_transport.Transport
    with app.connection_for_write() as connection:
        assert connection.get_transport_cls() is redis_transport.Transport


@pytest.mark.parametrize("connection", [None, SimpleNamespace(client=None)], ids=["none", "thrown away"])
def test_a_closed_channel_raises_what_an_acknowledgement_expects(connection: object) -> None:
    channel = object.__new__(redis_transport.Channel)
    channel.connection = connection
    with pytest.raises(redis.ConnectionError):
        channel._connparams()
    errors, _ = kombu_redis.get_redis_error_classes()
    assert issubclass(redis.ConnectionError, errors)


def test_a_refused_acknowledgement_breaks_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise redis.AuthenticationError

    monkeypatch.setattr(kombu_redis.Channel, "basic_ack", refuse)
    channel = object.__new__(redis_transport.Channel)
    channel.connection = SimpleNamespace(client=object())
    with pytest.raises(BrokenPipeError):
        channel.basic_ack("tag")
    for cut_off in (None, SimpleNamespace(client=None)):
        channel.connection = cut_off
        with pytest.raises(redis.AuthenticationError):
            channel.basic_ack("tag")
