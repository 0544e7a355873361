"""Who would get what of a result: told beforehand, as it is sent afterwards, and nothing is sent by telling it."""

import copy
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select, update

from models import session, settings, tables
from models.api_key import Scope
from models.delivery import Delivery
from models.schedule import ScheduleOccurrence
from models.webhook import Webhook
from tests.integration import receiver, schedule_hands, test_bursting, test_email_sending, web_api
from tests.integration.web_api import Answer, Caller
from web import render_pool
from workers.deliveries import receivers as expanding
from workers.deliveries import rendering

OWN = {"column": "owner", "op": "eq", "value": "gracehopper"}


@pytest.fixture(autouse=True)
def _mail(database: settings.Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    receiver.empty_outbox()
    for name, value in {"SMTP_HOST": "127.0.0.1", "MAIL_FROM": "reports@example.com"}.items():
        monkeypatch.setenv(name, value)
    settings.load.cache_clear()
    yield
    monkeypatch.undo()
    settings.load.cache_clear()


@pytest.fixture(scope="module", autouse=True)
def _end_processes() -> Iterator[None]:
    yield
    render_pool.close_all()


def _report(caller: Caller) -> uuid.UUID:
    header = {**test_bursting.HEADER, "params": {**test_bursting.HEADER["params"], "segment_by": ["owner"]}}
    return test_email_sending.report(caller, table=test_bursting.TABLE, **header)


def _ask(caller: Caller, job_id: uuid.UUID, *wanted: dict[str, Any]) -> Answer:
    # The question of the report names the column; else its filters would be refused at once.
    with session.transaction() as db:
        db.execute(update(tables.Job).where(tables.Job.id == job_id).values(params={"segment_by": ["owner"]}))
    return caller.post(f"/v1/reports/{job_id}/preview-deliveries", {"deliveries": [*wanted]})


def _told(answer: Answer) -> dict[str, tuple[int | None, str]]:
    assert answer.status_code == 200, answer.text
    return {",".join(one["to"]): (one["rows"], one["outcome"]) for one in answer.json["receivers"]}


def test_each_is_told_with_their_rows_and_so_is_what_nobody_gets(caller: Caller) -> None:
    job_id = _report(caller)
    burst: dict[str, Any] = copy.deepcopy(test_bursting.BURST)
    del burst["burst"]["otherwise"]
    whole = {"channel": "email", "to": ["all@example.com"], "on": ["failed"]}
    answer = _ask(caller, job_id, burst, whole)
    assert _told(answer) == {
        "for-ada@example.com": (1, "sent"),
        "for-grace@example.com": (1, "sent"),
        "for-nobody@example.com": (0, "skipped"),
        "all@example.com": (None, "not-told"),
    }
    found = answer.json
    assert (found["job_id"], found["row_count"], found["schedule_id"]) == (str(job_id), 4, None)
    assert [one["entry"] for one in found["receivers"]] == [0, 0, 0, 1]
    assert found["receivers"][0]["formats"] == test_bursting.FORMATS
    assert found["unshared"] == {
        "rows": 2,
        "values": [
            {"column": "owner", "value": None, "rows": 1},
            {"column": "owner", "value": "maryjackson", "rows": 1},
        ],
    }
    assert _ask(caller, job_id, test_bursting.BURST).json["unshared"] == {"rows": 0, "values": []}
    assert _ask(caller, job_id, {"channel": "email", "to": ["all@example.com"]}).json["unshared"] is None


def test_it_is_what_is_sent_and_nothing_is_sent_by_asking(caller: Caller) -> None:
    job_id = _report(caller)
    before = _deliveries(caller)
    told = _told(_ask(caller, job_id, test_bursting.BURST))
    assert _deliveries(caller) == before
    for target in expanding.expand(caller.organisation_id, [test_bursting.BURST]):
        delivery = Delivery(
            id=uuid.uuid4(),
            organisation_id=caller.organisation_id,
            job_id=job_id,
            filter=target["filter"],
            target=target["target"],
        )
        rows, outcome = told[target["target"]["to"]]
        if outcome == "skipped":
            with pytest.raises(rendering.EmptyError):
                rendering.load(delivery)
        else:
            assert rendering.load(delivery).header["row_count"] == rows


def test_who_is_not_reached_leaves_rows_to_nobody(caller: Caller) -> None:
    job_id = _report(caller)
    unfit = {"column": "owner", "op": "eq", "value": "x"}
    rest = {"not": OWN}
    answer = _ask(
        caller,
        job_id,
        {"channel": "email", "to": ["grace@example.com"], "filter": OWN},
        {"channel": "email", "to": ["late@example.com"], "filter": rest, "on": ["failed"]},
        {"channel": "email", "to": ["empty@example.com"], "filter": unfit, "if_empty": "send"},
    )
    assert _told(answer) == {
        "grace@example.com": (1, "sent"),
        "late@example.com": (None, "not-told"),
        "empty@example.com": (0, "sent"),
    }
    assert answer.json["unshared"]["rows"] == 3


def test_what_a_report_would_refuse_is_refused(caller: Caller) -> None:
    job_id = _report(caller)
    answer = _ask(caller, job_id, {"channel": "email", "to": ["a@example.com"], "filter": {**OWN, "column": "manager"}})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json["errors"]] == ["#/deliveries/0/filter/column"]
    assert caller.post(f"/v1/reports/{job_id}/preview-deliveries", {"deliveries": []}).status_code == 422
    reader = web_api.another_key(caller, Scope.REPORTS_READ)
    assert _ask(reader, job_id, test_bursting.BURST).status_code == 403


def test_a_schedules_own_receivers_against_the_newest_result_of_its_slots(caller: Caller) -> None:
    webhook = caller.post("/v1/webhooks", {"url": "https://hooks.example.com/"}).json["id"]
    kept = [
        {"channel": "email", "to": ["grace@example.com"], "filter": OWN, "formats": [], "on": ["succeeded"]},
        {"channel": "webhook", "webhook_id": webhook, "on": ["succeeded"]},
    ]
    with schedule_hands.scheduled(caller, deliveries=kept, params={"segment_by": ["owner"]}) as schedule:
        path = f"/v1/schedules/{schedule.id}/preview-deliveries"
        answer = caller.post(path)
        assert (answer.status_code, answer.json["type"]) == (409, "/docs/problems/no-run")
        reports = [_report(caller) for _ in range(2)]
        with session.transaction() as db:
            for number, job_id in enumerate(reports):
                db.add(
                    ScheduleOccurrence(
                        schedule_id=schedule.id,
                        organisation_id=caller.organisation_id,
                        due_at=schedule_hands.minutes(number),
                        status="fired",
                        job_id=job_id,
                    )
                )
        sent = _deliveries(caller)
        answer = caller.post(path)
        assert _told(answer) == {"grace@example.com": (1, "sent"), webhook: (None, "sent")}
        assert (answer.json["job_id"], answer.json["due_at"]) == (str(reports[1]), "2025-03-03T09:01:00Z")
        assert answer.json["unshared"] == {"rows": 3, "values": []}
        other = caller.post(path, {"deliveries": [{"channel": "email", "to": ["all@example.com"]}]})
        assert _told(other) == {"all@example.com": (4, "sent")}
        # Counts by any filter tell what is in a result.
        assert web_api.another_key(caller, Scope.SCHEDULES).post(path).status_code == 403
        with session.transaction() as db:
            db.execute(update(Webhook).where(Webhook.id == webhook).values(disabled_at=func.now(), disabled_reason="x"))
        [_, disabled] = caller.post(path).json["receivers"]
        assert (disabled["outcome"], disabled["problem"]) == ("refused", "The webhook is disabled.")
        assert _told(_ask(caller, reports[1], kept[1])) == {webhook: (None, "refused")}
        assert _deliveries(caller) == sent


def _deliveries(caller: Caller) -> int:
    with session.transaction() as db:
        mine = select(func.count()).where(Delivery.organisation_id == caller.organisation_id)
        return db.scalar(mine) or 0
