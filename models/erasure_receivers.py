"""Where the outbox and those it sends to may name a person: deliveries, what receivers answered, webhooks, keys of requests.

Who is looked for comes as texts; whether a row that contains one of them really names the person the caller decides.
"""

import uuid
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, delete, exists, func, literal, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from models.api_key import ApiKey
from models.delivery import Delivery, DeliveryAttempt, DeliveryStatus
from models.idempotency import IdempotencyKey
from models.idempotent_effects import IdempotentEffect
from models.organisation import Organisation
from models.webhook import Webhook

OF_DELIVERY: tuple[InstrumentedAttribute[Any], ...] = (
    Delivery.target,
    Delivery.lane,
    Delivery.payload,
    Delivery.filter,
    Delivery.error,
)
OF_ATTEMPT: tuple[InstrumentedAttribute[Any], ...] = (DeliveryAttempt.error, DeliveryAttempt.excerpt)


def deliveries_with(
    session: Session, organisation_id: uuid.UUID, texts: Collection[str], *, after: uuid.UUID | None, limit: int
) -> list[Delivery]:
    """Lock and return deliveries in which one of the texts is, or in what is written of the attempts at them."""
    in_an_attempt = exists().where(DeliveryAttempt.delivery_id == Delivery.id, containing(OF_ATTEMPT, texts))
    query = (
        select(Delivery)
        .where(Delivery.organisation_id == organisation_id, or_(containing(OF_DELIVERY, texts), in_an_attempt))
        .order_by(Delivery.id)
        .limit(limit)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if after is not None:
        query = query.where(Delivery.id > after)
    return list(session.scalars(query))


def attempts_of(session: Session, delivery_ids: Sequence[uuid.UUID]) -> list[DeliveryAttempt]:
    """Lock and return what is written of the attempts at deliveries, which the caller has locked."""
    query = select(DeliveryAttempt).where(DeliveryAttempt.delivery_id.in_(delivery_ids))
    ordered = query.order_by(DeliveryAttempt.delivery_id, DeliveryAttempt.number)
    return list(session.scalars(ordered.with_for_update(), execution_options={"populate_existing": True}))


def in_flight(session: Session, organisation_id: uuid.UUID) -> dict[uuid.UUID, int]:
    """Return what somebody is sending this moment, and at which attempt."""
    query = select(Delivery.id, Delivery.attempts).where(
        Delivery.organisation_id == organisation_id,
        Delivery.status == DeliveryStatus.PENDING,
        Delivery.claim_until > func.now(),
    )
    return dict(session.execute(query).all())


def take_dead_claims(session: Session, organisation_id: uuid.UUID) -> None:
    """Take off the claims that have run out, so that whoever held one cannot write what its receiver answered any more."""
    session.execute(
        update(Delivery)
        .where(Delivery.organisation_id == organisation_id, Delivery.claim_until <= func.now())
        .values(claim_token=None, claim_until=None)
    )


def webhooks(session: Session, organisation_id: uuid.UUID) -> list[Webhook]:
    """Lock and return all webhooks of an organisation; it has a limited number of them."""
    query = select(Webhook).where(Webhook.organisation_id == organisation_id).order_by(Webhook.id)
    return list(session.scalars(query.with_for_update(key_share=True)))


def api_keys(session: Session, organisation_id: uuid.UUID) -> list[ApiKey]:
    query = select(ApiKey).where(ApiKey.organisation_id == organisation_id).order_by(ApiKey.id)
    return list(session.scalars(query))


def organisation(session: Session, organisation_id: uuid.UUID) -> Organisation:
    return session.scalars(select(Organisation).where(Organisation.id == organisation_id)).one()


def request_keys(session: Session, organisation_id: uuid.UUID, texts: Collection[str]) -> list[str]:
    """Return the keys of requests in which one of the texts is, whatever the requests have made."""
    found: set[str] = set()
    for table in (IdempotencyKey, IdempotentEffect):
        query = select(table.key).where(table.organisation_id == organisation_id, containing((table.key,), texts))
        found.update(session.scalars(query))
    return sorted(found)


def forget_request_keys(session: Session, organisation_id: uuid.UUID, keys: Collection[str]) -> int:
    """Remove keys of requests; returns how many. A request that is sent again with one of them is a new one."""
    removed = 0
    for table in (IdempotencyKey, IdempotentEffect):
        statement = delete(table).where(table.organisation_id == organisation_id, table.key.in_(keys))
        removed += len(session.scalars(statement.returning(table.key)).all())
    return removed


def containing(columns: Sequence[InstrumentedAttribute[Any]], texts: Collection[str]) -> ColumnElement[bool]:
    """Whether one of the texts is in one of the columns."""
    return or_(*(func.strpos(cast(column, Text), literal(part)) > 0 for column in columns for part in sorted(texts)))
