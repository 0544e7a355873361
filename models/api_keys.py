"""What may happen to an API key after it was made: listed, renamed, given a new secret, revoked. All within one organisation."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models import organisations
from models.api_key import ApiKey, OldSecret, Scope
from models.organisations import IssuedKey

MOST_PER_ORGANISATION = 500
"""Of keys that are neither revoked nor expired."""


class LastAdminKeyError(Exception):
    """Without this key nobody could make another over the API."""


class NotActiveError(Exception):
    """The key is revoked or expired, and stays so."""


@dataclass(frozen=True, slots=True)
class SeenKey:
    """A key, whether it works at this moment, and its earlier secrets that still do."""

    key: ApiKey
    is_expired: bool
    old_secrets: tuple[OldSecret, ...]


def newest(session: Session, organisation_id: uuid.UUID, *, limit: int, before: uuid.UUID | None) -> list[SeenKey]:
    """Return keys, revoked and expired ones among them, newest first. `before` is the last id of the page before."""
    older = () if before is None else (ApiKey.id < before,)
    return _seen(session, ApiKey.organisation_id == organisation_id, *older, limit=limit)


def find(session: Session, key_id: uuid.UUID, *, organisation_id: uuid.UUID) -> SeenKey | None:
    found = _seen(session, ApiKey.id == key_id, ApiKey.organisation_id == organisation_id, limit=1)
    return found[0] if found else None


def count_active(session: Session, organisation_id: uuid.UUID) -> int:
    query = select(func.count()).select_from(ApiKey).where(ApiKey.organisation_id == organisation_id, _is_active())
    return session.scalar(query) or 0


def rename(session: Session, key_id: uuid.UUID, name: str, *, organisation_id: uuid.UUID) -> bool:
    """Give a key another name; False: there is no such key."""
    changed = update(ApiKey).where(ApiKey.id == key_id, ApiKey.organisation_id == organisation_id).values(name=name)
    return session.scalar(changed.returning(ApiKey.id)) is not None


def rotate(
    session: Session, key_id: uuid.UUID, *, overlap: timedelta, organisation_id: uuid.UUID | None = None
) -> IssuedKey | None:
    """Give a key a new secret; None: there is no such key.

    The secret it had works on for as long as the overlap lasts, and so does one from before that, unless it ends sooner.

    Raises:
        NotActiveError: it is revoked or expired.
    """
    key = _lock(session, key_id, organisation_id)
    if key is None:
        return None
    if not session.scalar(select(_is_active()).where(ApiKey.id == key.id)):
        raise NotActiveError
    ends_at = session.scalar(select(func.now() + overlap))
    old = OldSecret.api_key_id == key.id
    session.execute(
        insert(OldSecret).values(api_key_id=key.id, sha256=key.sha256, prefix=key.prefix, expires_at=ends_at)
    )
    session.execute(update(OldSecret).where(old).values(expires_at=func.least(OldSecret.expires_at, ends_at)))
    session.execute(delete(OldSecret).where(old, OldSecret.expires_at <= func.now()))
    secret = organisations.new_secret()
    key.sha256, key.prefix, key.rotated_at = secret.sha256, secret.prefix, session.scalar(select(func.now()))
    session.flush()
    return IssuedKey(key=key, secret=secret.text)


def revoke(session: Session, key_id: uuid.UUID, *, by: str, organisation_id: uuid.UUID) -> bool | None:
    """Make a key useless from now on; False: it was already; None: there is no such key.

    Raises:
        LastAdminKeyError: it is the only key of its organisation that may make others.
    """
    key = session.scalar(select(ApiKey).where(ApiKey.id == key_id, ApiKey.organisation_id == organisation_id))
    if key is None:
        return None
    if Scope.ADMIN in key.scopes:
        active = _lock_active_admin_keys(session, organisation_id)
        if active == [key_id]:
            raise LastAdminKeyError
    return organisations.revoke_key(session, key_id, by=by)


def _lock_active_admin_keys(session: Session, organisation_id: uuid.UUID) -> list[uuid.UUID]:
    """Lock them, each time in one order: two that revoke each other's key must not both find that another is left."""
    query = (
        select(ApiKey.id)
        .where(ApiKey.organisation_id == organisation_id, ApiKey.scopes.contains([Scope.ADMIN.value]), _is_active())
        .order_by(ApiKey.id)
        .with_for_update()
    )
    return list(session.scalars(query))


def _lock(session: Session, key_id: uuid.UUID, organisation_id: uuid.UUID | None) -> ApiKey | None:
    mine = () if organisation_id is None else (ApiKey.organisation_id == organisation_id,)
    return session.scalar(select(ApiKey).where(ApiKey.id == key_id, *mine).with_for_update(of=ApiKey))


def _is_active() -> ColumnElement[bool]:
    unexpired = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now())
    return ApiKey.revoked_at.is_(None) & unexpired


def _seen(session: Session, *conditions: ColumnElement[bool], limit: int) -> list[SeenKey]:
    expired = func.coalesce(ApiKey.expires_at <= func.now(), False).label("expired")
    rows = session.execute(select(ApiKey, expired).where(*conditions).order_by(ApiKey.id.desc()).limit(limit)).all()
    old = _old_secrets(session, [key.id for key, _ in rows])
    return [SeenKey(key, is_expired, tuple(one for one in old if one.api_key_id == key.id)) for key, is_expired in rows]


def _old_secrets(session: Session, key_ids: Collection[uuid.UUID]) -> list[OldSecret]:
    query = select(OldSecret).where(OldSecret.api_key_id.in_(key_ids), OldSecret.expires_at > func.now())
    return list(session.scalars(query.order_by(OldSecret.expires_at.desc())))
