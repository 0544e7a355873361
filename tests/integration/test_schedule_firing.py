"""Every slot fires once: with five beats at once, after an outage under each policy, whenever a process dies."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest

from models import outbox, session, upkeep
from models.failpoints import Point
from models.schedule import Schedule
from models.upkeep import Upkeep, UpkeepRun
from tests.integration import schedule_hands, web_api
from tests.integration.schedule_hands import minutes
from workers.schedules import firing

BEATS = 5


def test_five_beats_at_once_fire_every_slot_of_ten_minutes_once(ready: web_api.Caller) -> None:
    with ExitStack() as stack, ThreadPoolExecutor(BEATS) as beats:
        every_minute = [
            stack.enter_context(schedule_hands.scheduled(ready, cron="* * * * *", name=str(number)))
            for number in range(4)
        ]
        at_once = threading.Barrier(BEATS)

        def beat(minute: int) -> int:
            at_once.wait(30)
            return firing.tend(minutes(minute)).fired

        for minute in range(1, 11):
            assert sum(beats.map(beat, [minute] * BEATS)) == len(every_minute)
            for schedule in every_minute:
                assert schedule_hands.end_jobs(schedule) == 1
        for schedule in every_minute:
            assert schedule_hands.slots(schedule, "fired") == [minutes(minute) for minute in range(1, 11)]
            assert [job.due_at for job in schedule_hands.jobs(schedule)] == [minutes(minute) for minute in range(1, 11)]
            assert schedule_hands.now(schedule).next_due_at == minutes(11)


@pytest.mark.parametrize(
    ("catch_up", "made_up"),
    [
        ("all", [minutes(five) for five in range(5, 61, 5)]),
        ("last", [minutes(60)]),
        ("skip", []),
    ],
)
@pytest.mark.parametrize("overlap", ["queue", "skip"])
def test_beat_that_was_down_for_an_hour_makes_up_for_what_the_policy_says(
    ready: web_api.Caller, catch_up: str, overlap: str, made_up: list[Any]
) -> None:
    with schedule_hands.scheduled(ready, catch_up=catch_up, overlap=overlap) as schedule:
        firing.tend(minutes(62))
        while schedule_hands.end_jobs(schedule):
            firing.tend(minutes(62))
        assert schedule_hands.slots(schedule, "fired") == made_up
        assert [job.due_at for job in schedule_hands.jobs(schedule)] == made_up
        skipped = [one for one in schedule_hands.occurrences(schedule) if one.status == "skipped"]
        assert len(skipped) == 12 - len(made_up)
        assert {one.reason for one in skipped} <= {"missed"}
        # The slot after the outage is like any other.
        firing.tend(minutes(65))
        assert schedule_hands.slots(schedule, "fired") == [*made_up, minutes(65)]
