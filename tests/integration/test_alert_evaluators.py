"""Alerts are evaluated once, by however many at once, whenever one dies, and whatever changes meanwhile."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import delete

from models import session
from models.failpoints import Point
from models.result import StoredResult
from tests.integration import schedule_hands
from tests.integration.alert_hands import declared, nets, watched
from tests.integration.web_api import Caller
from workers.schedules import alert_evaluating, alerting

EACH = {"column": "net", "each": ["country"]}

pytestmark = pytest.mark.usefixtures("nobody_sends")


def test_two_evaluators_at_once_tell_everything_once(subscribed: Caller) -> None:
    with watched(subscribed, declared(of=EACH, when={"below": 100})) as one, ThreadPoolExecutor(2) as pool:
        at_once = threading.Barrier(2)

        def evaluate(_: int) -> int:
            at_once.wait(30)
            return alerting.evaluate_due()

        for net in ("1.00", "500.00") * 3:
            one.end(nets(FR=net))
            assert sum(pool.map(evaluate, range(2))) == 1
        assert [change for change, _, _ in one.log()] == ["firing", "recovered"] * 3
        assert one.events() == ["alert.firing", "alert.recovered"] * 3


def test_what_changes_while_it_is_evaluated_is_evaluated_anew(
    subscribed: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = alert_evaluating.outcomes
    changed = iter([declared(when={"above": 5})])
    with watched(subscribed, declared(when={"above": 0})) as one:

        def change_meanwhile(turn: alerting.Turn, *, gives_up: bool) -> list[alert_evaluating.Outcome]:
            found = outcomes(turn, gives_up=gives_up)
            for alert in changed:
                schedule_hands.change(one.schedule, alerts=[alert])
            return found

        monkeypatch.setattr(alert_evaluating, "outcomes", change_meanwhile)
        one.run(nets(FR="1.00"))
        assert (one.state("Watched"), one.events()) == ("ok", [])


def test_rows_of_a_result_that_is_erased_meanwhile_are_not_written_down(
    subscribed: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = alert_evaluating.outcomes

    def erase_meanwhile(turn: alerting.Turn, *, gives_up: bool) -> list[alert_evaluating.Outcome]:
        found = outcomes(turn, gives_up=gives_up)
        with session.transaction() as db:
            db.execute(delete(StoredResult).where(StoredResult.job_id == turn.job_id))
        return found

    monkeypatch.setattr(alert_evaluating, "outcomes", erase_meanwhile)
    with watched(subscribed, declared(of=EACH, when={"below": 100})) as one:
        one.run(nets(FR="1.00"))
        assert one.log() == [("broken", None, 1)]
        assert one.changes()[0].problem == "result-gone"


@pytest.mark.parametrize("point", [Point.ALERT_BEFORE_COMMIT, Point.ALERT_AFTER_COMMIT])
def test_an_evaluator_that_is_killed_is_made_up_for(subscribed: Caller, tmp_path: Path, point: Point) -> None:
    with watched(subscribed, declared(of=EACH, when={"below": 100})) as one:
        one.end(nets(FR="1.00"))
        (tmp_path / point.value).write_text("kill")
        code = "from workers.schedules import alerting; alerting.evaluate_due()"
        environment = {**os.environ, "FAILPOINTS_DIR": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, check=False, capture_output=True, timeout=60
        )
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        assert alerting.evaluate_due() == (1 if point is Point.ALERT_BEFORE_COMMIT else 0)
        assert (one.log(), one.events()) == ([("firing", "FR", 1)], ["alert.firing"])


def test_what_ends_every_evaluation_is_given_up_and_told(subscribed: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = alert_evaluating.outcomes

    def fail(turn: alerting.Turn, *, gives_up: bool) -> list[alert_evaluating.Outcome]:
        if not gives_up:
            raise RuntimeError("nobody foresaw this")
        return outcomes(turn, gives_up=gives_up)

    monkeypatch.setattr(alert_evaluating, "outcomes", fail)
    monkeypatch.setattr(alerting, "MOST_TRIES", 3)
    with watched(subscribed, declared(when={"above": 0})) as one:
        one.end(nets(FR="1.00"))
        assert alerting.evaluate_due() == 0
        for _ in range(alerting.MOST_TRIES):
            alerting.evaluate_due()
        assert one.events() == ["alert.broken"]
        assert one.told()[0].payload["data"]["problem"] == "evaluation-failed"
