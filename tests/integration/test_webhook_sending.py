"""Webhooks, sent to a real receiver that answers in every way receivers do."""

import socket
import ssl
import threading
import time
import uuid
from datetime import timedelta
from typing import Any

import httpcore
import pytest
import standardwebhooks
from sqlalchemy import select, update

from models import deliveries, outbox, session, settings, webhooks
from models.delivery import Delivery, DeliveryAttempt, DeliveryStatus
from models.organisation import Organisation
from models.outbox import EventType
from models.webhook import Webhook
from tests.integration import certificates
from tests.integration.receiver import Manner, Receiver, receiving
from tests.integration.web_api import Caller
from workers.deliveries import addresses, by_webhook, http_post, receivers, sending
from workers.deliveries.http_post import Patience, Way

LOCAL = Way(allow_private=True)


def subscribe(caller: Caller, url: str, *events: str) -> webhooks.Issued:
    with session.transaction() as db:
        return webhooks.create(
            db,
            caller.organisation_id,
            url=url,
            lane=receivers.lane_of_url(caller.organisation_id, url, allow_private=True),
            events=list(events or ("*",)),
            description=None,
        )


def tell(caller: Caller, event: str = EventType.SCHEDULE_PAUSED, **data: Any) -> None:
    with session.transaction() as db:
        assert outbox.record(db, caller.organisation_id, event, {"id": "1", **data})


def only(caller: Caller, event: str = EventType.SCHEDULE_PAUSED) -> Delivery:
    with session.transaction() as db:
        found = select(Delivery).where(Delivery.organisation_id == caller.organisation_id, Delivery.event_type == event)
        return db.scalars(found).one()


def attempts(delivery: Delivery) -> list[DeliveryAttempt]:
    with session.transaction() as db:
        return deliveries.attempts_of(db, delivery.id)


def make_due(delivery: Delivery, **values: Any) -> None:
    with session.transaction() as db:
        due = Delivery.created_at
        db.execute(update(Delivery).where(Delivery.id == delivery.id).values(next_attempt_at=due, **values))


def test_the_reference_library_verifies_what_is_sent(caller: Caller, receiver: Receiver) -> None:
    issued = subscribe(caller, receiver.url)
    tell(caller, name="Täglich")
    sending.send_due()
    [got] = receiver.wait_for(1)
    said = standardwebhooks.Webhook(issued.secret).verify(got.body, got.headers)
    delivery = only(caller)
    assert got.headers["webhook-id"] == str(delivery.id)
    assert said == {
        "type": "schedule.paused",
        "timestamp": delivery.payload["timestamp"],
        "data": {"id": "1", "name": "Täglich"},
    }
    assert got.path == "/hook?of=test"
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert delivery.status == "succeeded"
    assert [(one.number, one.outcome, one.status_code) for one in attempts(delivery)] == [(1, "succeeded", 204)]
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(issued.secret).verify(got.body + b" ", got.headers)


def test_a_failed_attempt_is_made_again_under_the_same_id_with_the_same_body(
    caller: Caller, receiver: Receiver
) -> None:
    subscribe(caller, receiver.url)
    tell(caller)
    receiver.behave(Manner(500, body=b"out of order"), Manner(200))
    sending.send_due()
    waiting = only(caller)
    assert (waiting.status, waiting.attempts, waiting.error) == ("pending", 1, "The receiver answered 500.")
    assert sending.send_due() == 0
    make_due(waiting)
    sending.send_due()
    first, second = receiver.wait_for(2)
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    assert [(one.outcome, one.status_code, one.excerpt) for one in attempts(waiting)] == [
        ("failed", 500, "out of order"),
        ("succeeded", 200, ""),
    ]


def test_during_a_rotation_either_secret_verifies(caller: Caller, receiver: Receiver) -> None:
    old = subscribe(caller, receiver.url)
    organisation_id = caller.organisation_id
    with session.transaction() as db:
        new = webhooks.rotate(db, old.webhook.id, organisation_id=organisation_id, overlap=timedelta(hours=1))
    assert new is not None
    tell(caller)
    sending.send_due()
    [got] = receiver.wait_for(1)
    for secret in (old.secret, new.secret):
        assert standardwebhooks.Webhook(secret).verify(got.body, got.headers)
    with session.transaction() as db:
        db.execute(update(Webhook).where(Webhook.id == old.webhook.id).values(previous_until=Webhook.created_at))
    tell(caller, EventType.DELIVERY_FAILED)
    sending.send_due()
    _, got = receiver.wait_for(2)
    assert standardwebhooks.Webhook(new.secret).verify(got.body, got.headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(old.secret).verify(got.body, got.headers)


def test_410_disables_the_webhook_and_tells_the_others(caller: Caller, receiver: Receiver) -> None:
    gone = subscribe(caller, receiver.url, "schedule.*")
    with receiving() as other:
        subscribe(caller, other.url, "delivery.failed", "webhook.disabled")
        tell(caller)
        tell(caller, "schedule.later")
        with session.transaction() as db:
            later = Delivery.next_attempt_at + timedelta(hours=1)
            db.execute(update(Delivery).where(Delivery.event_type == "schedule.later").values(next_attempt_at=later))
        receiver.behave(Manner(410))
        while sending.send_due():
            pass
        told = {got.body.partition(b'"type":"')[2].partition(b'"')[0] for got in other.wait_for(2)}
    assert told == {b"delivery.failed", b"webhook.disabled"}
    assert len(receiver.received) == 1
    with session.transaction() as db:
        webhook = db.get_one(Webhook, gone.webhook.id)
    assert webhook.disabled_at is not None
    assert "410" in (webhook.disabled_reason or "")
    assert (only(caller).status, only(caller, "schedule.later").status) == ("failed", "cancelled")
    tell(caller, "schedule.missed")
    missed = only(caller, "schedule.missed")
    assert (missed.status, missed.attempts) == ("cancelled", 0)
    assert sending.send_due() == 0


def test_redirects_are_not_followed(caller: Caller, receiver: Receiver) -> None:
    subscribe(caller, receiver.url)
    with receiving() as elsewhere:
        receiver.behave(Manner(307, {"Location": elsewhere.url}))
        tell(caller)
        sending.send_due()
        assert elsewhere.received == []
    delivery = only(caller)
    assert delivery.status == "pending"
    assert "Redirects are not followed" in (delivery.error or "")


def test_a_receiver_may_ask_for_more_patience(caller: Caller, receiver: Receiver) -> None:
    subscribe(caller, receiver.url)
    receiver.behave(Manner(503, {"Retry-After": "7200"}))
    tell(caller)
    sending.send_due()
    waiting = only(caller)
    assert waiting.next_attempt_at - attempts(waiting)[0].started_at >= timedelta(hours=2)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("120", 120.0), ("-5", None), ("soon", None), ("9" * 12, None), ("999999", 86_400.0), ("", None)],
)
def test_what_retry_after_may_say(said: str, seconds: float | None) -> None:
    assert by_webhook.judge(http_post.Answer(429, {"retry-after": said}, "")).retry_after == seconds


def test_a_body_without_end_is_not_read_to_its_end(receiver: Receiver) -> None:
    receiver.behave(Manner(200, endless=True))
    destination = addresses.parse(receiver.url, allow_private=True)
    answer = http_post.post(destination, b"{}", {}, way=LOCAL)
    assert answer.status == 200
    assert len(answer.excerpt) == http_post.EXCERPT_BYTES


@pytest.mark.parametrize("manner", [Manner(hang=True), Manner(dribble=True)])
def test_a_receiver_that_hangs_or_dribbles_is_left(receiver: Receiver, manner: Manner) -> None:
    receiver.behave(manner)
    destination = addresses.parse(receiver.url, allow_private=True)
    began = time.monotonic()
    with pytest.raises(http_post.NoAnswerError):
        http_post.post(destination, b"{}", {}, way=Way(allow_private=True, patience=Patience(connect=1.0, total=1.0)))
    assert 0.9 < time.monotonic() - began < 10


def test_one_that_hangs_does_not_hold_up_others(caller: Caller, receiver: Receiver) -> None:
    """Far more wait for the one that hangs than there are senders; the other gets its message before any of them ends."""
    subscribe(caller, receiver.url, "schedule.paused")
    receiver.behave(Manner(hang=True))
    for _ in range(sending.SENDERS * 2):
        tell(caller)
    with receiving() as quick:
        subscribe(caller, quick.url, "schedule.resumed")
        tell(caller, "schedule.resumed")
        sender = threading.Thread(target=sending.send_due, daemon=True)
        sender.start()
        quick.wait_for(1, seconds=10)
        with session.transaction() as db:
            mine = Delivery.organisation_id == caller.organisation_id
            held = Delivery.claim_token.is_not(None), Delivery.event_type == "schedule.paused"
            # All senders but these are free for others.
            assert len(db.scalars(select(Delivery.id).where(mine, *held)).all()) <= 4
            db.execute(
                update(Delivery)
                .where(Delivery.organisation_id == caller.organisation_id, Delivery.claim_token.is_(None))
                .values(status="cancelled", finished_at=Delivery.created_at)
            )
        receiver.behave(Manner(200))
        receiver.released.set()
        sender.join(30)
        assert not sender.is_alive()


def test_a_name_that_changes_its_mind_is_connected_to_as_it_was_judged(receiver: Receiver) -> None:
    """The name is public when it is judged; that loopback listens on the same port under it changes nothing."""
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["192.0.2.1"] if len(asked) == 1 else ["127.0.0.1"]

    connected: list[str] = []

    def note(self: Any, host: str, *_: Any, **__: Any) -> Any:
        connected.append(host)
        raise httpcore.ConnectError("not today")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(addresses, "_is_public", lambda address: str(address) == "192.0.2.1")
        patch.setattr(httpcore.SyncBackend, "connect_tcp", note)
        destination = addresses.Destination("https", "rebind.example", receiver.port, "/")
        with pytest.raises(http_post.NoAnswerError):
            http_post.post(destination, b"{}", {}, way=Way(resolve=rebinding))
    assert (asked, connected) == (["rebind.example"], ["192.0.2.1"])


def test_a_private_name_is_refused_before_anything_is_connected_to(caller: Caller, receiver: Receiver) -> None:
    issued = subscribe(caller, receiver.url.replace("http://127.0.0.1", "https://inside.example"))
    tell(caller)
    delivery = only(caller)
    made = by_webhook.send(delivery, way=Way(resolve=lambda _host, _port: ["127.0.0.1"]))
    assert not made.succeeded
    assert made.error == "127.0.0.1 is not an address of the public internet."
    assert receiver.received == []
    assert issued.webhook.id == delivery.webhook_id


def test_after_the_last_try_the_owner_is_told_and_a_dead_webhook_disabled(caller: Caller, receiver: Receiver) -> None:
    subscribe(caller, receiver.url, "schedule.paused")
    with receiving() as other:
        subscribe(caller, other.url, "delivery.failed")
        receiver.behave(Manner(503))
        tell(caller)
        delivery = only(caller)
        make_due(delivery, tries=sending.MOST_TRIES - 1, attempts=sending.MOST_TRIES - 1)
        while sending.send_due():
            pass
        [told] = other.wait_for(1)
    assert str(delivery.id).encode() in told.body
    with session.transaction() as db:
        webhook = db.get_one(Webhook, delivery.webhook_id)
    assert only(caller).status == "failed"
    assert "Nothing has got through" in (webhook.disabled_reason or "")


def test_the_contact_is_told_by_e_mail(caller: Caller, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_HOST", "mail.example")
    settings.load.cache_clear()
    with session.transaction() as db:
        db.get_one(Organisation, caller.organisation_id).contact_email = "owner@example.com"
    subscribe(caller, receiver.url, "schedule.paused")
    receiver.behave(Manner(410))
    tell(caller)
    with session.transaction() as db:
        claimed = deliveries.claim(db, uuid.uuid4(), most=10)
    sending._deliver(claimed[0], is_withdrawn=False)
    told = only(caller, EventType.DELIVERY_FAILED)
    assert (told.channel, told.target["to"]) == ("email", "owner@example.com")


def test_a_sender_that_died_is_replaced_and_its_attempt_is_on_record(caller: Caller, receiver: Receiver) -> None:
    subscribe(caller, receiver.url)
    tell(caller)
    with session.transaction() as db:
        assert deliveries.claim(db, uuid.uuid4(), most=10)
    assert sending.send_due() == 0
    make_due(only(caller), claim_until=Delivery.created_at)
    sending.send_due()
    delivery = only(caller)
    assert delivery.status == "succeeded"
    assert [one.outcome for one in attempts(delivery)] == ["lost", "succeeded"]


def test_a_sender_whose_claim_ran_out_changes_nothing(caller: Caller, receiver: Receiver) -> None:
    subscribe(caller, receiver.url)
    tell(caller)
    with session.transaction() as db:
        [stale] = deliveries.claim(db, uuid.uuid4(), most=10)
    make_due(stale, claim_until=Delivery.created_at)
    with session.transaction() as db:
        [taken] = deliveries.claim(db, uuid.uuid4(), most=10)
    with session.transaction() as db:
        assert not deliveries.put_off(db, stale, seconds=1, error="late")
        assert not deliveries.end(db, stale, DeliveryStatus.FAILED)
    sending._deliver(taken, is_withdrawn=False)
    assert (only(caller).status, len(receiver.received)) == ("succeeded", 1)


def test_tls_goes_by_the_name_although_the_address_is_pinned(tmp_path: Any) -> None:
    """A server with a certificate for its name is reached by address; one with another's certificate is not trusted."""
    for name, trusted in (("receiver.example", True), ("other.example", False)):
        made = certificates.make(tmp_path / name, "receiver.example")
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        with certificates.serving(listener, made):
            client = ssl.create_default_context(cafile=str(made.certificate))
            way = Way(allow_private=True, resolve=lambda _host, _port: ["127.0.0.1"], tls=client)
            destination = addresses.Destination("https", name, port, "/")
            if trusted:
                assert http_post.post(destination, b"{}", {}, way=way).status == 200
            else:
                with pytest.raises(http_post.NoAnswerError):
                    http_post.post(destination, b"{}", {}, way=way)
