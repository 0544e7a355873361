"""Alerts of schedules: told once when something crosses its line and once when it is back, whoever evaluates them."""

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import delete, update

from analytics.alerts import figures
from models import alerts, session, transitions
from models.alert import AlertChange
from models.result import StoredResult
from models.schedule import Schedule, ScheduleOccurrence
from tests.integration import alert_hands, schedule_hands
from tests.integration.alert_hands import declared, nets, watched
from tests.integration.web_api import Caller
from workers.doctor import of_deliveries
from workers.doctor.finding import Verdict
from workers.schedules import alerting, firing

EACH = {"column": "net", "each": ["country"]}

pytestmark = pytest.mark.usefixtures("nobody_sends")


def test_a_figure_fires_once_and_recovers_once_over_many_runs(subscribed: Caller) -> None:
    alert = declared(of={"summary": "totals.net"}, when={"below": 100}, recovers={"at_least": 120})
    with watched(subscribed, alert) as one:
        for net in ("150.00", "99.99", "99.00", "110.00", "119.99", "120.00", "110.00", "99.00"):
            one.run(nets(), totals={"net": net})
        assert one.log() == [("firing", None, 2), ("recovered", None, 6), ("firing", None, 8)]
        assert one.events() == ["alert.firing", "alert.recovered", "alert.firing"]
        assert [(change.value, change.previous) for change in one.changes()][:2] == [
            ("99.99", "150.00"),
            ("120.00", "119.99"),
        ]
        data = one.told()[0].payload["data"]
        assert (data["changed"], data["firing"], data["alert"]) == (1, 1, "Watched")
        assert data["links"]["report"] == f"/v1/reports/{one.jobs[1]}"
        seen = one.seen("Watched")
        assert seen.whole is not None
        assert (seen.state, seen.whole.value, seen.whole.since) == ("firing", "99.00", one.now)


def test_any_row_fires_and_recovers_for_itself_and_one_that_is_gone_has_recovered(subscribed: Caller) -> None:
    with watched(subscribed, declared(of=EACH, when={"below": 100})) as one:
        one.run(nets(FR="500.00", GB="99.00", DE="100.00"))
        assert one.keys("Watched") == ["GB"]
        one.run(nets(FR="1.00", GB="98.00", DE="2.00"))
        one.run(nets(FR="500.00", GB="97.00"))
        assert one.keys("Watched") == ["GB"]
        assert one.log() == [
            ("firing", "GB", 1),
            ("firing", "FR", 2),
            ("firing", "DE", 2),
            ("recovered", "DE", 3),
            ("recovered", "FR", 3),
        ]
        # One event for each run and direction, however many rows; and none of a key or figure in it.
        assert one.events() == ["alert.firing", "alert.firing", "alert.recovered"]
        counts = [(told.payload["data"]["changed"], told.payload["data"]["firing"]) for told in one.told()]
        assert counts == [(1, 1), (2, 3), (2, 1)]
        assert "GB" not in str([told.payload for told in one.told()])


def test_it_fires_after_so_many_runs_and_recovers_after_so_many(subscribed: Caller) -> None:
    alert = declared(of=EACH, when={"below": 100}, after=3, recovers_after=2)
    with watched(subscribed, alert) as one:
        for net in ("99.00", "99.00", "100.00", "99.00", "99.00"):
            one.run(nets(FR=net))
        assert (one.state("Watched"), one.log()) == ("pending", [])
        for net in ("99.00", "100.00", "99.00", "100.00", "100.00"):
            one.run(nets(FR=net))
        assert one.log() == [("firing", "FR", 6), ("recovered", "FR", 10)]


@pytest.mark.parametrize(
    ("when", "values", "log"),
    [
        ({"rises_by": "20%"}, ("100.00", "119.99", "143.98", "144.00", "172.80"), ["firing 5"]),
        ({"falls_by": 10}, ("100.00", "90.01", "80.01", "80.01"), ["firing 3", "recovered 4"]),
        ({"changes_by": "50%"}, ("0.00", "0.00", "0.01", "0.01"), ["firing 3", "recovered 4"]),
        ({"changes_by": "50%"}, ("-10.00", "-5.00", "-5.00"), ["firing 2", "recovered 3"]),
    ],
)
def test_a_change_is_one_against_the_run_before(
    subscribed: Caller, when: dict[str, Any], values: tuple[str, ...], log: list[str]
) -> None:
    with watched(subscribed, declared(of={"column": "net", "take": "sum"}, when=when)) as one:
        one.run(nets(FR=values[0]))
        with session.transaction() as db:
            assert [row.remark for row in alerts.standings(db, one.schedule.id)] == ["no-previous"]
        for value in values[1:]:
            one.run(nets(FR=value))
        assert [f"{change} {slot}" for change, _, slot in one.log()] == log


def test_a_change_of_each_row_knows_new_ones_and_those_that_were_away(subscribed: Caller) -> None:
    with watched(subscribed, declared(of=EACH, when={"rises_by": "100%"})) as one:
        one.run(nets(FR="1.00", GB="1.00"))
        one.run(nets(FR="2.00", GB="1.50", DE="900.00"))
        one.run(nets(FR="2.00", DE="900.00"))
        one.run(nets(FR="2.00", GB="100.00", DE="900.00"))
        assert one.log() == [("firing", "FR", 2), ("recovered", "FR", 3)]
        assert (one.changes()[0].value, one.changes()[0].previous) == ("2.00", "1.00")


def test_a_report_that_fails_has_not_recovered_and_whoever_waits_for_it_is_told(subscribed: Caller) -> None:
    below, missing = declared(of=EACH, when={"below": 100}), declared(name="Missing", when={"missing": True})
    rising = declared(name="Rising", of={"column": "net", "take": "sum"}, when={"rises_by": 1})
    with watched(subscribed, below, missing, rising) as one:
        one.run(nets(FR="99.00"))
        one.run(None)
        assert (one.state("Watched"), one.keys("Watched"), one.state("Missing")) == ("firing", ["FR"], "firing")
        one.run(None)
        one.run(nets(FR="99.00"))
        one.run(nets())
        names = [change.name for change in one.changes()]
        log = [(name, change, slot) for name, (change, _, slot) in zip(names, one.log(), strict=True)]
        assert log == [
            ("Watched", "firing", 1),
            ("Missing", "firing", 2),
            ("Missing", "recovered", 4),
            ("Watched", "recovered", 5),
            ("Missing", "firing", 5),
        ]


def test_a_report_that_could_not_be_asked_for_is_missing(subscribed: Caller) -> None:
    with watched(subscribed, declared(when={"missing": True})) as one:
        schedule_hands.change(one.schedule, params={"segment_by": ["owner", "owner"]})
        firing.tend(schedule_hands.minutes(5))
        alerting.evaluate_due()
        assert [occurrence.status for occurrence in schedule_hands.occurrences(one.schedule)] == ["failed"]
        assert one.events() == ["alert.firing"]
        assert "report" not in one.told()[0].payload["data"]["links"]


def test_a_row_that_goes_missing_is_told_and_again_when_it_is_back(subscribed: Caller) -> None:
    with watched(subscribed, declared(of=EACH, when={"missing": True})) as one:
        one.run(nets(FR="1.00", GB="1.00"))
        one.run(nets(FR="2.00"))
        one.run(alert_hands.table([("FR", None, None), ("GB", None, "3.00")]))
        assert one.log() == [("firing", "GB", 2), ("recovered", "GB", 3), ("firing", "FR", 3)] or one.log() == [
            ("firing", "GB", 2),
            ("firing", "FR", 3),
            ("recovered", "GB", 3),
        ]
        gone = one.changes()[0]
        assert (gone.value, gone.previous) == (None, "1.00")


def test_rows_that_do_not_count_are_not_looked_at(subscribed: Caller) -> None:
    where = {"column": "country", "op": "in", "value": ["FR", "GB"]}
    each = declared(of={**EACH, "where": where}, when={"below": 100})
    count = declared(name="Count", of={"rows": "count", "where": where}, when={"below": 2})
    with watched(subscribed, each, count) as one:
        one.run(nets(FR="1.00", DE="1.00"))
        assert (one.keys("Watched"), one.state("Count")) == (["FR"], "firing")
        whole = one.seen("Count").whole
        assert whole is not None
        assert whole.value == 1


@pytest.mark.parametrize(
    ("of", "problem"),
    [
        ({"column": "gross", "each": ["country"]}, "unknown-column"),
        ({"column": "country", "take": "sum"}, "alert-type"),
        ({"column": "net", "each": ["owner"]}, "ambiguous-key"),
        ({"summary": "totals.gross"}, "unknown-figure"),
        ({"summary": "totals"}, "not-a-figure"),
        ({"summary": "title"}, "alert-type"),
    ],
)
def test_what_cannot_be_evaluated_is_told_once_until_it_can_be(
    subscribed: Caller, of: dict[str, Any], problem: str
) -> None:
    with watched(subscribed, declared(of=of, when={"below": 100})) as one:
        for _ in range(2):
            one.run(nets(FR="1.00", GB="1.00"), totals={"net": "2.00"}, title="Words")
        standing = one.seen("Watched").standing
        assert standing is not None
        assert (standing.problem, standing.problem_since) == (problem, schedule_hands.minutes(5))
        assert [change.change for change in one.changes()] == ["broken"]
        assert one.events() == ["alert.broken"]
        # The others go on: a problem is of one alert.
        schedule_hands.change(one.schedule, alerts=[declared(of={"summary": "totals.net"}, when={"below": 100})])
        one.run(nets(), totals={"net": "2.00"})
        assert one.events() == ["alert.broken", "alert.firing"]


def test_a_broken_alert_keeps_what_fired_and_is_mended(subscribed: Caller) -> None:
    with watched(subscribed, declared(of=EACH, when={"below": 100})) as one:
        one.run(nets(FR="1.00", GB="500.00"))
        one.run(alert_hands.table([("FR", None, "500.00"), ("FR", None, "500.00")]))
        assert one.keys("Watched") == ["FR"]
        one.run(nets(FR="1.00"))
        one.run(nets(FR="500.00"))
        assert [change for change, _, _ in one.log()] == ["firing", "broken", "mended", "recovered"]
        assert one.events() == ["alert.firing", "alert.broken", "alert.recovered"]


def test_as_many_rows_as_may_be_are_watched_and_one_more_is_a_problem_rather_than_a_cut(
    subscribed: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "MOST_KEYS", 200)

    def many(count: int) -> pa.Table:
        return alert_hands.table([(f"C{number}", None, "1.00") for number in range(count)])

    with watched(subscribed, declared(of=EACH, when={"below": 100})) as one:
        one.run(many(200))
        assert (one.state("Watched"), one.seen("Watched").counts) == ("firing", {"firing": 200})
        assert len(one.seen("Watched").firing) == alerts.ROWS_SHOWN
        one.run(many(201))
        standing = one.seen("Watched").standing
        assert standing is not None
        assert standing.problem == "too-many-keys"
        assert one.seen("Watched").counts == {"firing": 200}
        assert one.events() == ["alert.firing", "alert.broken"]


def test_a_result_that_is_no_longer_kept_is_said_to_be_gone(subscribed: Caller) -> None:
    with watched(subscribed, declared(when={"above": 0})) as one:
        one.end(nets(FR="1.00"))
        with session.transaction() as db:
            db.execute(delete(StoredResult).where(StoredResult.job_id == one.jobs[0]))
        alerting.evaluate_due()
        standing = one.seen("Watched").standing
        assert standing is not None
        assert standing.problem == "result-gone"


def test_an_alert_that_asks_something_else_begins_anew_and_others_do_not(subscribed: Caller) -> None:
    kept, changed = declared(of=EACH, when={"below": 100}), declared(name="Changed", when={"above": 0})
    with watched(subscribed, kept, changed, declared(name="Gone", when={"above": 0})) as one:
        one.run(nets(FR="1.00"))
        with session.transaction() as db:
            schedule = db.get_one(Schedule, one.schedule.id)
            schedule.alerts = [kept, declared(name="Changed", when={"above": 1})]
            assert alerts.forget_changed(db, schedule) == 2
        assert (one.state("Watched"), one.state("Changed")) == ("firing", None)
        with session.transaction() as db:
            left = alerts.rows(db, one.schedule.id)
        assert left.keys() == {"Watched"}
        one.run(nets(FR="1.00", GB="1.00"))
        assert [(change.name, (change.key or {}).get("country")) for change in one.changes()[3:]] == [
            ("Watched", "GB"),
            ("Changed", None),
        ]


def test_a_slot_that_was_evaluated_is_not_again_nor_one_before_it(subscribed: Caller) -> None:
    with watched(subscribed, declared(when={"above": 0})) as one:
        one.run(nets(FR="1.00"))
        one.run(nets())
        with session.transaction() as db:
            slots = update(ScheduleOccurrence).where(ScheduleOccurrence.schedule_id == one.schedule.id)
            db.execute(slots.values(alerts_due=True))
        assert alerting.evaluate_due() == 2
        assert [change for change, _, _ in one.log()] == ["firing", "recovered"]


def test_a_deleted_schedule_is_evaluated_no_more(subscribed: Caller) -> None:
    with watched(subscribed, declared(when={"above": 0})) as one:
        one.end(nets(FR="1.00"))
        schedule_hands.change(one.schedule, deleted_at=schedule_hands.START)
        assert alerting.evaluate_due() == 1
        assert (one.log(), alerting.evaluate_due()) == ([], 0)


def test_a_cancelled_report_says_nothing(subscribed: Caller) -> None:
    with watched(subscribed, declared(when={"missing": True})) as one:
        firing.tend(schedule_hands.minutes(5))
        [job] = schedule_hands.jobs(one.schedule)
        with session.transaction() as db:
            transitions.cancel_queued(db, job.id, by="a test")
        firing.tend(schedule_hands.minutes(5))
        assert alerting.evaluate_due() == 0
        assert one.log() == []


def test_how_alerts_stand_is_counted(subscribed: Caller) -> None:
    pending = declared(name="Pending", when={"above": 0}, after=2)
    broken = declared(name="Broken", of={"summary": "nothing"}, when={"above": 0})
    with session.transaction() as db:
        before = alerts.figures(db)
    wanted = declared(when={"above": 0}), pending, broken, declared(name="Ok", when={"above": 9})
    with watched(subscribed, *wanted) as one:
        one.run(nets(FR="1.00"))
        one.end(nets(FR="1.00"))
        with session.transaction() as db:
            after = alerts.figures(db)
        new = {state: count - before.states[state] for state, count in after.states.items()}
        assert new == {"ok": 1, "pending": 1, "firing": 1, "broken": 1}
        assert (before.due, after.due) == (0, 1)
        # Its slot is of a year gone by, and was settled then.
        [late] = [found for found in of_deliveries.examine_outbox() if found.subject == "alerts"]
        assert late.verdict is Verdict.WARNING
        alerting.evaluate_due()
        [found] = [found for found in of_deliveries.examine_outbox() if found.subject == "alerts"]
        assert found.verdict is Verdict.OK


def test_the_log_is_forgotten_when_it_is_old(subscribed: Caller) -> None:
    with watched(subscribed, declared(of=EACH, when={"below": 100})) as one:
        one.run(nets(FR="1.00"))
        with session.transaction() as db:
            alerts.forget_old(db, keep_for=timedelta(days=1), limit=100)
        assert len(one.changes()) == 1
        with session.transaction() as db:
            of_this = update(AlertChange).where(AlertChange.schedule_id == one.schedule.id)
            db.execute(of_this.values(at=schedule_hands.START))
        with session.transaction() as db:
            alerts.forget_old(db, keep_for=timedelta(days=1), limit=10_000)
            alerts.forget_deleted(db, limit=10_000)
        # What fires is not forgotten with it, but with its schedule.
        assert (one.changes(), one.state("Watched")) == ([], "firing")
        schedule_hands.change(one.schedule, deleted_at=schedule_hands.START)
        with session.transaction() as db:
            alerts.forget_deleted(db, limit=10_000)
            assert alerts.rows(db, one.schedule.id) == {}
