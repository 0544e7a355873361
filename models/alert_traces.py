"""What is kept of a person about alerts: keys and values of rows, entries of the log, and what an alert itself says."""

import uuid
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, func, literal, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from models.alert import AlertChange, AlertRow, AlertStanding

# What is about one row, and what is about the alert.
OF_ROW: tuple[InstrumentedAttribute[Any], ...] = (AlertRow.key, AlertRow.value, AlertRow.previous)
OF_CHANGE: tuple[InstrumentedAttribute[Any], ...] = (AlertChange.key, AlertChange.value, AlertChange.previous)
SAID: tuple[InstrumentedAttribute[Any], ...] = (AlertChange.name, AlertChange.detail)
OF_STANDING: tuple[InstrumentedAttribute[Any], ...] = (
    AlertStanding.name,
    AlertStanding.declaration,
    AlertStanding.detail,
)


def rows_with(session: Session, organisation_id: uuid.UUID, texts: Collection[str]) -> list[AlertRow]:
    """Lock and return rows of alerts in which one of the texts is."""
    query = select(AlertRow).where(AlertRow.organisation_id == organisation_id, _contains(OF_ROW, texts))
    return list(session.scalars(query.order_by(AlertRow.schedule_id, AlertRow.name, AlertRow.digest).with_for_update()))


def changes_with(session: Session, organisation_id: uuid.UUID, texts: Collection[str]) -> list[AlertChange]:
    """Lock and return entries of the log in which one of the texts is."""
    contains = _contains((*OF_CHANGE, *SAID), texts)
    query = select(AlertChange).where(AlertChange.organisation_id == organisation_id, contains)
    return list(session.scalars(query.order_by(AlertChange.id).with_for_update()))


def standings_with(session: Session, organisation_id: uuid.UUID, texts: Collection[str]) -> list[AlertStanding]:
    """Lock and return how those alerts stand that themselves say one of the texts."""
    query = select(AlertStanding).where(AlertStanding.organisation_id == organisation_id, _contains(OF_STANDING, texts))
    return list(session.scalars(query.order_by(AlertStanding.schedule_id, AlertStanding.name).with_for_update()))


def unsettle(session: Session, organisation_id: uuid.UUID) -> None:
    """Let every evaluation that is under way begin anew: it may hold what is being erased."""
    session.execute(
        update(AlertStanding)
        .where(AlertStanding.organisation_id == organisation_id)
        .values(evaluated_at=func.clock_timestamp())
        .execution_options(synchronize_session=False)
    )


def _contains(columns: Sequence[InstrumentedAttribute[Any]], texts: Collection[str]) -> ColumnElement[bool]:
    return or_(*(func.strpos(cast(column, Text), literal(part)) > 0 for column in columns for part in sorted(texts)))
