"""Every end of a job is told to those who asked for it, in the transaction that ends it."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from models import outbox, session, transitions
from models.base import Json, new_id
from models.delivery import Channel, Delivery
from models.job import Job
from models.job_states import JobKind, Reason
from models.outbox import EventType, Target
from models.webhook import Webhook
from tests.integration import web_api
from tests.integration.web_api import Caller

ERROR: Json = {"type": "not-csv", "title": "The file is not a table of text", "detail": "Ada Lovelace"}


def _subscribe(caller: Caller, *events: str) -> uuid.UUID:
    webhook = Webhook(
        id=new_id(),
        organisation_id=caller.organisation_id,
        url="https://example.com/hook",
        lane="webhook:example.com:443",
        events=list(events),
        secret=b"sealed",
    )
    with session.transaction() as db:
        db.add(webhook)
    return webhook.id


def _accept(caller: Caller, kind: JobKind = JobKind.REPORT, **more: Any) -> Job:
    new = transitions.NewJob(
        organisation_id=caller.organisation_id, kind=kind, type="rfm", params={}, queue="reports", **more
    )
    with session.transaction() as db:
        return transitions.accept(db, new)


def _claim(job: Job) -> Job:
    with session.transaction() as db:
        claimed = transitions.claim(db, job.id, worker_id=uuid.uuid4(), pid=1, lease_seconds=60)
    assert claimed is not None
    return claimed


def _deliveries(job: Job) -> list[Delivery]:
    with session.transaction() as db:
        return list(db.scalars(select(Delivery).where(Delivery.job_id == job.id).order_by(Delivery.id)))


def _succeed(db: Session, job: Job) -> Any:
    return transitions.succeed(db, job.id, attempt=job.attempt, outcome=None, keep_result=None, max_in_flight=1)


def _fail(db: Session, job: Job) -> Any:
    return transitions.fail(db, job.id, attempt=job.attempt, reason=Reason.PERMANENT_ERROR, error=ERROR)


def _time_out(db: Session, job: Job) -> Any:
    return transitions.time_out(db, job, 60)


def _crash(db: Session, job: Job) -> Any:
    job.crashes = transitions.MAX_CRASHES - 1
    return transitions.give_up_lost(db, job, reason=Reason.WORKER_LOST)


def _cancel(db: Session, job: Job) -> Any:
    return transitions.cancel_running(db, job.id, job.attempt)


@pytest.mark.parametrize(
    ("end", "event"),
    [
        (_succeed, "report.succeeded"),
        (_fail, "report.failed"),
        (_time_out, "report.failed"),
        (_crash, "report.failed"),
        (_cancel, "report.cancelled"),
    ],
)
def test_every_way_a_job_ends_is_told_with_it(caller: Caller, end: Callable[[Session, Job], Any], event: str) -> None:
    webhook_id = _subscribe(caller, "report.*")
    job = _claim(_accept(caller, label="Board"))
    with session.engine().connect() as connection, connection.begin() as unfinished:
        assert end(Session(connection), job)
        unfinished.rollback()
    assert _deliveries(job) == []
    with session.transaction() as db:
        assert end(db, job)
    [told] = _deliveries(job)
    assert (told.event_type, told.webhook_id, told.status, told.channel) == (event, webhook_id, "pending", "webhook")
    assert told.payload["type"] == event
    assert told.payload["data"]["id"] == str(job.id)
    assert told.payload["data"]["label"] == "Board"
    assert told.payload["timestamp"].endswith("Z")


def test_a_queued_job_that_is_cancelled_is_told_as_well(caller: Caller) -> None:
    _subscribe(caller, "*")
    job = _accept(caller, JobKind.IMPORT)
    with session.statement() as db:
        assert transitions.cancel_queued(db, job.id, by="a test")
    assert [told.event_type for told in _deliveries(job)] == ["import.cancelled"]


def test_the_message_is_thin(caller: Caller) -> None:
    _subscribe(caller, "report.failed")
    job = _claim(_accept(caller))
    with session.transaction() as db:
        _fail(db, job)
    [told] = _deliveries(job)
    assert told.payload["data"]["error"] == {"type": "/docs/problems/not-csv", "title": ERROR["title"]}
    assert "Lovelace" not in str(told.payload)


def test_only_those_are_told_who_asked(caller: Caller) -> None:
    other = web_api.new_caller(caller.http)
    _subscribe(other, "*")
    _subscribe(caller, "report.failed", "import.*")
    for kind in (JobKind.REPORT, JobKind.PREVIEW):
        job = _claim(_accept(caller, kind))
        with session.transaction() as db:
            _succeed(db, job)
        assert _deliveries(job) == []


def test_what_a_disabled_webhook_misses_is_on_record(caller: Caller) -> None:
    disabled = _subscribe(caller, "*")
    with session.transaction() as db:
        webhook = db.get_one(Webhook, disabled)
        webhook.disabled_at, webhook.disabled_reason = webhook.created_at, "gone"
    job = _claim(_accept(caller))
    with session.transaction() as db:
        _succeed(db, job)
    [missed] = _deliveries(job)
    assert (missed.webhook_id, missed.status, missed.attempts) == (disabled, "cancelled", 0)
    assert missed.finished_at is not None


def test_receivers_of_a_job_get_what_they_are_there_for(caller: Caller) -> None:
    webhook_id = _subscribe(caller, "report.succeeded")
    targets = [
        Target(Channel.EMAIL, "email", {"to": "a@example.com"}, filter={"column": "owner", "op": "eq", "value": "a"}),
        Target(Channel.EMAIL, "email", {"to": "b@example.com"}, on=("failed",)),
        Target(Channel.WEBHOOK, "", {"webhook_id": str(webhook_id)}),
        # Deleted meanwhile: that must not keep a job from ending.
        Target(Channel.WEBHOOK, "", {"webhook_id": str(uuid.uuid4())}),
    ]
    job = _claim(_accept(caller, deliveries=[target.as_json() for target in targets]))
    with session.transaction() as db:
        assert _succeed(db, job)
    told = {(one.channel, one.target.get("to")): one for one in _deliveries(job)}
    assert set(told) == {("email", "a@example.com"), ("webhook", None)}
    assert told["email", "a@example.com"].filter == targets[0].filter


def test_other_events_are_recorded_in_the_transaction_of_their_cause(caller: Caller) -> None:
    _subscribe(caller, "schedule.paused")
    schedule_id = uuid.uuid4()
    targets = [Target(Channel.EMAIL, "email", {"to": "a@example.com"}, on=("paused",))]
    with session.transaction() as db:
        written = outbox.record(
            db, caller.organisation_id, EventType.SCHEDULE_PAUSED, {"id": "1"}, schedule_id=schedule_id, targets=targets
        )
    assert written == 2
    with session.transaction() as db:
        found = list(db.scalars(select(Delivery).where(Delivery.schedule_id == schedule_id)))
    assert {one.channel for one in found} == {"email", "webhook"}
    assert all(one.id.version == 7 and one.payload["data"] == {"id": "1"} for one in found)
