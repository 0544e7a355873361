"""What an organisation may ask for: what its row says, or else the settings; and how much it has under way."""

import uuid
from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from models import settings
from models.organisation import Organisation


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one organisation."""

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


def standard() -> Limits:
    """Return the limits of organisations that have none of their own."""
    configured = settings.load()
    return Limits(
        requests_per_minute=configured.requests_per_minute,
        max_unfinished=configured.max_unfinished,
        max_upload_bytes=configured.max_upload_bytes,
    )


def of(session: Session, organisation_id: uuid.UUID) -> Limits:
    """Return the limits of an organisation."""
    query = select(Organisation.requests_per_minute, Organisation.max_unfinished, Organisation.max_upload_bytes).where(
        Organisation.id == organisation_id
    )
    own = session.execute(query).one_or_none()
    usual = standard()
    if own is None:
        return usual
    return Limits(
        requests_per_minute=own.requests_per_minute or usual.requests_per_minute,
        max_unfinished=own.max_unfinished or usual.max_unfinished,
        max_upload_bytes=own.max_upload_bytes or usual.max_upload_bytes,
    )


def unfinished_jobs(session: Session, organisation_id: uuid.UUID) -> int:
    """Return how many jobs of an organisation are accepted and not finished."""
    return int(session.execute(_UNFINISHED, {"organisation_id": organisation_id}).scalar_one())
