"""Every way a delivery changes: claimed, renewed, ended, asked for again; and how deliveries are found.

Like a job's claim, that of a delivery is one conditional statement by the database's clock, and runs out: a sender that dies
is replaced, and whatever it was sending is sent again under the same id.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, delete, func, null, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.delivery import Delivery, DeliveryAttempt, DeliveryStatus, Outcome

CLAIM_SECONDS = 45
# So many senders, in all processes, work for one receiver or for one organisation: one that hangs does not hold up others.
PER_LANE = 4
PER_ORGANISATION = 12
LONGEST_TEXT = 500
LATE = "It failed after its claim had run out; how is not kept."

_CHOOSE = text(
    """
    WITH RECURSIVE lanes AS (
        (SELECT lane FROM deliveries WHERE status = 'pending' ORDER BY lane LIMIT 1)
        UNION ALL
        SELECT (
            SELECT lane FROM deliveries WHERE status = 'pending' AND lane > lanes.lane ORDER BY lane LIMIT 1
        )
        FROM lanes WHERE lanes.lane IS NOT NULL
    ), claimed AS (
        SELECT lane, organisation_id FROM deliveries WHERE claim_token IS NOT NULL AND claim_until > now()
    ), due AS (
        SELECT found.*, row_number() OVER (PARTITION BY lanes.lane ORDER BY next_attempt_at, id) AS place
        FROM lanes CROSS JOIN LATERAL (
            SELECT id, organisation_id, next_attempt_at FROM deliveries
            WHERE status = 'pending' AND deliveries.lane = lanes.lane AND next_attempt_at <= now()
                AND (claim_until IS NULL OR claim_until <= now())
            ORDER BY next_attempt_at, id
            LIMIT greatest(0, :per_lane - (SELECT count(*) FROM claimed WHERE claimed.lane = lanes.lane))
            FOR UPDATE SKIP LOCKED
        ) AS found
        WHERE lanes.lane IS NOT NULL
    ), ranked AS (
        SELECT due.*, row_number() OVER (PARTITION BY organisation_id ORDER BY place, next_attempt_at, id)
            + (SELECT count(*) FROM claimed WHERE claimed.organisation_id = due.organisation_id) AS of_organisation
        FROM due
    )
    SELECT id FROM ranked WHERE of_organisation <= :per_organisation ORDER BY place, next_attempt_at, id LIMIT :most
    """
)


@dataclass(frozen=True, slots=True)
class Attempted:
    """What came of one attempt."""

    succeeded: bool
    error: str | None = None
    status_code: int | None = None
    excerpt: str | None = None
    retry_after: float | None = None
    """The receiver has asked to be left alone for so many seconds."""

    permanent: bool = False
    """Trying again cannot help."""

    gone: bool = False
    """The receiver wants nothing more, ever."""

    skipped: bool = False
    """Nothing was sent, and nothing had to be."""

    withdrawn: bool = False
    """Nothing was sent, because nothing is to be sent there any more."""


def claim(session: Session, token: uuid.UUID, *, most: int) -> list[Delivery]:
    """Take deliveries that are due, those of each lane in their order, and note that an attempt at each begins.

    Two callers at once may for a moment exceed what a lane may have; no delivery is ever taken by both.
    """
    ids = session.scalars(_CHOOSE, {"per_lane": PER_LANE, "per_organisation": PER_ORGANISATION, "most": most}).all()
    if not ids:
        return []
    session.execute(
        update(DeliveryAttempt)
        .where(DeliveryAttempt.delivery_id.in_(ids), DeliveryAttempt.outcome == Outcome.SENDING)
        .values(outcome=Outcome.LOST, error="The process that made this attempt ended. The receiver may have it.")
    )
    taken = session.scalars(
        update(Delivery)
        .where(Delivery.id.in_(ids))
        .values(claim_token=token, attempts=Delivery.attempts + 1, tries=Delivery.tries + 1, claim_until=_claim_end())
        .returning(Delivery),
        execution_options={"populate_existing": True},
    ).all()
    session.execute(insert(DeliveryAttempt), [{"delivery_id": one.id, "number": one.attempts} for one in taken])
    order = {delivery_id: place for place, delivery_id in enumerate(ids)}
    return sorted(taken, key=lambda one: order[one.id])


def renew(session: Session, token: uuid.UUID, ids: Collection[uuid.UUID]) -> None:
    """Keep the claims on what is still being sent."""
    mine = update(Delivery).where(Delivery.id.in_(ids), Delivery.claim_token == token)
    session.execute(mine.values(claim_until=_claim_end()))


def note_attempt(session: Session, delivery: Delivery, made: Attempted, *, duration_ms: int) -> None:
    """Write how an attempt ended; what was answered only while it is this sender's to send.

    An erasure takes the claim off a delivery before it looks for a person in what was answered, and must not be outrun. The
    delivery is locked before its attempts, as everybody does who locks both.
    """
    is_mine = session.scalar(select(Delivery.id).where(*_claimed(delivery)).with_for_update()) is not None
    session.execute(
        update(DeliveryAttempt)
        .where(DeliveryAttempt.delivery_id == delivery.id, DeliveryAttempt.number == delivery.attempts)
        .values(
            outcome=Outcome.SUCCEEDED if made.succeeded else Outcome.FAILED,
            duration_ms=duration_ms,
            status_code=made.status_code,
            error=_short(made.error if is_mine or made.succeeded else LATE),
            excerpt=_short(made.excerpt) if is_mine else None,
        )
    )


def end(session: Session, delivery: Delivery, status: DeliveryStatus, *, error: str | None = None) -> bool:
    """`pending -> succeeded | failed | cancelled`, by whoever holds the claim; False: the claim was lost."""
    return _changed(
        session,
        _mine(delivery).values(status=status, error=_short(error), finished_at=func.now(), **_UNCLAIMED),
    )


def put_off(session: Session, delivery: Delivery, *, seconds: float, error: str | None) -> bool:
    """Let a delivery wait for its next attempt; False: the claim was lost."""
    later = func.now() + timedelta(seconds=seconds)
    return _changed(session, _mine(delivery).values(next_attempt_at=later, error=_short(error), **_UNCLAIMED))


def again(session: Session, *where: ColumnElement[bool]) -> int:
    """Send finished deliveries again, under their ids; returns how many.

    Those to disabled webhooks stay as they are, and those that named somebody who was erased.
    """
    enabled = text(
        "(webhook_id IS NULL OR EXISTS (SELECT FROM webhooks WHERE id = webhook_id AND disabled_at IS NULL))"
    )
    statement = update(Delivery).where(*where, Delivery.finished_at.is_not(None), Delivery.erased_at.is_(None), enabled)
    done = session.execute(
        statement.values(
            status=DeliveryStatus.PENDING, finished_at=null(), tries=0, next_attempt_at=func.now(), error=null()
        )
    )
    return done.rowcount if isinstance(done, CursorResult) else 0


def cancel(session: Session, *where: ColumnElement[bool], why: str) -> None:
    """Give up what waits to be sent; what is being sent this moment is left to its sender."""
    session.execute(
        update(Delivery)
        .where(
            *where,
            Delivery.status == DeliveryStatus.PENDING,
            Delivery.claim_token.is_(None) | (Delivery.claim_until <= func.now()),
        )
        .values(status=DeliveryStatus.CANCELLED, error=why, finished_at=func.now(), **_UNCLAIMED)
    )


def call_off(session: Session, delivery_id: uuid.UUID, *, why: str) -> bool:
    """Give up a delivery that somebody does not want sent, also in the middle of an attempt; False: it has ended.

    Whoever is sending it may still get it through, and then says so of the attempt.
    """
    waiting = update(Delivery).where(Delivery.id == delivery_id, Delivery.status == DeliveryStatus.PENDING)
    ended = waiting.values(status=DeliveryStatus.CANCELLED, error=_short(why), finished_at=func.now(), **_UNCLAIMED)
    if not _changed(session, ended):
        return False
    session.execute(
        update(DeliveryAttempt)
        .where(DeliveryAttempt.delivery_id == delivery_id, DeliveryAttempt.outcome == Outcome.SENDING)
        .values(outcome=Outcome.LOST, error="It was called off while it was being sent. The receiver may have it.")
    )
    return True


def any_due(session: Session) -> bool:
    """Whether something is to be sent now that nobody is sending."""
    query = select(Delivery.id).where(
        Delivery.status == DeliveryStatus.PENDING,
        Delivery.next_attempt_at <= func.now(),
        Delivery.claim_token.is_(None) | (Delivery.claim_until <= func.now()),
    )
    return session.scalar(query.limit(1)) is not None


def got_through_since(session: Session, delivery: Delivery) -> bool:
    """Whether anything has reached a delivery's webhook since it was made."""
    query = select(Delivery.id).where(
        Delivery.webhook_id == delivery.webhook_id,
        Delivery.status == DeliveryStatus.SUCCEEDED,
        Delivery.finished_at > delivery.created_at,
    )
    return session.scalar(query.limit(1)) is not None


def find(session: Session, delivery_id: uuid.UUID, *, organisation_id: uuid.UUID) -> Delivery | None:
    return session.scalar(
        select(Delivery).where(Delivery.id == delivery_id, Delivery.organisation_id == organisation_id)
    )


def attempts_of(session: Session, delivery_id: uuid.UUID) -> list[DeliveryAttempt]:
    query = select(DeliveryAttempt).where(DeliveryAttempt.delivery_id == delivery_id).order_by(DeliveryAttempt.number)
    return list(session.scalars(query))


def newest(
    session: Session,
    organisation_id: uuid.UUID,
    *where: ColumnElement[bool],
    limit: int,
    before: uuid.UUID | None = None,
) -> Sequence[Delivery]:
    query = select(Delivery).where(Delivery.organisation_id == organisation_id, *where)
    if before is not None:
        query = query.where(Delivery.id < before)
    return session.scalars(query.order_by(Delivery.id.desc()).limit(limit)).all()


def forget(session: Session, delivery_id: uuid.UUID) -> bool:
    """Remove a finished delivery with its attempts; False: it has not ended."""
    ended = delete(Delivery).where(Delivery.id == delivery_id, Delivery.finished_at.is_not(None))
    return session.scalar(ended.returning(Delivery.id)) is not None


def forget_old(session: Session, *, keep_for: timedelta, limit: int) -> int:
    """Remove at most so many deliveries that ended longer ago than this, with their attempts; returns how many."""
    old = select(Delivery.id).where(Delivery.finished_at < func.now() - keep_for).limit(limit)
    removed = session.scalars(delete(Delivery).where(Delivery.id.in_(old)).returning(Delivery.id))
    return len(removed.all())


def _mine(delivery: Delivery) -> Any:
    return update(Delivery).where(*_claimed(delivery))


def _claimed(delivery: Delivery) -> tuple[ColumnElement[bool], ...]:
    return (
        Delivery.id == delivery.id,
        Delivery.claim_token == delivery.claim_token,
        Delivery.status == DeliveryStatus.PENDING,
    )


def _changed(session: Session, statement: Any) -> bool:
    return session.scalar(statement.returning(Delivery.id)) is not None


def _claim_end() -> ColumnElement[Any]:
    return func.now() + timedelta(seconds=CLAIM_SECONDS)


def _short(words: str | None) -> str | None:
    """Cut what others have said to what fits into a line, without what the database cannot hold."""
    if words is None:
        return None
    return words.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")[:LONGEST_TEXT]


_UNCLAIMED: dict[str, Any] = {"claim_token": None, "claim_until": None}
