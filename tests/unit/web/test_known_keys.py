"""A key is remembered for a second and no longer, nor past its expiry, and not without bound."""

import time

import pytest

from web import known_keys
from web.known_keys import KnownKeys


class Clock:
    """A monotonic clock that a test moves."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made.monotonic)
    return made


def test_a_key_is_known_for_a_second_from_when_it_was_looked_up(clock: Clock) -> None:
    known: KnownKeys[str] = KnownKeys()
    known.remember("rk_a", "a", looked_at=clock.now - 0.4, seconds_left=None)
    assert (known.find("rk_a"), known.find("rk_b")) == ("a", None)
    clock.now += 0.5
    assert known.find("rk_a") == "a"
    clock.now += 0.2
    assert known.find("rk_a") is None


def test_a_key_is_not_known_past_its_expiry(clock: Clock) -> None:
    known: KnownKeys[str] = KnownKeys()
    known.remember("rk_a", "a", looked_at=clock.now, seconds_left=0.3)
    assert known.find("rk_a") == "a"
    clock.now += 0.4
    assert known.find("rk_a") is None


def test_room_is_made_by_forgetting_what_is_past_its_time_first(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_keys, "MOST", 3)
    known: KnownKeys[str] = KnownKeys()
    for number in range(2):
        known.remember(f"rk_{number}", "old", looked_at=clock.now, seconds_left=None)
    clock.now += 2
    for number in range(2, 4):
        known.remember(f"rk_{number}", "new", looked_at=clock.now, seconds_left=None)
    assert [known.find(f"rk_{number}") for number in range(4)] == [None, None, "new", "new"]
    for number in range(4, 6):
        known.remember(f"rk_{number}", "newest", looked_at=clock.now, seconds_left=None)
    assert known.find("rk_5") == "newest"
    assert len(known._known) <= known_keys.MOST
