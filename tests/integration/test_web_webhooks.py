"""Webhooks and deliveries over HTTP."""

import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import standardwebhooks
from sqlalchemy import select, update

from models import deliveries, outbox, session, settings, webhooks
from models.api_key import Scope
from models.delivery import Delivery
from models.outbox import EventType
from models.webhook import Webhook
from tests.integration import web_api
from tests.integration.receiver import Manner, Receiver
from tests.integration.web_api import Answer, Caller
from workers.deliveries import sending

URL = "https://hooks.example.com/reckoner"


def call(caller: Caller, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {caller.secret}"}
    return caller.http.open(path, method=method, json=body, headers=headers)


def create(caller: Caller, url: str = URL, **more: Any) -> Any:
    made = caller.post("/v1/webhooks", {"url": url, **more})
    assert made.status_code == 201, made.json
    return made.json


def pointer(answer: Answer) -> tuple[int, str, str]:
    return answer.status_code, answer.json["errors"][0]["pointer"], answer.json["errors"][0]["code"]


def tell(caller: Caller, times: int = 1) -> None:
    with session.transaction() as db:
        for _ in range(times):
            outbox.record(db, caller.organisation_id, EventType.SCHEDULE_PAUSED, {"id": "1"})


def test_the_secret_is_shown_once_and_kept_encrypted(caller: Caller) -> None:
    made = create(caller, events=["report.*"], description="Books")
    assert made["secret"].startswith("whsec_")
    shown = caller.get(made["links"]["self"]).json
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert (shown["status"], shown["events"], shown["description"]) == ("enabled", ["report.*"], "Books")
    with session.transaction() as db:
        kept = db.get_one(Webhook, uuid.UUID(made["id"])).secret
    assert made["secret"].removeprefix("whsec_").encode() not in kept
    assert caller.get("/v1/webhooks").json["data"] == [shown]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"url": "http://hooks.example.com/"}, (422, "#/url", "not-https")),
        ({"url": "https://127.0.0.1/"}, (422, "#/url", "private-address")),
        ({"url": "https://[::ffff:169.254.169.254]/"}, (422, "#/url", "private-address")),
        ({"url": "https://a:b@hooks.example.com/"}, (422, "#/url", "bad-url")),
        ({"url": URL, "events": ["report.finished"]}, (422, "#/events", "value-error")),
        ({"url": URL, "events": []}, (422, "#/events", "too-short")),
        ({"url": URL, "secret": "mine"}, (422, "#/secret", "unknown-field")),
        ({}, (422, "#/url", "missing")),
    ],
)
def test_what_no_webhook_can_be(caller: Caller, body: Any, problem: tuple[int, str, str]) -> None:
    assert pointer(caller.post("/v1/webhooks", body)) == problem


def test_a_webhook_is_changed_and_deleted(caller: Caller) -> None:
    made = create(caller)
    here = made["links"]["self"]
    changed = call(caller, "PATCH", here, {"url": "https://other.example.com/", "events": ["import.failed"]}).json
    assert (changed["url"], changed["events"], changed["description"]) == (
        "https://other.example.com/",
        ["import.failed"],
        None,
    )
    with session.transaction() as db:
        assert db.get_one(Webhook, uuid.UUID(made["id"])).lane.endswith("/other.example.com:443")
    assert pointer(call(caller, "PATCH", here, {"url": "https://10.0.0.1/"})) == (422, "#/url", "private-address")
    assert call(caller, "DELETE", here).json == {"id": made["id"], "deleted": True}
    for method, path in (("GET", here), ("PATCH", here), ("DELETE", here), ("POST", f"{here}/test")):
        assert call(caller, method, path, {} if method == "PATCH" else None).status_code == 404


def test_a_request_that_is_sent_again_makes_one_webhook_and_shows_no_secret_again(caller: Caller) -> None:
    first = caller.post("/v1/webhooks", {"url": URL}, Idempotency_Key="one")
    again = caller.post("/v1/webhooks", {"url": URL}, Idempotency_Key="one")
    assert again.json == first.json | {"secret": None}
    assert again.headers["Idempotent-Replayed"] == "true"
    assert caller.post("/v1/webhooks", {"url": URL + "/2"}, Idempotency_Key="one").status_code == 422
    assert len(caller.get("/v1/webhooks").json["data"]) == 1


def test_there_is_a_limit(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "MOST_PER_ORGANISATION", 2)
    create(caller)
    create(caller)
    refused = caller.post("/v1/webhooks", {"url": URL})
    assert (refused.status_code, refused.json["type"]) == (409, "/docs/problems/too-many-webhooks")


def test_without_a_key_no_secret_is_made(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENCRYPTION_KEYS")
    settings.load.cache_clear()
    refused = caller.post("/v1/webhooks", {"url": URL})
    monkeypatch.undo()
    settings.load.cache_clear()
    assert (refused.status_code, refused.json["type"]) == (503, "/docs/problems/no-encryption-key")


def test_lists_go_on_where_they_ended(caller: Caller) -> None:
    ids = [create(caller)["id"] for _ in range(3)]
    first = caller.get("/v1/webhooks?limit=2").json
    second = caller.get(first["next"]).json
    assert [one["id"] for one in first["data"] + second["data"]] == ids[::-1]
    assert second["next"] is None


def test_a_test_message_goes_the_way_of_all_and_its_end_is_told(caller: Caller, receiver: Receiver) -> None:
    made = create(caller, receiver.url, events=["import.failed"])
    receiver.behave(Manner(418, body=b"short and stout"))
    waiting = caller.post(f"{made['links']['test']}?wait=0")
    assert (waiting.status_code, waiting.json["status"]) == (202, "pending")
    sender = threading.Thread(target=_send_until, args=(2, receiver), daemon=True)
    sender.start()
    tested = caller.post(f"{made['links']['test']}?wait=20")
    sender.join(20)
    assert (tested.status_code, tested.json["status"], tested.json["attempts"]) == (200, "failed", 1)
    [attempt] = tested.json["attempt_log"]
    assert (attempt["status_code"], attempt["excerpt"], attempt["outcome"]) == (418, "short and stout", "failed")
    got = receiver.wait_for(2)[-1]
    said = standardwebhooks.Webhook(made["secret"]).verify(got.body, got.headers)
    assert said["type"] == "webhook.test"
    # A test that fails is an answer, and no reason to disable anything.
    assert caller.get(made["links"]["self"]).json["status"] == "enabled"


def _send_until(count: int, receiver: Receiver) -> None:
    while len(receiver.received) < count:
        sending.send_due()


def test_a_new_secret_overlaps_with_the_old_one(caller: Caller, receiver: Receiver) -> None:
    made = create(caller, receiver.url)
    rotated = caller.post(made["links"]["rotate_secret"], {"overlap_seconds": 60}, Idempotency_Key="r").json
    assert rotated["secret"] != made["secret"]
    assert rotated["old_secret_until"] is not None
    assert caller.post(made["links"]["rotate_secret"], {"overlap_seconds": 60}, Idempotency_Key="r").json == rotated | {
        "secret": None
    }
    tell(caller)
    sending.send_due()
    [got] = receiver.wait_for(1)
    for secret in (made["secret"], rotated["secret"]):
        standardwebhooks.Webhook(secret).verify(got.body, got.headers)
    at_once = caller.post(made["links"]["rotate_secret"], {"overlap_seconds": 0}).json
    assert at_once["old_secret_until"] is None
    assert pointer(caller.post(made["links"]["rotate_secret"], {"overlap_seconds": -1}))[1] == "#/overlap_seconds"


def test_what_was_sent_is_listed_with_every_attempt(caller: Caller, receiver: Receiver) -> None:
    made = create(caller, receiver.url)
    receiver.behave(Manner(500), Manner(200))
    tell(caller, 2)
    sending.send_due()
    listed = caller.get(made["links"]["deliveries"]).json["data"]
    assert sorted(one["status"] for one in listed) == ["pending", "succeeded"]
    failed = next(one for one in listed if one["status"] == "pending")
    shown = caller.get(failed["links"]["self"]).json
    assert shown["attempt_log"][0]["status_code"] == 500
    assert shown["payload"]["type"] == "schedule.paused"
    assert list(shown["payload"]) == ["type", "timestamp", "data"]
    assert caller.get(f"/v1/deliveries?status=succeeded&webhook_id={made['id']}").json["data"] == [
        one for one in listed if one["status"] == "succeeded"
    ]
    assert caller.get(f"/v1/deliveries?job_id={uuid.uuid4()}").json == {"data": [], "next": None}
    page = caller.get("/v1/deliveries?limit=1&channel=webhook").json
    assert caller.get(page["next"]).json["data"] == listed[1:]


def test_a_delivery_is_sent_again_under_its_id(caller: Caller, receiver: Receiver) -> None:
    create(caller, receiver.url)
    tell(caller)
    sending.send_due()
    [sent] = caller.get("/v1/deliveries").json["data"]
    again = caller.post(sent["links"]["redeliver"], Idempotency_Key="again")
    assert (again.status_code, again.json["status"]) == (202, "pending")
    assert caller.post(sent["links"]["redeliver"]).json["type"] == "/docs/problems/delivery-pending"
    sending.send_due()
    assert caller.post(sent["links"]["redeliver"], Idempotency_Key="again").headers["Idempotent-Replayed"] == "true"
    assert sending.send_due() == 0
    first, second = receiver.wait_for(2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == sent["id"]
    assert caller.get(sent["links"]["self"]).json["attempts"] == 2


def test_what_named_a_person_who_was_erased_is_not_sent_again(caller: Caller, receiver: Receiver) -> None:
    create(caller, receiver.url)
    tell(caller)
    sending.send_due()
    [sent] = caller.get("/v1/deliveries").json["data"]
    with session.transaction() as db:
        db.get_one(Delivery, uuid.UUID(sent["id"])).erased_at = datetime.now(UTC)
    refused = caller.post(sent["links"]["redeliver"])
    assert (refused.status_code, refused.json["type"]) == (410, "/docs/problems/delivery-erased")
    assert caller.get(sent["links"]["self"]).json["status"] == "succeeded"


def test_only_those_that_a_report_did_not_reach_get_it_again(caller: Caller, receiver: Receiver) -> None:
    create(caller, receiver.url)
    web_api.give_dataset(caller)
    job_id = caller.post("/v1/reports", {"type": "rfm"}).json["id"]
    assert caller.post(f"/v1/reports/{job_id}/cancel").status_code == 200
    with session.transaction() as db:
        [reached] = db.scalars(select(Delivery).where(Delivery.job_id == uuid.UUID(job_id)))
        missed = outbox.record(
            db, caller.organisation_id, EventType.REPORT_CANCELLED, reached.payload["data"], job_id=reached.job_id
        )
    assert missed == 1
    assert reached.event_type == "report.cancelled"
    with session.transaction() as db:
        mine = Delivery.organisation_id == caller.organisation_id
        ended = {"finished_at": Delivery.created_at}
        db.execute(update(Delivery).where(mine, Delivery.id == reached.id).values(status="succeeded", **ended))
        db.execute(update(Delivery).where(mine, Delivery.id != reached.id).values(status="failed", **ended))
    again = caller.post(f"/v1/reports/{job_id}/redeliver?only=failed")
    assert (again.status_code, again.json) == (200, {"count": 1, "withdrawn": 0})
    sending.send_due()
    [got] = receiver.wait_for(1)
    assert got.headers["webhook-id"] != str(reached.id)
    assert caller.post(f"/v1/reports/{uuid.uuid4()}/redeliver").status_code == 404


def test_a_disabled_webhook_catches_up_when_it_is_enabled(caller: Caller, receiver: Receiver) -> None:
    made = create(caller, receiver.url)
    here = made["links"]["self"]
    tell(caller)
    disabled = caller.post(f"{here}/disable").json
    assert disabled["status"] == "disabled"
    assert "Disabled by key rk_" in disabled["disabled_reason"]
    assert sending.send_due() == 0
    for path in (f"{here}/test", f"{here}/redeliver"):
        assert caller.post(path).json["type"] == "/docs/problems/webhook-disabled"
    [missed] = caller.get("/v1/deliveries?status=cancelled").json["data"]
    assert caller.post(missed["links"]["redeliver"]).json["type"] == "/docs/problems/webhook-disabled"
    # What happens while it is disabled is on record, and is not sent.
    tell(caller)
    both = caller.get("/v1/deliveries").json["data"]
    assert [(one["status"], one["error"]) for one in both] == [
        ("cancelled", "The webhook was disabled; nothing was sent."),
        ("cancelled", "The webhook was disabled."),
    ]
    assert sending.send_due() == 0
    assert caller.post(f"{here}/enable").json["status"] == "enabled"
    later = "2100-01-01T00:00:00Z"
    assert caller.post(f"{here}/redeliver?since={later}").json == {"count": 0, "withdrawn": 0}
    assert caller.post(f"{here}/redeliver").json == {"count": 2, "withdrawn": 0}
    sending.send_due()
    assert {got.headers["webhook-id"] for got in receiver.wait_for(2)} == {one["id"] for one in both}


def test_others_see_none_of_it(caller: Caller, receiver: Receiver) -> None:
    other = web_api.new_caller(caller.http)
    made = create(other, receiver.url)
    tell(other)
    [theirs] = other.get("/v1/deliveries").json["data"]
    here = made["links"]["self"]
    for method, path in (
        ("GET", here),
        ("PATCH", here),
        ("DELETE", here),
        ("POST", f"{here}/rotate-secret"),
        ("POST", f"{here}/test"),
        ("POST", f"{here}/enable"),
        ("POST", f"{here}/disable"),
        ("POST", f"{here}/redeliver"),
        ("GET", f"{here}/deliveries"),
        ("GET", theirs["links"]["self"]),
        ("POST", theirs["links"]["redeliver"]),
    ):
        assert call(caller, method, path, {} if method == "PATCH" else None).status_code == 404, path
    assert caller.get("/v1/webhooks").json["data"] == []
    assert caller.get(f"/v1/deliveries?webhook_id={made['id']}").json["data"] == []
    sending.send_due()


def test_a_key_without_the_scope_is_refused(caller: Caller) -> None:
    reader = web_api.another_key(caller, Scope.REPORTS_READ)
    assert reader.get("/v1/webhooks").status_code == 403
    assert reader.get("/v1/deliveries").status_code == 403
    assert web_api.another_key(caller, Scope.WEBHOOKS).get("/v1/webhooks").status_code == 200


def test_old_deliveries_are_forgotten(caller: Caller) -> None:
    create(caller)
    tell(caller, 2)
    mine = Delivery.organisation_id == caller.organisation_id
    with session.transaction() as db:
        old, _kept = db.scalars(select(Delivery).where(mine).order_by(Delivery.id))
        past = Delivery.created_at - timedelta(days=100)
        db.execute(update(Delivery).where(Delivery.id == old.id).values(status="failed", finished_at=past))
        db.execute(
            update(Delivery).where(mine, Delivery.id != old.id).values(status="failed", finished_at=Delivery.created_at)
        )
        deliveries.forget_old(db, keep_for=timedelta(days=90), limit=1000)
        left = db.scalars(select(Delivery.id).where(mine)).all()
    assert left == [_kept.id]
