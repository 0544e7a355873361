"""Addresses derived from settings: the embedded servers' and those of the usual spellings."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from models import settings


def _settings(**values: object) -> settings.Settings:
    return settings.Settings.model_validate({"reckoner_home": "/srv/reckoner", **values})


def test_without_urls_everything_is_under_the_home() -> None:
    found = _settings()
    assert found.sqlalchemy_url == "postgresql+psycopg://reckoner@/reckoner?host=%2Fsrv%2Freckoner%2Frun"
    assert found.redis_client_url == "unix:///srv/reckoner/run/redis.sock"
    assert found.broker_url == "redis+socket:///srv/reckoner/run/redis.sock"
    assert found.lake_location == "/srv/reckoner/lake"
    assert found.upload_folder == Path("/srv/reckoner/uploads")


@pytest.mark.parametrize("url", ["postgres://u:p@db/x", "postgresql://u:p@db/x", "postgresql+psycopg://u:p@db/x"])
def test_every_spelling_of_postgresql_gets_the_same_driver(url: str) -> None:
    assert _settings(database_url=url).sqlalchemy_url == "postgresql+psycopg://u:p@db/x"


@pytest.mark.parametrize(
    ("url", "broker_url"),
    [
        ("redis://redis:6379/3", "redis://redis:6379/3"),
        # kombu's Redis transport reads the number of a socket's database from `virtual_host` and ignores `db`.
        ("unix:///run/redis.sock?db=3", "redis+socket:///run/redis.sock?virtual_host=3"),
    ],
)
def test_celery_and_our_own_client_use_the_same_database_of_redis(url: str, broker_url: str) -> None:
    found = _settings(redis_url=url)
    assert found.broker_url == broker_url
    assert found.redis_client_url == url


def test_a_long_home_gets_its_sockets_elsewhere() -> None:
    found = _settings(reckoner_home="/srv/" + "x" * 120)
    assert len(str(found.socket_folder)) < settings.LONGEST_SOCKET_FOLDER
    assert found.socket_folder == _settings(reckoner_home="/srv/" + "x" * 120).socket_folder


@pytest.mark.parametrize("values", [{"lease_seconds": 1}, {"port": -1}, {"log_level": "LOUD"}])
def test_a_wrong_value_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        _settings(**values)
