"""What an organisation may ask for: what its row says, or else the settings; and how much it has under way."""

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from models import settings
from models.organisation import Organisation


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one organisation; `max_in_flight` is of each queue."""

    max_in_flight: int
    requests_per_minute: int
    max_unfinished: int
    max_upload_bytes: int


# Two indexes hold the unfinished jobs of an organisation, those that wait for their turn and those that have it.
_UNFINISHED = text(
    """
    SELECT (
        SELECT count(*) FROM jobs
        WHERE organisation_id = :organisation_id AND status = 'queued' AND published_at IS NULL
    ) + (
        SELECT count(*) FROM jobs
        WHERE organisation_id = :organisation_id
            AND (status = 'running' OR (status = 'queued' AND published_at IS NOT NULL))
    )
    """
)


_COLUMNS = tuple(getattr(Organisation, name) for name in Limits.__dataclass_fields__)


def standard() -> Limits:
    """Return the limits of organisations that have none of their own."""
    configured = settings.load()
    return Limits(**{name: getattr(configured, name) for name in Limits.__dataclass_fields__})


def of_row(own: Organisation | Row[Any]) -> Limits:
    """Return the limits of an organisation whose own ones are in this row."""
    return Limits(**{name: getattr(own, name) or usual for name, usual in asdict(standard()).items()})


def has_own(organisation: Organisation) -> bool:
    """Tell whether an organisation has any limit of its own."""
    return any(getattr(organisation, name) is not None for name in Limits.__dataclass_fields__)


def of(session: Session, organisation_id: uuid.UUID) -> Limits:
    """Return the limits of an organisation."""
    own = session.execute(select(*_COLUMNS).where(Organisation.id == organisation_id)).one_or_none()
    return standard() if own is None else of_row(own)


def change(session: Session, name: str, own: Mapping[str, int | None]) -> Organisation | None:
    """Give an organisation limits of its own, by the names of `Limits`; None takes one back. Returns it, if there is one."""
    organisation = session.scalar(select(Organisation).where(Organisation.name == name).with_for_update())
    if organisation is not None:
        for limit, value in own.items():
            setattr(organisation, limit, value)
    return organisation


def unfinished_jobs(session: Session, organisation_id: uuid.UUID) -> int:
    """Return how many jobs of an organisation are accepted and not finished."""
    return int(session.execute(_UNFINISHED, {"organisation_id": organisation_id}).scalar_one())
