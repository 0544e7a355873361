"""Who is taken off a schedule gets nothing more of it, nor what waited to be tried again; and one delivery can be called off."""

import uuid
from typing import Any

import pytest
from sqlalchemy import update

from models import deliveries, outbox, session
from models.delivery import Channel, Delivery, DeliveryStatus, Outcome
from models.outbox import EventType
from models.schedule import Schedule
from tests.integration import schedule_hands, test_bursting, test_email_sending, web_api
from tests.integration.mail_server import Mailbox
from tests.integration.web_api import Answer, Caller
from workers.deliveries import sending, withdrawing

ADA, GRACE = "ada@example.com", "grace@example.com"
BOTH = {"channel": "email", "to": [ADA, GRACE], "formats": ["csv"], "on": ["succeeded"]}
BUSY = "451 busy"
BURST = {
    **BOTH,
    "to": None,
    "if_empty": "skip",
    "burst": {"column": "owner", "recipients": {"adalovelace": [ADA], "gracehopper": [GRACE]}, "otherwise": []},
}


def _reported(caller: Caller, schedule: Schedule, *wanted: dict[str, Any]) -> uuid.UUID:
    """Let a slot of a schedule end: the deliveries wait to be made for the first time."""
    job_id = test_email_sending.report(caller, *wanted, table=test_bursting.TABLE, **test_bursting.HEADER)
    _change(Delivery.job_id == job_id, schedule_id=schedule.id)
    return job_id


def _change(*where: Any, **values: Any) -> None:
    with session.transaction() as db:
        db.execute(update(Delivery).where(*where).values(**values))


def _patched(caller: Caller, schedule: Schedule, *wanted: dict[str, Any]) -> Answer:
    answer = caller.patch(f"/v1/schedules/{schedule.id}", {"deliveries": [*wanted]})
    assert answer.status_code == 200, answer.text
    return answer


def _states(job_id: uuid.UUID) -> dict[str, tuple[str, str | None]]:
    return {one.target["to"]: (one.status, one.error) for one in test_email_sending.of(job_id)}


def _only(job_id: uuid.UUID) -> Delivery:
    [delivery] = test_email_sending.of(job_id)
    return delivery


def _sent_in_vain(mailbox: Mailbox, messages: int) -> None:
    mailbox.answers += [BUSY] * messages
    assert sending.send_due() == messages
    assert mailbox.recipients == []
    _change(Delivery.status == DeliveryStatus.PENDING, next_attempt_at=Delivery.created_at)


@pytest.mark.parametrize(
    ("wanted", "later"),
    [
        (BOTH, {**BOTH, "to": [GRACE]}),
        (BURST, {**BURST, "burst": {"column": "owner", "recipients": {"gracehopper": [GRACE]}, "otherwise": []}}),
        (BURST, {**BURST, "burst": {"column": "owner", "recipients": {"gracehopper": [GRACE, ADA]}, "otherwise": []}}),
    ],
    ids=["of-all-rows", "of-their-own", "of-others"],
)
def test_who_is_taken_off_is_not_tried_again(
    caller: Caller, mailbox: Mailbox, wanted: dict[str, Any], later: dict[str, Any]
) -> None:
    with schedule_hands.scheduled(caller, deliveries=[wanted]) as schedule:
        job_id = _reported(caller, schedule, wanted)
        _sent_in_vain(mailbox, 2)
        # Changed past the API, as by a release that does not look: then the sender does.
        schedule_hands.change(schedule, deliveries=[later])
        assert sending.send_due() == 2
    assert mailbox.recipients == [GRACE]
    assert _states(job_id) == {ADA: ("cancelled", withdrawing.WHY), GRACE: ("succeeded", None)}


def test_a_change_gives_up_at_once_what_waits_and_only_that(caller: Caller, mailbox: Mailbox) -> None:
    with schedule_hands.scheduled(caller, deliveries=[BOTH]) as schedule:
        job_id = _reported(caller, schedule, BOTH)
        by_hand = test_email_sending.report(caller, BOTH)
        _patched(caller, schedule, {**BOTH, "formats": ["xlsx"]})
        assert {status for status, _ in _states(job_id).values()} == {"pending"}
        _patched(caller, schedule, {**BOTH, "to": [GRACE]})
        assert _states(job_id) == {ADA: ("cancelled", withdrawing.WHY), GRACE: ("pending", None)}
        assert caller.delete(f"/v1/schedules/{schedule.id}").status_code == 200
        assert _states(job_id)[GRACE] == ("cancelled", withdrawing.WHY)
        assert {status for status, _ in _states(by_hand).values()} == {"pending"}
        assert sending.send_due() == 2


def test_only_whom_the_schedule_still_names_is_sent_it_again(caller: Caller, mailbox: Mailbox) -> None:
    with schedule_hands.scheduled(caller, deliveries=[BOTH]) as schedule:
        job_id = _reported(caller, schedule, BOTH)
        _change(Delivery.job_id == job_id, status=DeliveryStatus.FAILED, finished_at=Delivery.created_at)
        _patched(caller, schedule, {**BOTH, "to": [GRACE]})
        of_ada = next(one for one in test_email_sending.of(job_id) if one.target["to"] == ADA)
        refused = caller.post(f"/v1/deliveries/{of_ada.id}/redeliver")
        assert (refused.status_code, refused.json["type"]) == (409, "/docs/problems/delivery-withdrawn")
        assert caller.post(f"/v1/reports/{job_id}/redeliver").json == {"count": 1, "withdrawn": 1}
        sending.send_due()
        assert mailbox.recipients == [GRACE]
        _patched(caller, schedule, BOTH)
        assert caller.post(f"/v1/deliveries/{of_ada.id}/redeliver").status_code == 202
        sending.send_due()
        assert mailbox.recipients == [GRACE, ADA]


def test_the_contact_is_told_though_no_schedule_names_it(caller: Caller, mailbox: Mailbox) -> None:
    with schedule_hands.scheduled(caller) as schedule, session.transaction() as db:
        contact = outbox.Target(Channel.EMAIL, "lane", {"to": ADA, "formats": []})
        told = outbox.record_to(
            db, caller.organisation_id, EventType.SCHEDULE_PAUSED, {"id": "1"}, contact, schedule_id=schedule.id
        )
        assert withdrawing.withdrawn(db, [told]) == set()


def test_a_delivery_is_called_off(caller: Caller, mailbox: Mailbox) -> None:
    job_id = test_email_sending.report(caller, {"channel": "email", "to": [ADA]})
    _sent_in_vain(mailbox, 1)
    path = f"/v1/deliveries/{_only(job_id).id}/cancel"
    answer = caller.post(path)
    assert (answer.status_code, answer.json["status"]) == (200, "cancelled")
    assert answer.json["error"].startswith("Called off by key rk_")
    assert [one["outcome"] for one in answer.json["attempt_log"]] == ["failed"]
    assert sending.send_due() == 0
    again = caller.post(path)
    assert (again.status_code, again.json["type"]) == (409, "/docs/problems/delivery-finished")
    assert web_api.new_caller(caller.http).post(path).status_code == 404
    assert caller.post(f"/v1/deliveries/{_only(job_id).id}/redeliver").status_code == 202
    sending.send_due()
    assert mailbox.recipients == [ADA]


def test_one_that_is_being_sent_is_called_off_and_says_what_came_of_it(caller: Caller, mailbox: Mailbox) -> None:
    job_id = test_email_sending.report(caller, {"channel": "email", "to": [ADA]})
    with session.transaction() as db:
        [claimed] = deliveries.claim(db, uuid.uuid4(), most=1)
    assert caller.post(f"/v1/deliveries/{claimed.id}/cancel").json["attempt_log"][0]["outcome"] == Outcome.LOST
    mailbox.answers += [BUSY]
    sending._deliver(claimed, is_withdrawn=False)
    shown = caller.get(f"/v1/deliveries/{claimed.id}").json
    assert (shown["status"], shown["attempt_log"][0]["outcome"]) == ("cancelled", "failed")
    assert sending.send_due() == 0
    assert _only(job_id).status == DeliveryStatus.CANCELLED
