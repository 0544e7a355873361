"""Webhooks: made, found, changed, their secrets rotated, disabled."""

import base64
import secrets
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from models import vault
from models.base import new_id
from models.webhook import Webhook

SECRET_PREFIX = "whsec_"  # noqa: S105 - what stands before every secret is none
SECRET_BYTES = 32
MOST_PER_ORGANISATION = 50


@dataclass(frozen=True, slots=True)
class Issued:
    """A webhook and its new secret, which exists nowhere else in this form."""

    webhook: Webhook
    secret: str


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def create(  # noqa: PLR0913 - each is a different thing
    session: Session,
    organisation_id: uuid.UUID,
    *,
    url: str,
    lane: str,
    events: list[str],
    description: str | None,
) -> Issued:
    """Make a webhook with a secret of 256 random bits.

    Raises:
        vault.NoKeyError: there is no key to keep the secret under.
    """
    secret = new_secret()
    webhook = Webhook(
        id=new_id(),
        organisation_id=organisation_id,
        url=url,
        lane=lane,
        events=events,
        description=description,
        secret=vault.seal(secret),
    )
    session.add(webhook)
    session.flush()
    return Issued(webhook, secret)


def find(session: Session, webhook_id: uuid.UUID, *, organisation_id: uuid.UUID) -> Webhook | None:
    return session.scalar(select(Webhook).where(*_of(webhook_id, organisation_id)))


def newest(
    session: Session, organisation_id: uuid.UUID, *, limit: int, before: uuid.UUID | None = None
) -> list[Webhook]:
    query = select(Webhook).where(Webhook.organisation_id == organisation_id).order_by(Webhook.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Webhook.id < before)
    return list(session.scalars(query))


def count(session: Session, organisation_id: uuid.UUID) -> int:
    """Count an organisation's webhooks, and let nobody else make one of its until the transaction ends."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"webhooks/{organisation_id}", 7325366))))
    counted = select(func.count()).select_from(Webhook).where(Webhook.organisation_id == organisation_id)
    return int(session.scalar(counted) or 0)


def change(session: Session, webhook_id: uuid.UUID, *, organisation_id: uuid.UUID, **values: Any) -> Webhook | None:
    """Set these columns; None: there is no such webhook."""
    statement = update(Webhook).where(*_of(webhook_id, organisation_id)).values(**values, updated_at=func.now())
    return session.scalar(statement.returning(Webhook))


def rotate(session: Session, webhook_id: uuid.UUID, *, organisation_id: uuid.UUID, overlap: timedelta) -> Issued | None:
    """Give a webhook a new secret; for as long as the overlap messages are signed with the old one as well.

    Raises:
        vault.NoKeyError: there is no key to keep the secret under.
    """
    secret = new_secret()
    keeps_old = overlap > timedelta()
    webhook = change(
        session,
        webhook_id,
        organisation_id=organisation_id,
        secret=vault.seal(secret),
        previous_secret=Webhook.secret if keeps_old else None,
        previous_until=func.now() + overlap if keeps_old else None,
    )
    return None if webhook is None else Issued(webhook, secret)


def remove(session: Session, webhook_id: uuid.UUID, *, organisation_id: uuid.UUID) -> bool:
    """Delete a webhook and the log of its deliveries; False: there is none."""
    statement = delete(Webhook).where(*_of(webhook_id, organisation_id))
    return session.scalar(statement.returning(Webhook.id)) is not None


def disable(session: Session, webhook_id: uuid.UUID, *, reason: str) -> Webhook | None:
    """Send a webhook nothing more; None: there is none, or it is disabled already."""
    statement = (
        update(Webhook)
        .where(Webhook.id == webhook_id, Webhook.disabled_at.is_(None))
        .values(disabled_at=func.now(), disabled_reason=reason, updated_at=func.now())
    )
    return session.scalar(statement.returning(Webhook))


def enable(session: Session, webhook_id: uuid.UUID, *, organisation_id: uuid.UUID) -> Webhook | None:
    return change(session, webhook_id, organisation_id=organisation_id, disabled_at=None, disabled_reason=None)


def current_secrets(session: Session, webhook_id: uuid.UUID) -> tuple[Webhook, list[str]] | None:
    """Return a webhook and the secrets that its messages are signed with now, the newest first; None: there is none.

    Raises:
        vault.NoKeyError: there is no key to read them with.
        vault.UnreadableError: they were kept under another key.
    """
    row = session.execute(
        select(Webhook, Webhook.previous_until > func.now()).where(Webhook.id == webhook_id)
    ).one_or_none()
    if row is None:
        return None
    webhook, overlaps = row
    sealed = [webhook.secret, webhook.previous_secret if overlaps else None]
    return webhook, [vault.unseal(one) for one in sealed if one is not None]


def _of(webhook_id: uuid.UUID, organisation_id: uuid.UUID) -> tuple[Any, ...]:
    return (Webhook.id == webhook_id, Webhook.organisation_id == organisation_id)
