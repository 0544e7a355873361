"""Every slot fires once: with five beats at once, after an outage under each policy, whenever a process dies."""

import math
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import func, select, update

from models import schedules, session, settings, webhooks
from models.delivery import Delivery
from models.failpoints import Point
from models.upkeep import Upkeep, UpkeepRun
from tests.integration import schedule_hands, web_api
from tests.integration.schedule_hands import minutes
from workers import publisher
from workers.schedules import firing, planning

BEATS = 5


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """None runs beside this database; to look for it takes seconds each time, and the jobs are there all the same."""
    monkeypatch.setattr(publisher._Broker, "away_until", math.inf)


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


def test_a_slot_waits_for_the_job_of_the_one_before(ready: web_api.Caller) -> None:
    with schedule_hands.scheduled(ready, overlap="queue") as schedule:
        for minute in (5, 10, 15):
            firing.tend(minutes(minute))
        assert schedule_hands.slots(schedule, "fired") == [minutes(5)]
        assert schedule_hands.slots(schedule, "waiting") == [minutes(10), minutes(15)]
        schedule_hands.end_jobs(schedule)
        firing.tend(minutes(16))
        assert schedule_hands.slots(schedule, "fired") == [minutes(5), minutes(10)]
        assert schedule_hands.slots(schedule, "waiting") == [minutes(15)]


def test_a_slot_is_skipped_while_the_job_of_the_one_before_runs(ready: web_api.Caller) -> None:
    with schedule_hands.scheduled(ready, overlap="skip") as schedule:
        for minute in (5, 10):
            firing.tend(minutes(minute))
        schedule_hands.end_jobs(schedule)
        firing.tend(minutes(15))
        found = [(one.due_at, one.status, one.reason) for one in schedule_hands.occurrences(schedule)]
        assert found == [
            (minutes(5), "fired", None),
            (minutes(10), "skipped", "overlap"),
            (minutes(15), "fired", None),
        ]


def test_nothing_waits_or_fires_while_paused_and_what_was_missed_is_made_up_for(ready: web_api.Caller) -> None:
    with schedule_hands.scheduled(ready, catch_up="all", catch_up_max=2) as schedule:
        for minute in (5, 10):
            firing.tend(minutes(minute))
        schedule_hands.change(schedule, paused_at=minutes(11), pause_reason="asked")
        schedule_hands.end_jobs(schedule)
        assert firing.tend(minutes(31)).fired == 0
        assert schedule_hands.slots(schedule, "waiting") == [minutes(10)]
        schedule_hands.change(schedule, paused_at=None, pause_reason=None)
        firing.tend(minutes(32))
        while schedule_hands.end_jobs(schedule):
            firing.tend(minutes(32))
        assert schedule_hands.slots(schedule, "fired") == [minutes(at) for at in (5, 10, 25, 30)]
        assert schedule_hands.slots(schedule, "skipped") == [minutes(at) for at in (15, 20)]


def test_failures_in_a_row_pause_it_and_the_owner_is_told(ready: web_api.Caller) -> None:
    with session.transaction() as db:
        hook = webhooks.create(
            *(db, ready.organisation_id),
            url="https://x.example/",
            lane="x",
            events=["schedule.paused"],
            description=None,
        )
    with schedule_hands.scheduled(ready, max_failures=2) as schedule:
        for minute, well in ((5, False), (10, True), (15, False), (20, False)):
            firing.tend(minutes(minute))
            assert schedule_hands.end_jobs(schedule, well=well) == 1
            assert schedule_hands.now(schedule).paused_at is None
        assert firing.tend(minutes(21)).paused == 1
        now = schedule_hands.now(schedule)
        assert (now.pause_reason, now.pause_detail) == ("failures", "There would be too many rows.")
        assert firing.tend(minutes(25)).did_something is False
        with session.transaction() as db:
            told = db.scalars(select(Delivery).where(Delivery.webhook_id == hook.webhook.id)).all()
        assert [(one.event_type, one.schedule_id) for one in told] == [("schedule.paused", schedule.id)]
        assert told[0].payload["data"]["consecutive_failures"] == 2


def test_a_report_that_cannot_be_planned_is_a_failed_slot_with_its_reason(caller: web_api.Caller) -> None:
    with schedule_hands.scheduled(caller, max_failures=2) as schedule:
        firing.tend(minutes(5))
        firing.tend(minutes(10))
        found = schedule_hands.occurrences(schedule)
        assert [(one.status, one.reason, one.job_id) for one in found] == [("failed", "dataset-missing", None)] * 2
        assert "orders" in (found[0].detail or "")
        assert schedule_hands.now(schedule).pause_reason == "failures"
        assert schedule_hands.jobs(schedule) == []


def test_one_schedule_that_breaks_does_not_stop_the_others(ready: web_api.Caller) -> None:
    with (
        schedule_hands.scheduled(ready) as broken,
        schedule_hands.scheduled(ready) as sound,
    ):
        # No release of ours has written such a zone; it is taken for one that this machine does not know.
        schedule_hands.change(broken, timezone="Atlantis/Capital", next_fire_at=minutes(1))
        assert firing.tend(minutes(5)).fired == 1
        assert schedule_hands.slots(sound, "fired") == [minutes(5)]
        assert schedule_hands.occurrences(broken) == []
        schedule_hands.change(broken, timezone="UTC")
        assert firing.tend(minutes(6)).fired == 1
        assert schedule_hands.slots(broken, "fired") == [minutes(5)]


def test_a_slot_fires_later_by_its_jitter_but_asks_for_its_own_time(ready: web_api.Caller) -> None:
    with schedule_hands.scheduled(ready, jitter_seconds=240, params={"end": "now"}) as schedule:
        fires_at = schedule.next_fire_at
        assert fires_at is not None
        assert minutes(5) < fires_at <= minutes(9)
        assert planning.fire_at(schedule, minutes(5)) == fires_at
        assert len({planning.fire_at(schedule, minutes(at)).minute % 5 for at in range(5, 500, 5)}) > 2
        firing.tend(fires_at - timedelta(seconds=1))
        assert schedule_hands.occurrences(schedule) == []
        firing.tend(fires_at)
        assert schedule_hands.slots(schedule, "fired") == [minutes(5)]
        assert schedule_hands.jobs(schedule)[0].params["end"] == "2025-03-03T09:05:00Z"


def test_nothing_is_due_before_the_start_or_after_the_end(ready: web_api.Caller) -> None:
    with schedule_hands.scheduled(ready, starts_at=minutes(10), ends_at=minutes(20), catch_up="all") as schedule:
        firing.tend(minutes(60))
        while schedule_hands.end_jobs(schedule):
            firing.tend(minutes(60))
        assert schedule_hands.slots(schedule, "fired") == [minutes(10), minutes(15), minutes(20)]
        assert schedule_hands.now(schedule).next_fire_at is None


def test_a_stored_result_of_the_same_question_is_the_slots_as_well(ready: web_api.Caller) -> None:
    receiver = {"channel": "email", "to": ["ann@example.com"], "formats": [], "subject": None, "on": ["succeeded"]}
    with schedule_hands.scheduled(ready, deliveries=[receiver]) as schedule:
        firing.tend(minutes(5))
        first = schedule_hands.jobs(schedule)[0]
        web_api.finish(str(first.id), pa.table({"n": [1]}))
        firing.tend(minutes(10))
        schedule_hands.change(schedule, max_age=0)
        firing.tend(minutes(15))
        found = [one.job_id for one in schedule_hands.occurrences(schedule)]
        assert found[:2] == [first.id, first.id]
        assert found[2] not in {None, first.id}
        with session.transaction() as db:
            told = db.scalars(select(Delivery).where(Delivery.schedule_id == schedule.id).order_by(Delivery.id)).all()
        assert [(one.job_id, one.event_type, one.target["to"]) for one in told] == [
            (first.id, "report.succeeded", "ann@example.com")
        ] * 2


POINTS = (Point.SCHEDULE_AFTER_JOB, Point.SCHEDULE_BEFORE_COMMIT, Point.SCHEDULE_AFTER_COMMIT)
FIRE = "import datetime, sys; from workers.schedules import firing; firing.tend(datetime.datetime.fromisoformat(sys.argv[1]))"


def test_a_beat_that_is_killed_between_steps_neither_loses_nor_doubles_a_slot(
    ready: web_api.Caller, tmp_path: Path
) -> None:
    with schedule_hands.scheduled(ready) as schedule:
        for number, point in enumerate(POINTS, start=1):
            (tmp_path / point).write_text("kill")
            argv = [sys.executable, "-c", FIRE, minutes(5 * number).isoformat()]
            killed = subprocess.run(argv, env={**os.environ, "FAILPOINTS_DIR": str(tmp_path)}, check=False, timeout=60)
            assert killed.returncode == -signal.SIGKILL
            after_commit = point is Point.SCHEDULE_AFTER_COMMIT
            assert len(schedule_hands.jobs(schedule)) == number - (0 if after_commit else 1)
            firing.tend(minutes(5 * number + 0.5))
            assert schedule_hands.end_jobs(schedule) == 1
            # The end is counted here, or the next process would come no further than that.
            firing.tend(minutes(5 * number + 1))
        expected = [minutes(5 * number) for number in range(1, len(POINTS) + 1)]
        assert schedule_hands.slots(schedule, "fired") == expected
        assert [job.due_at for job in schedule_hands.jobs(schedule)] == expected


def test_somebody_stands_in_for_pokes_that_do_not_come(database: settings.Settings) -> None:
    firing.poke()
    assert firing.stand_in() is False
    with session.transaction() as db:
        late = func.now() - timedelta(seconds=4 * database.schedule_seconds)
        db.execute(update(UpkeepRun).where(UpkeepRun.name == Upkeep.SCHEDULES).values(at=late))
    assert firing.stand_in() is True
    assert firing.stand_in() is False


def test_what_is_due_and_overdue_is_measured(ready: web_api.Caller) -> None:
    with session.transaction() as db:
        before = schedules.figures(db)
    with (
        schedule_hands.scheduled(ready, overlap="queue") as overdue,
        schedule_hands.scheduled(ready) as failing,
    ):
        schedule_hands.change(failing, paused_at=minutes(0), pause_reason="failures")
        for minute in (5, 10):
            firing.tend(minutes(minute))
        with session.transaction() as db:
            now, found = schedules.now(db), schedules.figures(db)
        assert (found.due, found.waiting, found.failing) == (before.due + 1, before.waiting + 1, before.failing + 1)
        due = schedule_hands.now(overdue).next_fire_at
        assert due is not None
        assert found.overdue_seconds == pytest.approx((now - due).total_seconds(), abs=5)
        shown = ready.get("/metrics").text
        assert f"reckoner_schedules_due {found.due:.1f}" in shown
        assert f'reckoner_schedules{{state="failing"}} {found.failing:.1f}' in shown


def test_old_occurrences_are_forgotten_but_none_that_waits_or_runs(ready: web_api.Caller) -> None:
    with schedule_hands.scheduled(ready, overlap="queue") as schedule:
        for minute in (5, 10, 15):
            firing.tend(minutes(minute))
        schedule_hands.end_jobs(schedule)
        firing.tend(minutes(16))
        with session.transaction() as db:
            while schedules.forget_old(db, keep_for=timedelta(days=90), limit=1):
                pass
        assert [(one.due_at, one.status) for one in schedule_hands.occurrences(schedule)] == [
            (minutes(10), "fired"),
            (minutes(15), "waiting"),
        ]
        firing.tend(minutes(17))
        assert len(schedule_hands.jobs(schedule)) == 2
