"""With what an organisation's cursors are signed: a key of its own, made with it by the database."""

import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.organisation import Organisation


def find(session: Session, organisation_id: uuid.UUID) -> bytes:
    return session.scalars(select(Organisation.cursor_key).where(Organisation.id == organisation_id)).one()
