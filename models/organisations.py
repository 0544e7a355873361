"""Organisations and their API keys: made, found, revoked."""

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.api_key import ApiKey, Scope
from models.organisation import Organisation

KEY_PREFIX = "rk_"
SHOWN_CHARACTERS = 10
LOCAL_ORGANISATION = "local"
# Noting every use of a key would turn each read into a write.
LAST_USED_PRECISION = timedelta(minutes=1)
_NOT_NOTED_LATELY = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < func.now() - LAST_USED_PRECISION)


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret, and what is kept of it."""

    text: str
    prefix: str
    sha256: bytes


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key and its secret. The secret exists here only; it cannot be shown again."""

    key: ApiKey
    secret: str


def ensure(session: Session, name: str, *, timezone: str = "UTC", currency: str = "GBP") -> Organisation:
    """Return the organisation of this name, made with these defaults where there is none. Safe to call twice at once."""
    session.execute(
        insert(Organisation)
        .values(name=name, timezone=timezone, currency=currency)
        .on_conflict_do_nothing(index_elements=["name"])
    )
    return session.scalars(select(Organisation).where(Organisation.name == name)).one()


def find(session: Session, name: str) -> Organisation | None:
    return session.scalar(select(Organisation).where(Organisation.name == name))


def every(session: Session) -> list[Organisation]:
    """Return all organisations, by name."""
    return list(session.scalars(select(Organisation).order_by(Organisation.name)))


def names(session: Session, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Return the names of these organisations by their ids."""
    query = select(Organisation.id, Organisation.name).where(Organisation.id.in_(set(ids)))
    return dict(session.execute(query).all())


def new_secret() -> Secret:
    """Make a secret of 256 random bits."""
    text = KEY_PREFIX + secrets.token_urlsafe(32)
    return Secret(text, prefix=text[:SHOWN_CHARACTERS], sha256=_digest(text))


def issue_key(  # noqa: PLR0913 - each is a different thing
    session: Session,
    organisation: Organisation,
    *,
    name: str,
    scopes: Iterable[Scope],
    expires_at: datetime | None = None,
    by: str | None = None,
) -> IssuedKey:
    """Make an API key with 256 random bits and keep only its SHA-256; `by` is who made it."""
    secret = new_secret()
    key = ApiKey(
        organisation_id=organisation.id,
        name=name,
        prefix=secret.prefix,
        sha256=secret.sha256,
        scopes=sorted({scope.value for scope in scopes}),
        expires_at=expires_at,
        created_by=by,
    )
    session.add(key)
    session.flush()
    return IssuedKey(key=key, secret=secret.text)


def ensure_local(session: Session) -> IssuedKey:
    """Make the organisation a laptop starts with, and an admin key for it."""
    organisation = ensure(session, LOCAL_ORGANISATION)
    return issue_key(session, organisation, name="reckoner up", scopes=[Scope.ADMIN])


@dataclass(frozen=True, slots=True)
class ValidKey:
    """A key that holds at this moment, and the defaults of the organisation it speaks for."""

    id: uuid.UUID
    organisation_id: uuid.UUID
    prefix: str
    scopes: list[str]
    seconds_left: float | None
    """Until it expires, by the database's clock; None: it does not."""

    use_is_worth_noting: bool
    timezone: str
    currency: str


# Whoever asks sees no rows yet; the function shows the one whose digest they have.
_VALID_KEY = text(
    """
    SELECT sha256, id, organisation_id, prefix, scopes, extract(epoch FROM expires_at - now())::float8 AS seconds_left,
        last_used_at IS NULL OR last_used_at < now() - :precision AS use_is_worth_noting, timezone, currency
    FROM find_api_key(:sha256)
    WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
    """
).bindparams(precision=LAST_USED_PRECISION)


def find_valid_key(session: Session, secret: str) -> ValidKey | None:
    """Return the key with this secret, unless it is unknown, revoked or expired.

    It is looked up by its digest, which an attacker cannot choose, so how long the index takes tells nothing of a key; and
    compared once more in constant time.
    """
    digest = _digest(secret)
    row = session.connection().execute(_VALID_KEY, {"sha256": digest}).one_or_none()
    if row is None or not hmac.compare_digest(row.sha256, digest):
        return None
    return ValidKey(*row[1:])


def note_use(session: Session, key_id: uuid.UUID) -> None:
    """Note that a key was used, to the minute."""
    session.execute(update(ApiKey).where(ApiKey.id == key_id, _NOT_NOTED_LATELY).values(last_used_at=func.now()))


def list_keys(session: Session, organisation_id: uuid.UUID | None = None) -> list[ApiKey]:
    query = select(ApiKey).order_by(ApiKey.id)
    if organisation_id is not None:
        query = query.where(ApiKey.organisation_id == organisation_id)
    return list(session.scalars(query))


def revoke_key(session: Session, key_id: uuid.UUID, *, by: str | None = None) -> bool:
    """Make a key useless from now on, with all its secrets; False: there is no such key, or it is revoked already."""
    statement = (
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=func.now(), revoked_by=by)
        .returning(ApiKey.id)
    )
    return session.scalar(statement) is not None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
