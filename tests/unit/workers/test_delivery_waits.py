"""How long a delivery waits between its attempts."""

import pytest

from workers.deliveries import sending


def test_ten_attempts_take_about_three_days() -> None:
    assert sending.MOST_TRIES == 10
    days = sum(sending.WAITS_SECONDS) / 86_400
    assert 3.0 < days < 3.3


@pytest.mark.parametrize("tries", range(1, sending.MOST_TRIES))
def test_a_wait_is_spread_and_never_shorter_than_it_should_be(tries: int) -> None:
    least = sending.WAITS_SECONDS[tries - 1]
    waits = [sending._pause(tries, None) for _ in range(200)]
    assert least <= min(waits) < max(waits) <= least * (1 + sending.JITTER)


def test_a_receiver_that_asks_for_longer_gets_longer_and_not_shorter() -> None:
    assert sending._pause(1, 7200.0) == 7200.0
    assert sending._pause(3, 1.0) >= sending.WAITS_SECONDS[2]
