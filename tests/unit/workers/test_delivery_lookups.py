"""A resolver that hangs holds up nobody for longer than they want to wait, and does not gather threads."""

import threading
from collections.abc import Iterator

import pytest

from workers.deliveries import addresses, http_post
from workers.deliveries.http_post import NoAnswerError, Patience, Way
from workers.deliveries.lookups import Lookups

SOON = 0.05
LONG = 30.0


class Resolver:
    """Answers once it is let go."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(f"{host}:{port}")
        assert self.released.wait(LONG)
        if host == "unknown":
            raise OSError(-2, "Name or service not known")
        return ["192.0.2.1"]


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    one = Resolver()
    yield one
    one.released.set()


def test_who_waits_waits_no_longer_than_they_want_and_one_looks_for_all(resolver: Resolver) -> None:
    lookups = Lookups()
    for _ in range(3):
        with pytest.raises(TimeoutError, match="not looked up"):
            lookups.find(resolver, "slow", 443, seconds=SOON)
    assert resolver.asked == ["slow:443"]
    resolver.released.set()
    assert lookups.find(resolver, "slow", 443, seconds=LONG) == ["192.0.2.1"]
    with pytest.raises(OSError, match="not known"):
        lookups.find(resolver, "unknown", 443, seconds=LONG)
    # What is over is asked anew.
    before = len(resolver.asked)
    assert lookups.find(resolver, "slow", 443, seconds=LONG) == ["192.0.2.1"]
    assert len(resolver.asked) == before + 1


def test_there_are_never_more_than_so_many(resolver: Resolver) -> None:
    lookups = Lookups(most=2)
    for host in ("a", "b"):
        with pytest.raises(TimeoutError, match="not looked up"):
            lookups.find(resolver, host, 443, seconds=SOON)
    with pytest.raises(TimeoutError, match="too many"):
        lookups.find(resolver, "c", 443, seconds=LONG)
    assert resolver.asked == ["a:443", "b:443"]


def test_a_message_ends_in_time_although_its_name_is_still_looked_up(resolver: Resolver) -> None:
    destination = addresses.parse("https://slow.example.com/hook", allow_private=False)
    way = Way(resolve=resolver, patience=Patience(connect=SOON, total=LONG))
    with pytest.raises(NoAnswerError, match="not looked up"):
        http_post.post(destination, b"{}", {}, way=way)
    assert resolver.asked == ["slow.example.com:443"]
