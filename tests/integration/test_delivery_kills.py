"""The sending process is killed at every step: each message arrives at least once, under one id, and none is lost."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select, update

from models import deliveries, outbox, session, webhooks
from models.delivery import Delivery
from models.failpoints import Point
from models.outbox import EventType
from tests.integration.receiver import Receiver
from tests.integration.web_api import Caller
from workers.deliveries import receivers, sending

STEPS = {
    # What was sent once or not at all before the kill, and how the attempt is on record after it.
    Point.DELIVER_BEFORE_CLAIM: (0, ["succeeded"]),
    Point.DELIVER_AFTER_CLAIM: (0, ["lost", "succeeded"]),
    Point.DELIVER_AFTER_SEND: (1, ["lost", "succeeded"]),
    Point.DELIVER_BEFORE_COMMIT: (1, ["lost", "succeeded"]),
    Point.DELIVER_AFTER_COMMIT: (1, ["succeeded"]),
}


def subscribe_and_tell(caller: Caller, receiver: Receiver) -> Delivery:
    with session.transaction() as db:
        webhooks.create(
            db,
            caller.organisation_id,
            url=receiver.url,
            lane=receivers.lane_of_url(caller.organisation_id, receiver.url, allow_private=True),
            events=["*"],
            description=None,
        )
        outbox.record(db, caller.organisation_id, EventType.SCHEDULE_PAUSED, {"id": "1"})
        return db.scalars(select(Delivery).where(Delivery.organisation_id == caller.organisation_id)).one()


def send_and_die(folder: Path, point: Point) -> None:
    """Send what is due in a process of its own, which is killed at a point."""
    (folder / point.value).write_text("kill")
    code = "from workers.deliveries import sending; sending.send_due()"
    environment = {**os.environ, "FAILPOINTS_DIR": str(folder)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False, capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


@pytest.mark.parametrize("point", STEPS)
def test_a_sender_that_is_killed_is_made_up_for(
    caller: Caller, receiver: Receiver, tmp_path: Path, point: Point
) -> None:
    sent_before, on_record = STEPS[point]
    told = subscribe_and_tell(caller, receiver)
    send_and_die(tmp_path, point)
    assert len(receiver.received) == sent_before
    # As if the time had passed after which a claim runs out.
    with session.transaction() as db:
        past = {"claim_until": Delivery.created_at}
        db.execute(update(Delivery).where(Delivery.id == told.id, Delivery.claim_token.is_not(None)).values(past))
    sending.send_due()
    with session.transaction() as db:
        ended = db.get_one(Delivery, told.id)
        outcomes = [one.outcome for one in deliveries.attempts_of(db, told.id)]
    assert ended.status == "succeeded"
    assert outcomes == on_record
    got = receiver.wait_for(max(1, len(receiver.received)))
    assert {one.headers["webhook-id"] for one in got} == {str(told.id)}
    assert len({one.body for one in got}) == 1
    assert len(got) <= len(on_record)
