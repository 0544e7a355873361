"""Schedules over HTTP: made, shown, changed, paused, resumed, removed, seen in advance, run, and looked back at."""

import uuid
from typing import Any

import pyarrow as pa
import pytest

from models import schedules, session, settings
from models.api_key import Scope
from models.dataset import DatasetVersion
from tests.integration import schedule_hands, web_api
from tests.integration.schedule_hands import minutes
from workers.schedules import firing

MONTHLY: dict[str, Any] = {
    "name": "Monthly RFM for the board",
    "type": "rfm",
    "params": {"range": {"last": "1 month", "complete": True}},
    "cron": "0 6 1 * *",
}


def made(caller: web_api.Caller, **changes: Any) -> Any:
    answer = caller.post("/v1/schedules", MONTHLY | changes)
    assert answer.status_code == 201, answer.text
    return answer.json


def errors(answer: web_api.Answer) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return [(error["pointer"], error["code"]) for error in answer.json["errors"]]


def test_a_schedule_is_made_with_defaults_and_shown(ready: web_api.Caller) -> None:
    answer = ready.post("/v1/schedules", MONTHLY)
    shown = answer.json
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/schedules/{shown['id']}"
    assert answer.headers["ETag"] == '"r1"'
    assert {name: shown[name] for name in MONTHLY} == MONTHLY
    assert (shown["timezone"], shown["catch_up"], shown["overlap"], shown["max_failures"], shown["status"]) == (
        *("Europe/London", "last", "queue", 5, "active"),
    )
    assert len(shown["next_occurrences"]) == 5
    assert all(moment.endswith("Z") for moment in shown["next_occurrences"])
    assert shown["last_occurrence"] is None
    assert ready.get(f"/v1/schedules/{shown['id']}").json == shown
    assert [one["id"] for one in ready.get("/v1/schedules").json["data"]] == [shown["id"]]


def test_the_same_request_with_the_same_key_makes_one(ready: web_api.Caller) -> None:
    first = ready.post("/v1/schedules", MONTHLY, Idempotency_Key="board")
    again = ready.post("/v1/schedules", MONTHLY, Idempotency_Key="board")
    other = ready.post("/v1/schedules", MONTHLY | {"name": "Other"}, Idempotency_Key="board")
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert again.json == first.json
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(ready.get("/v1/schedules").json["data"]) == 1


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"cron": "0 0 30 2 *"}, [("#/cron", "never-fires")]),
        ({"cron": "0 0 0 * * *"}, [("#/cron", "seconds")]),
        ({"cron": "61 * * * *"}, [("#/cron", "not-cron")]),
        ({"timezone": "Europe/Londn"}, [("#/timezone", "timezone")]),
        ({"starts_at": "2027-01-01T00:00:00"}, [("#/starts_at", "timezone-aware")]),
        ({"starts_at": "2027-02-01T00:00:00Z", "ends_at": "2027-01-01T00:00:00Z"}, [("#/ends_at", "not-after-start")]),
        ({"ends_at": "2020-01-01T00:00:00Z"}, [("#/ends_at", "never-fires")]),
        ({"cron": "* * * * *", "jitter_seconds": 60}, [("#/jitter_seconds", "jitter-too-long")]),
        ({"params": {"bins": 1}}, [("#/params/bins", "greater-than-equal")]),
        ({"params": {"start": "todya"}}, [("#/params/start", "relative-date")]),
        ({"params": {"start": "today", "end": "yesterday"}}, [("#/params/end", "not-after-start")]),
        ({"params": {"range": {"last": "1 month"}, "start": "today"}}, [("#/params/range", "range-and-bounds")]),
        ({"type": "rmf"}, [("#/type", "unknown-report-type")]),
        ({"crom": "0 0 * * *"}, [("#/crom", "unknown-field")]),
        ({"deliveries": [{"channel": "pigeon"}]}, [("#/deliveries/0", "union-tag-invalid")]),
    ],
)
def test_what_could_not_work_is_refused_where_it_is_wrong(
    ready: web_api.Caller, changes: dict[str, Any], wrong: list[tuple[str, str]]
) -> None:
    # On the first of a month the month to date is empty.
    on_the_first = MONTHLY | {"cron": "0 0 1 * *"}
    assert errors(ready.post("/v1/schedules", on_the_first | changes)) == wrong
    assert ready.get("/v1/schedules").json["data"] == []


def test_a_report_without_data_is_no_schedule(caller: web_api.Caller) -> None:
    answer = caller.post("/v1/schedules", MONTHLY)
    assert (answer.status_code, answer.json["type"]) == (422, "/docs/problems/dataset-missing")


def test_a_dry_run_says_when_and_what_and_makes_nothing(ready: web_api.Caller) -> None:
    for path in ("/v1/schedules?dry_run=true", "/v1/schedules/preview?n=10"):
        answer = ready.post(path, MONTHLY)
        assert answer.status_code == 200
        slots = answer.json["slots"]
        assert len(slots) == 10
        for slot in slots:
            year, month = int(slot["local"][:4]), int(slot["local"][5:7])
            before = f"{year - (month == 1)}-{(month - 2) % 12 + 1:02}-01"
            assert slot["local"][8:16] == "01T06:00"
            assert (slot["params"]["start"], slot["params"]["end"]) == (before, f"{slot['local'][:8]}01")
            assert slot["params"]["timezone"] == "Europe/London"
        assert answer.json["datasets"] == {"orders": {"version": 3, "rows": 42}}
    assert ready.get("/v1/schedules").json["data"] == []


def test_a_patch_changes_what_it_names(ready: web_api.Caller) -> None:
    here = f"/v1/schedules/{made(ready, label='Board', params={'bins': 4})['id']}"
    changed = ready.patch(here, {"cron": "0 7 * * MON", "label": None, "params": {"method": "rank"}})
    assert changed.status_code == 200, changed.text
    assert (changed.json["cron"], changed.json["label"]) == ("0 7 * * MON", None)
    assert changed.json["params"] == {"bins": 4, "method": "rank"}
    assert (changed.json["revision"], changed.headers["ETag"]) == (2, '"r2"')
    assert changed.json["next_occurrences"] != []
    assert ready.get(here).json == changed.json
    assert errors(ready.patch(here, {"name": None})) == [("#/name", "missing")]
    assert errors(ready.patch(here, {"params": {"bins": 99}})) == [("#/params/bins", "less-than-equal")]
    assert ready.patch(here, {}).json["revision"] == 2


def test_a_patch_of_an_older_revision_is_refused(ready: web_api.Caller) -> None:
    here = f"/v1/schedules/{made(ready)['id']}"
    seen = ready.get(here).headers["ETag"]
    assert ready.patch(here, {"name": "Mine"}, If_Match=seen).status_code == 200
    late = ready.patch(here, {"name": "Yours"}, If_Match=seen)
    assert (late.status_code, late.json["type"], late.json["revision"]) == (
        *(412, "/docs/problems/precondition-failed", 2),
    )
    assert ready.delete(here, If_Match=seen).status_code == 412
    assert ready.get(here).json["name"] == "Mine"


def test_pause_and_resume(ready: web_api.Caller) -> None:
    here = f"/v1/schedules/{made(ready)['id']}"
    paused = ready.post(f"{here}/pause", {"reason": "holidays"}).json
    assert (paused["status"], paused["next_occurrences"]) == ("paused", [])
    assert (paused["pause"]["reason"], paused["pause"]["detail"]) == ("asked", "holidays")
    assert ready.post(f"{here}/pause").json["pause"] == paused["pause"]
    assert [one["status"] for one in ready.get("/v1/schedules?paused=true").json["data"]] == ["paused"]
    assert ready.get("/v1/schedules?paused=false").json["data"] == []
    resumed = ready.post(f"{here}/resume").json
    assert (resumed["status"], resumed["pause"]) == ("active", None)
    assert resumed["next_occurrences"] != []


def test_a_deleted_schedule_is_gone_but_its_occurrences_are_kept(ready: web_api.Caller) -> None:
    with schedule_hands.scheduled(ready, cron="* * * * *") as schedule:
        firing.tend(minutes(1))
        firing.tend(minutes(2))
        here = f"/v1/schedules/{schedule.id}"
        gone = ready.delete(here)
        assert (gone.status_code, gone.json) == (200, {"id": str(schedule.id), "deleted": True})
        for answer in (ready.get(here), ready.post(f"{here}/run"), ready.patch(here, {"name": "x"})):
            assert (answer.status_code, answer.json["type"]) == (410, "/docs/problems/schedule-deleted")
        assert ready.get("/v1/schedules").json["data"] == []
        kept = ready.get(f"{here}/occurrences").json["data"]
        assert [(one["status"], one["reason"]) for one in kept] == [("skipped", "deleted"), ("fired", None)]


def test_occurrences_are_paged_latest_first(ready: web_api.Caller) -> None:
    with schedule_hands.scheduled(ready, catch_up="skip") as schedule:
        firing.tend(minutes(60))
        found, following = [], f"/v1/schedules/{schedule.id}/occurrences?limit=5"
        while following:
            page = ready.get(following).json
            found += [(one["due_at"], one["status"], one["job_status"]) for one in page["data"]]
            following = page["next"]
        assert [status for _, status, _ in found] == ["fired"] + ["skipped"] * 11
        assert found[0][2] == "queued"
        assert found == sorted(found, reverse=True)
        skipped = ready.get(f"/v1/schedules/{schedule.id}/occurrences?status=fired").json["data"]
        assert [one["due_at"] for one in skipped] == [found[0][0]]
        assert ready.get(f"/v1/schedules/{schedule.id}").json["last_occurrence"]["due_at"] == found[0][0]


def test_a_run_is_a_job_of_the_schedule_and_the_same_key_makes_one(ready: web_api.Caller) -> None:
    here = f"/v1/schedules/{made(ready)['id']}"
    first = ready.post(f"{here}/run", Idempotency_Key="now")
    again = ready.post(f"{here}/run", Idempotency_Key="now")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json["id"] == first.json["id"]
    assert first.json["label"] == MONTHLY["name"]
    assert f"/v1/schedules/{first.json['schedule_id']}" == here
    assert [one["id"] for one in ready.get(ready.get(here).json["links"]["reports"]).json["data"]] == [first.json["id"]]
    with session.transaction() as db:
        job = web_api.row(first.json["id"])
        assert str(job.schedule_id) in here
        assert job.due_at is not None
        assert job.due_at <= schedules.now(db)


def test_a_missed_slot_can_be_run_and_asks_what_it_would_have_asked(ready: web_api.Caller) -> None:
    daily = {"cron": "0 6 * * *", "params": {"start": "yesterday", "end": "today"}, "timezone": "Europe/London"}
    with schedule_hands.scheduled(ready, catch_up="skip", **daily) as schedule:
        firing.tend(minutes(3 * 24 * 60))
        here = f"/v1/schedules/{schedule.id}"
        run = ready.post(f"{here}/run", {"due_at": "2025-03-05T06:00:00Z"})
        assert run.status_code == 202, run.text
        assert (run.json["params"]["start"], run.json["params"]["end"]) == ("2025-03-04", "2025-03-05")
        by_slot = {one["due_at"]: one for one in ready.get(f"{here}/occurrences").json["data"]}
        assert by_slot["2025-03-05T06:00:00Z"]["status"] == "skipped"
        assert by_slot["2025-03-05T06:00:00Z"]["runs"] == [run.json["id"]]
        assert errors(ready.post(f"{here}/run", {"due_at": "2025-03-05T06:01:00Z"})) == [("#/due_at", "not-a-slot")]
        assert errors(ready.post(f"{here}/run", {"due_at": "2190-03-05T06:00:00Z"})) == [("#/due_at", "in-the-future")]


def test_a_preview_shows_what_will_be_asked_and_what_could_not(ready: web_api.Caller) -> None:
    twice_a_month = "0 0 1,15 * *"
    to_date, since_april = {"range": {"this": "month"}}, {"start": "2025-04-01", "end": "today"}
    with schedule_hands.scheduled(ready, cron=twice_a_month, params=to_date) as schedule:
        found = ready.get(f"/v1/schedules/{schedule.id}/preview?n=4").json
    # On the first it is the whole month before.
    assert [slot["params"]["start"][:10] for slot in found["slots"]] == ["2025-03-01"] * 2 + ["2025-04-01"] * 2
    assert found["slots"][0]["params"]["end"] == "2025-03-15T00:00:00Z"
    assert found["rows"] == 42
    with schedule_hands.scheduled(ready, cron=twice_a_month, params=since_april) as schedule:
        found = ready.get(f"/v1/schedules/{schedule.id}/preview?n=4").json
    assert [slot["local"] for slot in found["slots"]] == [
        f"2025-{day}T00:00:00+00:00" for day in ("03-15", "04-01", "04-15", "05-01")
    ]
    for slot in found["slots"]:
        # Until the first of April its days from that first on are none.
        nothing = slot["local"][:10] <= "2025-04-01"
        assert (slot["params"] is None, slot["problem"] is not None) == (nothing, nothing)
    assert found["slots"][2]["params"]["end"] == "2025-04-15"


def test_others_ids_and_scopes(ready: web_api.Caller) -> None:
    schedule = made(ready)
    other = web_api.new_caller(ready.http)
    here = f"/v1/schedules/{schedule['id']}"
    for path in (here, f"{here}/preview", f"{here}/occurrences", "/v1/schedules/nonsense"):
        assert other.get(path).status_code == 404
    for path in (f"{here}/run", f"{here}/pause", f"{here}/resume"):
        assert other.post(path).status_code == 404
    assert other.patch(here, {"name": "Mine"}).status_code == 404
    assert other.get("/v1/schedules").json["data"] == []
    reader = web_api.another_key(ready, Scope.REPORTS_READ)
    assert reader.get(here).status_code == 403
    assert web_api.another_key(ready, Scope.SCHEDULES).get(here).status_code == 200


@pytest.mark.usefixtures("mail")
def test_receivers_are_named_by_whoever_may_read_the_report(ready: web_api.Caller) -> None:
    weak = web_api.another_key(ready, Scope.SCHEDULES)
    strong = web_api.another_key(ready, Scope.SCHEDULES, Scope.REPORTS_READ, Scope.WEBHOOKS)
    mail = {"deliveries": [{"channel": "email", "to": ["eve@example.com"]}]}
    for path in ("/v1/schedules", "/v1/schedules?dry_run=true"):
        for short in (weak, web_api.another_key(ready, Scope.SCHEDULES, Scope.WEBHOOKS)):
            refused = short.post(path, MONTHLY | mail)
            assert (refused.status_code, refused.json["type"]) == (403, "/docs/problems/insufficient-scope")
    schedule = strong.post("/v1/schedules", MONTHLY | mail).json
    here = f"/v1/schedules/{schedule['id']}"
    # What is there may stay, and may go; it is no other that it sends to.
    assert weak.patch(here, {"name": "Another"}).status_code == 200
    others = {"deliveries": [{"channel": "email", "to": ["eve@example.com", "mallory@example.com"]}]}
    assert weak.patch(here, others).status_code == 403
    assert weak.patch(here, {"deliveries": schedule["deliveries"]}).status_code == 200
    assert weak.patch(here, {"deliveries": None}).status_code == 200


def test_lists_are_filtered_and_paged(ready: web_api.Caller) -> None:
    names = [made(ready, name=f"Number {number % 2}")["name"] for number in range(5)]
    first = ready.get("/v1/schedules?limit=3").json
    rest = ready.get(first["next"]).json
    assert [one["name"] for one in first["data"] + rest["data"]] == names[::-1]
    assert rest["next"] is None
    assert len(ready.get("/v1/schedules?name=Number+1").json["data"]) == 2
    assert ready.get("/v1/schedules?type=clv").json["data"] == []


def test_there_are_as_many_as_the_settings_allow(ready: web_api.Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = settings.load().model_copy(update={"max_schedules": 2, "min_schedule_seconds": 3600})
    monkeypatch.setattr(settings, "load", lambda: allowed)
    assert errors(ready.post("/v1/schedules", MONTHLY | {"cron": "0,30 6 * * *"})) == [("#/cron", "too-often")]
    for _ in range(2):
        made(ready)
    full = ready.post("/v1/schedules", MONTHLY)
    assert (full.status_code, full.json["type"]) == (409, "/docs/problems/too-many-schedules")


def test_an_id_that_never_was_is_not_found(ready: web_api.Caller) -> None:
    assert ready.get(f"/v1/schedules/{uuid.uuid4()}").status_code == 404


def test_reports_of_a_schedule_are_those_it_made_and_those_that_answered_its_slots(ready: web_api.Caller) -> None:
    others = ready.post("/v1/reports", {"type": "rfm", "max_age": 0}).json["id"]
    answered = ready.post("/v1/reports", {"type": "rfm", "params": {"bins": 4, "timezone": "UTC"}}).json["id"]
    web_api.finish(answered, pa.table({"customer_id": ["C-1"]}))
    with schedule_hands.scheduled(ready, params={"bins": 4}) as schedule:
        firing.tend(minutes(5))
        firing.tend(minutes(10))
        schedule_hands.change(schedule, max_age=0)
        for at in (15, 20):
            firing.tend(minutes(at))
            schedule_hands.end_jobs(schedule)
        assert [str(one.job_id) for one in schedule_hands.occurrences(schedule)[:2]] == [answered, answered]
        own = [str(job.id) for job in schedule_hands.jobs(schedule)]
        assert len(own) == 2
        listed, following = [], f"/v1/reports?schedule_id={schedule.id}&limit=1"
        while following:
            page = ready.get(following).json
            listed += [one["id"] for one in page["data"]]
            following = page["next"]
    assert listed == [*own[::-1], answered], "newest first, each once"
    assert others not in listed
    assert web_api.new_caller(ready.http).get(f"/v1/reports?schedule_id={schedule.id}").json["data"] == []


def test_dates_in_a_filter_are_those_of_the_slot(ready: web_api.Caller) -> None:
    kinds = {"order_id": "text", "ordered_at": "timestamp", "shipped_on": "date", "status": "text"}
    with session.transaction() as db:
        db.get_one(DatasetVersion, (ready.organisation_id, "orders", 3)).columns = kinds

    def asked(value: str, column: str = "ordered_at") -> dict[str, Any]:
        leaf = {"column": column, "op": "ge", "value": value}
        return {"params": {"filter": {"and": [leaf, {"column": "status", "op": "eq", "value": "today"}]}}}

    weekly = {"cron": "0 6 * * MON", "timezone": "Europe/London"}
    with schedule_hands.scheduled(ready, **weekly, **asked("today - 7 days")) as schedule:
        firing.tend(minutes(7 * 24 * 60))
        [job] = schedule_hands.jobs(schedule)
        assert job.params["filter"]["and"][0]["value"] == "2025-03-03"
        assert job.params["filter"]["and"][1]["value"] == "today", "a word of a column of text"
        slots = ready.get(f"/v1/schedules/{schedule.id}/preview?n=2").json["slots"]
        assert [one["params"]["filter"]["and"][0]["value"] for one in slots] == ["2025-03-10", "2025-03-17"]
    kept = made(ready, **weekly, **asked("start_of_month", "shipped_on"))
    assert kept["params"] == asked("start_of_month", "shipped_on")["params"], "as it was given"
    wrong = ready.post("/v1/schedules", MONTHLY | asked("a week ago"))
    assert errors(wrong) == [("#/params/filter/and/0/value", "relative-date")]
    wrong = ready.post("/v1/schedules", MONTHLY | asked("now", "shipped_on"))
    assert errors(wrong) == [("#/params/filter/and/0/value", "filter-date")]
