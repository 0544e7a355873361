"""Alerts of schedules over HTTP: declared, changed, shown as they stand, looked back at, and tried on the newest result."""

import itertools
import math
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from models import session, settings
from models.alert import AlertChange, AlertStanding
from models.api_key import Scope
from models.delivery import Delivery
from tests.integration import alert_hands, schedule_hands, web_api
from tests.integration.alert_hands import nets, table, watched
from tests.integration.web_api import Caller
from web import render_pool
from workers import publisher

SCHEDULE: dict[str, Any] = {"name": "Daily RFM", "type": "rfm", "params": {}, "cron": "0 6 * * *"}
SILENT = {"name": "Silent", "of": {"column": "recency_days", "each": ["customer_id"]}, "when": {"above": 90}}
LOW = {"name": "Low", "of": {"column": "net", "each": ["country"]}, "when": {"below": 100}}
SUM = {"name": "Sum", "of": {"column": "net", "take": "sum"}, "when": {"falls_by": "50%"}}


@pytest.fixture(scope="module", autouse=True)
def _end_processes() -> Iterator[None]:
    yield
    render_pool.close_all()


@pytest.fixture(autouse=True)
def _alone(database: settings.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker runs beside this database."""
    monkeypatch.setattr(publisher._Broker, "away_until", math.inf)


def alert(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**SILENT, "name": "Second", **changes}.items() if value is not None}


def errors(answer: web_api.Answer) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return [(error["pointer"], error["code"]) for error in answer.json["errors"]]


WRONG: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("no name", alert(name=None), [("/name", "missing")]),
    ("an empty name", alert(name=""), [("/name", "string-too-short")]),
    ("no condition", alert(when=None), [("/when", "missing")]),
    ("an empty condition", alert(when={}), [("/when", "one-condition")]),
    ("two conditions", alert(when={"above": 1, "below": 2}), [("/when", "one-condition")]),
    ("an unknown condition", alert(when={"over": 1}), [("/when/over", "unknown-field")]),
    ("an unknown field", alert(wen={}), [("/wen", "unknown-field")]),
    ("nothing that is watched", alert(of={}), [("/of", "of-form")]),
    ("a column alone", alert(of={"column": "segment"}), [("/of", "of-form")]),
    ("two forms at once", alert(of={"summary": "x", "rows": "count"}), [("/of/rows", "unknown-field")]),
    ("an unknown column", alert(of={"column": "days", "each": ["customer_id"]}), [("/of/column", "unknown-column")]),
    (
        "an unknown key",
        alert(of={"column": "recency_days", "each": ["customer_id", "region"]}),
        [("/of/each/1", "unknown-column")],
    ),
    ("no key", alert(of={"column": "recency_days", "each": []}), [("/of/each", "too-short")]),
    ("a key twice", alert(of={"column": "recency_days", "each": ["segment", "segment"]}), [("/of/each", "each")]),
    (
        "an unknown column of a filter",
        alert(of={"rows": "count", "where": {"and": [{"column": "owner", "op": "eq", "value": "x"}]}}),
        [("/of/where/and/0/column", "unknown-column")],
    ),
    (
        "a filter with a value of another type",
        alert(of={"rows": "count", "where": {"column": "recency_days", "op": "gt", "value": "soon"}}),
        [("/of/where/value", "filter-type")],
    ),
    (
        "the sum of texts",
        alert(of={"column": "segment", "take": "sum"}, when={"equals": "x"}),
        [("/of/take", "alert-type")],
    ),
    ("an unknown way to take", alert(of={"column": "segment", "take": "median"}), [("/of/take", "enum")]),
    ("a text that is above", alert(of={"column": "segment", "take": "first"}), [("/when/above", "alert-type")]),
    (
        "a change of a text",
        alert(of={"column": "segment", "take": "first"}, when={"rises_by": 1}),
        [("/when/rises_by", "alert-type")],
    ),
    ("the age of a number", alert(when={"older_than": "2 days"}), [("/when/older_than", "alert-type")]),
    ("an age that is none", alert(when={"older_than": "soon"}), [("/when/older_than", "age")]),
    ("a share that is none", alert(when={"rises_by": "-5%"}), [("/when/rises_by", "change")]),
    ("no change", alert(when={"falls_by": 0}), [("/when/falls_by", "change")]),
    ("not missing", alert(when={"missing": False}), [("/when/missing", "literal-error")]),
    ("a bound that is no number", alert(when={"above": "much"}), [("/when/above", "decimal-parsing")]),
    ("bounds the wrong way round", alert(when={"outside": [2, 1]}), [("/when/outside", "bounds")]),
    ("a recovery that holds at once", alert(recovers={"above": 100}), [("/recovers", "recovers")]),
    ("a recovery of a change", alert(when={"rises_by": "5%"}, recovers={"below": 1}), [("/recovers", "recovers")]),
    ("no runs", alert(after=0), [("/after", "greater-than-equal")]),
    ("half a run", alert(recovers_after=1.5), [("/recovers_after", "int-type")]),
]


@pytest.mark.parametrize(("wanted", "wrong"), [one[1:] for one in WRONG], ids=[one[0] for one in WRONG])
def test_what_could_not_be_watched_is_refused_where_it_is_wrong(
    ready: Caller, wanted: dict[str, Any], wrong: list[tuple[str, str]]
) -> None:
    answer = ready.post("/v1/schedules", SCHEDULE | {"alerts": [SILENT, wanted]})
    assert errors(answer) == [(f"#/alerts/1{pointer}", code) for pointer, code in wrong]
    assert ready.get("/v1/schedules").json["data"] == []


def test_each_has_its_own_name_and_there_are_not_too_many(ready: Caller) -> None:
    twice = [SILENT, alert(), SILENT]
    assert errors(ready.post("/v1/schedules", SCHEDULE | {"alerts": twice})) == [("#/alerts/2/name", "repeated-name")]
    many = [alert(name=f"Alert {number}") for number in range(21)]
    assert errors(ready.post("/v1/schedules", SCHEDULE | {"alerts": many})) == [("#/alerts", "too-long")]
    assert ready.post("/v1/schedules", SCHEDULE | {"alerts": many[:20]}).status_code == 201


def test_columns_that_only_the_result_has_are_not_judged_before(ready: Caller) -> None:
    pivot = {
        "dataset": "orders",
        "dimensions": [{"column": "customer_id"}],
        "measures": [{"op": "sum", "column": "amount"}],
        "pivot": {"column": "country", "values": ["FR", "GB"]},
    }
    wanted = [alert(of={"column": "FR", "take": "sum"}), alert(name="Other", of={"summary": "no.such"})]
    answer = ready.post("/v1/schedules/preview", SCHEDULE | {"type": "aggregate", "params": pivot, "alerts": wanted})
    assert "#/alerts" not in answer.text, answer.text


@pytest.mark.usefixtures("mail")
def test_who_would_wait_for_ever_is_refused(ready: Caller) -> None:
    def refused(receiver: dict[str, Any], *alerts: dict[str, Any]) -> list[tuple[str, str]]:
        return errors(ready.post("/v1/schedules", SCHEDULE | {"deliveries": [receiver], "alerts": [*alerts]}))

    whole = {"channel": "email", "to": ["ada@example.com"], "on": ["succeeded", "firing"]}
    part = whole | {"filter": {"column": "segment", "op": "eq", "value": "Lost"}}
    figure = alert(of={"rows": "count"})
    assert refused(whole) == [("#/deliveries/0/on/1", "no-alerts")]
    assert refused(part, figure) == [("#/deliveries/0/on/1", "not-for-parts")]
    assert refused(part | {"on": ["broken"]}, SILENT) == [("#/deliveries/0/on/0", "not-for-parts")]
    assert refused({"channel": "file", "url": "/x", "on": ["recovered"]}, SILENT)[0][0] == "#/deliveries/0/on/0"
    assert ("#/deliveries/0/on/0", "literal-error") in refused(whole | {"on": ["fired"]}, SILENT)
    made = ready.post("/v1/schedules", SCHEDULE | {"deliveries": [whole, part], "alerts": [figure, SILENT]})
    assert made.status_code == 201, made.text
    here = made.json["links"]["self"]
    assert errors(ready.patch(here, {"alerts": None}))[0] == ("#/deliveries/0/on/1", "no-alerts")
    gone = ready.patch(here, {"alerts": None, "deliveries": None})
    assert (gone.status_code, gone.json["alerts"], gone.json["deliveries"]) == (200, [], [])


@pytest.mark.usefixtures("mail")
def test_a_report_that_is_no_schedules_has_no_alerts_to_tell_of(ready: Caller) -> None:
    receiver = {"channel": "email", "to": ["ada@example.com"], "on": ["firing"]}
    answer = ready.post("/v1/reports", {"type": "rfm", "deliveries": [receiver]})
    assert ("#/deliveries/0/on/0", "literal-error") in errors(answer)
    assert errors(ready.post("/v1/reports", {"type": "rfm", "alerts": [SILENT]})) == [("#/alerts", "unknown-field")]


def test_alerts_are_kept_canonical_and_shown_before_they_were_ever_evaluated(ready: Caller) -> None:
    exact = alert(of={"column": "monetary", "take": "sum"}, when={"below": "12345678901234567.89"})
    made = ready.post("/v1/schedules", SCHEDULE | {"alerts": [SILENT, exact]}).json
    assert made["alerts"] == [
        SILENT | {"after": 1, "recovers_after": 1},
        exact | {"after": 1, "recovers_after": 1},
    ]
    assert made["links"]["alerts"] == f"{made['links']['self']}/alerts"
    shown = ready.get(made["links"]["alerts"]).json
    assert shown["next"] is None
    assert shown["data"][0] == {
        "name": "Silent",
        "declaration": made["alerts"][0],
        "figure": "recency days of each customer id",
        "condition": "above 90",
        "recovery": None,
        "state": None,
        "since": None,
        "value": None,
        "previous": None,
        "counts": {"firing": 0, "pending": 0},
        "firing": [],
        "remark": None,
        "problem": None,
        "evaluated": None,
    }
    assert ready.get(f"{made['links']['alerts']}/changes").json == {"data": [], "next": None}


def test_how_alerts_stand_is_shown(ready: Caller) -> None:
    broken = alert(name="Broken", of={"column": "gone", "each": ["country"]})
    whole = {"name": "Net", "of": {"summary": "net"}, "when": {"below": 100}, "recovers": {"at_least": 120}}
    with declared_as(ready, LOW | {"after": 2}, whole, broken) as one:
        one.run(nets(FR="99.00", GB="98.00", DE="200.00"), net="99.50")
        one.run(nets(FR="97.00", GB="96.00", DE="1.00"), net="99.00")
        low, net, gone = ready.get(f"/v1/schedules/{one.schedule.id}/alerts").json["data"]
        first, second = (moment(schedule_hands.minutes(5 * slot)) for slot in (1, 2))
        assert (low["state"], low["counts"], low["since"]) == ("firing", {"firing": 2, "pending": 1}, second)
        assert sorted(low["firing"], key=str) == [
            {"key": {"country": "FR"}, "value": "97.00", "previous": "99.00", "since": second},
            {"key": {"country": "GB"}, "value": "96.00", "previous": "98.00", "since": second},
        ]
        assert (low["evaluated"]["due_at"], low["evaluated"]["job_id"]) == (second, str(one.jobs[1]))
        assert (net["state"], net["value"], net["previous"], net["since"]) == ("firing", "99.00", "99.50", first)
        assert (net["condition"], net["recovery"], net["figure"]) == ("below 100", "at least 120", "net")
        assert net["counts"] == {"firing": 1, "pending": 0}
        assert (gone["state"], gone["problem"]["code"], gone["problem"]["since"]) == ("ok", "unknown-column", first)


def test_the_log_is_listed_newest_first_page_by_page_and_of_one_alert(ready: Caller) -> None:
    whole = {"name": "Net", "of": {"summary": "net"}, "when": {"below": 100}}
    with declared_as(ready, LOW, whole) as one:
        one.run(nets(FR="99.00"), net=1)
        one.run(nets(FR="100.00", GB="1.00"), net=200)
        here = f"/v1/schedules/{one.schedule.id}/alerts/changes"
        logged = ready.get(here).json["data"]
        assert [(entry["name"], entry["change"], entry["key"]) for entry in logged] == [
            ("Net", "recovered", None),
            ("Low", "recovered", {"country": "FR"}),
            ("Low", "firing", {"country": "GB"}),
            ("Net", "firing", None),
            ("Low", "firing", {"country": "FR"}),
        ]
        assert (logged[0]["value"], logged[0]["previous"], logged[0]["problem"]) == (200, 1, None)
        assert logged[0]["due_at"] == moment(schedule_hands.minutes(10))
        pages: list[list[str]] = []
        following: str | None = f"{here}?limit=2&name=Low"
        while following is not None:
            page = ready.get(following).json
            pages.append([entry["id"] for entry in page["data"]])
            following = page["next"]
        assert [len(page) for page in pages] == [2, 1]
        assert [*itertools.chain(*pages)] == [entry["id"] for entry in logged if entry["name"] == "Low"]
        assert errors(ready.get(f"{here}?cursor=nonsense")) == [("#/query/cursor", "unknown-cursor")]
        assert ready.delete(f"/v1/schedules/{one.schedule.id}").status_code == 200
        assert ready.get(here).json["data"] == logged
        assert ready.get(f"/v1/schedules/{one.schedule.id}/alerts").status_code == 410


def test_a_change_forgets_what_was_known_of_alerts_that_ask_something_else_now(ready: Caller) -> None:
    made = ready.post("/v1/schedules", SCHEDULE | {"alerts": [SILENT, alert(after=3)]}).json
    here = made["links"]["self"]
    for one in made["alerts"]:
        _stand(ready, uuid.UUID(made["id"]), one)
    same = ready.patch(here, {"name": "Renamed", "alerts": [alert(after=3), SILENT]}).json
    assert [one["name"] for one in same["alerts"]] == ["Second", "Silent"]
    assert [one["state"] for one in ready.get(f"{here}/alerts").json["data"]] == ["ok", "ok"]
    changed = ready.patch(here, {"alerts": [alert(after=2), SILENT]})
    assert (changed.status_code, changed.json["revision"]) == (200, same["revision"] + 1)
    assert [one["state"] for one in ready.get(f"{here}/alerts").json["data"]] == [None, "ok"]
    # Another report has other columns.
    assert errors(ready.patch(here, {"type": "revenue_trend"})) == [
        (f"#/alerts/{place}/of/{part}", "unknown-column") for place in (0, 1) for part in ("column", "each/0")
    ]
    assert ready.patch(here, {"type": "revenue_trend", "alerts": []}).json["alerts"] == []
    with session.transaction() as db:
        query = select(func.count()).where(AlertStanding.schedule_id == uuid.UUID(made["id"]))
        assert db.scalar(query) == 0


def test_what_alerts_would_say_of_the_newest_result(ready: Caller) -> None:
    with declared_as(ready, LOW, SUM) as one:
        here = f"/v1/schedules/{one.schedule.id}/alerts/preview"
        none = ready.post(here)
        assert (none.status_code, none.json["type"]) == (409, "/docs/problems/no-run")
        one.end(nets(FR="500.00", GB="100.00"))
        first = ready.post(here).json
        assert (first["run"]["job_id"], first["before"]) == (str(one.jobs[0]), None)
        assert [(tried["holds"], tried["remark"]) for tried in first["alerts"]] == [
            (False, None),
            (False, "no-previous"),
        ]
        one.end(None)
        one.end(table([("FR", None, "50.00"), ("GB", None, "99.99"), ("DE", None, None)]))
        found = ready.post(here).json
        assert (found["run"]["job_id"], found["before"]["job_id"]) == (str(one.jobs[2]), str(one.jobs[0]))
        assert found["run"]["due_at"] == moment(schedule_hands.minutes(15))
        low, total = found["alerts"]
        assert (low["holds"], low["count"], low["condition"]) == (True, 2, "below 100")
        assert low["rows"] == [
            {"key": {"country": "FR"}, "value": "50.00", "previous": None},
            {"key": {"country": "GB"}, "value": "99.99", "previous": None},
        ]
        assert (total["holds"], total["value"], total["previous"], total["rows"]) == (True, "149.99", "600.00", [])
        with session.transaction() as db:
            assert db.scalar(select(func.count()).where(AlertChange.schedule_id == one.schedule.id)) == 0
            assert db.scalar(select(func.count()).where(AlertStanding.schedule_id == one.schedule.id)) == 0
            query = select(func.count()).where(
                Delivery.schedule_id == one.schedule.id, Delivery.event_type.like("alert.%")
            )
            assert db.scalar(query) == 0


def test_other_alerts_are_tried_and_what_keeps_one_from_being_evaluated_is_told(ready: Caller) -> None:
    count = alert(of={"rows": "count"}, when={"at_least": 2})
    with declared_as(ready, LOW) as one:
        here = f"/v1/schedules/{one.schedule.id}/alerts/preview"
        one.end(nets(FR="1.00", GB="1.00"))
        # The schedule asks for RFM; what the test let it have has other columns.
        [counted, silent, summed] = ready.post(
            here, {"alerts": [count, SILENT, alert(name="Sum", of={"summary": "net"})]}
        ).json["alerts"]
        assert (counted["holds"], counted["value"], counted["count"]) == (True, 2, 0)
        assert (silent["holds"], silent["problem"]["code"]) == (None, "unknown-column")
        assert summed["problem"]["code"] == "unknown-figure"
        assert errors(ready.post(here, {"alerts": [SILENT, LOW]})) == [
            ("#/alerts/1/of/column", "unknown-column"),
            ("#/alerts/1/of/each/0", "unknown-column"),
        ]
        assert errors(ready.post(here, {"alert": []})) == [("#/alert", "unknown-field")]
        assert ready.post(here, {"alerts": []}).json["alerts"] == []


def test_a_run_by_hand_can_be_tried(ready: Caller) -> None:
    made = ready.post("/v1/schedules", SCHEDULE | {"alerts": [alert(of={"rows": "count"}, when={"below": 3})]}).json
    job = ready.post(made["links"]["run"], {"deliver": False}).json
    web_api.finish(job["id"], nets(FR="1.00"))
    tried = ready.post(f"{made['links']['alerts']}/preview").json
    assert (tried["run"]["job_id"], tried["alerts"][0]["holds"]) == (job["id"], True)


def test_whoever_may_not_read_reports_is_shown_none_of_their_figures(ready: Caller) -> None:
    with declared_as(ready, LOW) as one:
        one.run(nets(FR="1.00"))
        here = f"/v1/schedules/{one.schedule.id}/alerts"
        weak = web_api.another_key(ready, Scope.SCHEDULES)
        for answer in (weak.get(here), weak.get(f"{here}/changes"), weak.post(f"{here}/preview")):
            assert (answer.status_code, answer.json["scopes_needed"]) == (403, ["reports:read"])
        assert web_api.another_key(ready, Scope.SCHEDULES, Scope.REPORTS_READ).get(here).status_code == 200


def test_figures_of_alerts_are_in_the_metrics(ready: Caller) -> None:
    def figure(name: str) -> float:
        lines = ready.http.get("/metrics").text.splitlines()
        return float(next(line for line in lines if line.startswith(f"reckoner_{name} ")).split()[-1])

    firing, due = figure('alerts{state="firing"}'), figure("alert_slots_due")
    with declared_as(ready, LOW) as one:
        one.end(nets(FR="1.00"))
        assert figure("alert_slots_due") == due + 1
        one.run(nets(FR="1.00"))
        assert figure('alerts{state="firing"}') == firing + 1
        assert figure("alert_slots_due") == due
        assert figure("alert_oldest_due_seconds") == 0


def declared_as(caller: Caller, *wanted: dict[str, Any]) -> Any:
    return watched(caller, *(alert_hands.declared(**one) for one in wanted))


def moment(found: Any) -> str:
    return str(found.isoformat().replace("+00:00", "Z"))


def _stand(caller: Caller, schedule_id: uuid.UUID, declaration: dict[str, Any]) -> None:
    """Let an alert have been evaluated."""
    with session.transaction() as db:
        db.add(
            AlertStanding(
                schedule_id=schedule_id,
                name=declaration["name"],
                organisation_id=caller.organisation_id,
                declaration=declaration,
                due_at=schedule_hands.START,
            )
        )
