"""The publisher's thread outlives its own death."""

import queue
import uuid
from collections.abc import Iterable

import pytest

from workers import publisher
from workers.publisher import Lane, Publisher


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_of_the_unforeseen_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    published: queue.Queue[Lane] = queue.Queue()
    first, second = (Lane(uuid.uuid4(), "reports") for _ in range(2))

    def publish(lanes: Iterable[Lane]) -> int:
        for lane in lanes:
            if lane == first:
                raise ZeroDivisionError
            published.put(lane)
        return 1

    monkeypatch.setattr(publisher, "publish", publish)
    tested = Publisher()
    tested.put(first)
    tested._thread.join(5)
    tested.put(second)
    assert published.get(timeout=5) == second
