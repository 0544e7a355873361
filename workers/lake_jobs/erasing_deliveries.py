"""What an erasure takes out of deliveries: whom they go to, what they say, which rows they may show, and what was answered.

One whose filter or address named the person is never sent again: with the name blotted out it would ask for something else.
"""

import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from analytics.datasets.mentions import ERASED, Mention
from models import erasure, erasure_receivers, session
from models.delivery import Channel, Delivery, DeliveryAttempt, DeliveryStatus
from models.erasure import Journal
from workers.lake_jobs import erasing_readers, erasing_targets
from workers.running_job import RunningJob

BATCH = 50
LOOK_SECONDS = 0.2
WHY_UNSENT = "Not sent: its filter or its address named somebody who has been erased."


@dataclass(frozen=True, slots=True)
class _Found:
    """A delivery that names the person, what it is to be instead, and the attempts of which the same is true."""

    delivery: Delivery
    values: dict[str, Any]
    attempts: Sequence[tuple[DeliveryAttempt, dict[str, Any]]]
    is_unsendable: bool


def count(job: RunningJob, mention: Mention) -> tuple[int, int]:
    """Return how many deliveries name the person, and how many of those would be sent no more; changes nothing."""
    named = unsent = 0
    after = None
    while True:
        with session.transaction() as db:
            looked_at, found = _batch(db, job, mention, after=after)
            named += len(found)
            unsent += sum(one.is_unsendable and one.delivery.status == DeliveryStatus.PENDING for one in found)
        if len(looked_at) < BATCH:
            return named, unsent
        after = looked_at[-1]


def redact(job: RunningJob, mention: Mention, *, in_flight: bool) -> None:
    """Let deliveries forget the person, and let none be sent that was for them.

    With `in_flight` also what is being sent this moment: whoever does so has lost it then, and what its receiver answers.
    """
    after = None
    while True:
        with session.transaction() as db:
            looked_at, found = _batch(db, job, mention, after=after)
            now = db.scalars(select(func.now())).one()
            free = [one for one in found if in_flight or not _is_claimed(one.delivery, now)]
            unsent = [one.delivery.id for one in free if _rewrite(one, now)]
            if free:
                named = [one.delivery.id for one in free]
                erasure.note(db, job.id, partial(Journal.take_deliveries, named=named, unsent=unsent))
        job.progress("deliveries")
        if len(looked_at) < BATCH:
            return
        after = looked_at[-1]


def wait(job: RunningJob) -> None:
    """Wait until what is being sent this moment has been sent, or given up: what is sent after that finds no result of theirs.

    Raises:
        erasing_readers.StillReadError: something did not end.
    """
    started = time.monotonic()
    sending = _in_flight(job)
    while sending:
        if time.monotonic() - started > erasing_readers.LONGEST_SECONDS:
            raise erasing_readers.StillReadError
        job.progress("deliveries", None, len(sending))
        time.sleep(LOOK_SECONDS)
        sending &= _in_flight(job)
    with session.transaction() as db:
        erasure_receivers.take_dead_claims(db, job.organisation_id)


def _in_flight(job: RunningJob) -> set[tuple[uuid.UUID, int]]:
    with session.transaction() as db:
        return set(erasure_receivers.in_flight(db, job.organisation_id).items())


def _batch(
    db: Session, job: RunningJob, mention: Mention, *, after: uuid.UUID | None
) -> tuple[list[uuid.UUID], list[_Found]]:
    """Return what was looked at, and which of that names the person."""
    rows = erasure_receivers.deliveries_with(db, job.organisation_id, mention.needles, after=after, limit=BATCH)
    ids = [row.id for row in rows]
    attempts: dict[uuid.UUID, list[DeliveryAttempt]] = defaultdict(list)
    for attempt in erasure_receivers.attempts_of(db, ids):
        attempts[attempt.delivery_id].append(attempt)
    return ids, list(_named(rows, attempts, mention))


def _named(
    rows: Sequence[Delivery], attempts: dict[uuid.UUID, list[DeliveryAttempt]], mention: Mention
) -> Iterator[_Found]:
    for row in rows:
        values = _values(row, mention)
        answered = [(one, said) for one in attempts[row.id] if (said := _said(one, mention))]
        is_unsendable = row.channel != Channel.WEBHOOK and erasing_targets.is_unsendable(
            row.target, row.filter, mention
        )
        if values or answered:
            yield _Found(row, values, answered, is_unsendable)


def _values(row: Delivery, mention: Mention) -> dict[str, Any]:
    """Return the members of a delivery that name the person, as they are to be instead."""
    target = erasing_targets.masked_target(row.target, mention, filter_=row.filter)
    payload = {**row.payload, "data": mention.forget_members(row.payload["data"])}
    masked = {
        "target": target,
        "lane": mention.mask(row.lane),
        "payload": payload,
        "filter": mention.mask(row.filter),
        # It may quote what a receiver has said.
        "error": ERASED if row.error is not None and mention.is_in(row.error) else row.error,
    }
    return {name: value for name, value in masked.items() if value != getattr(row, name)}


def _said(attempt: DeliveryAttempt, mention: Mention) -> dict[str, Any]:
    """Return what is written of an attempt and names the person: it goes whole, because what stands beside an id is theirs."""
    values = {}
    if attempt.error is not None and mention.is_in(attempt.error):
        values["error"] = ERASED
    if attempt.excerpt is not None and mention.may_be_in(attempt.excerpt):
        values["excerpt"] = ERASED
    return values


def _is_claimed(delivery: Delivery, now: datetime) -> bool:
    return delivery.claim_until is not None and delivery.claim_until > now


def _rewrite(found: _Found, now: datetime) -> bool:
    """Write what a delivery is to be instead; True: it waited, and is not sent."""
    for attempt, said in found.attempts:
        for name, value in said.items():
            setattr(attempt, name, value)
    row = found.delivery
    for name, value in found.values.items():
        setattr(row, name, value)
    row.claim_token = row.claim_until = None
    if not found.is_unsendable:
        return False
    row.erased_at = row.erased_at or now
    if row.status != DeliveryStatus.PENDING:
        return False
    row.status, row.finished_at, row.error = DeliveryStatus.CANCELLED, now, WHY_UNSENT
    return True
