"""What an erasure takes out of alerts: rows and entries of the log that are about the person, and what is said that names them."""

import uuid
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from analytics.datasets.mentions import Mention
from models import alert_traces, erasure, session
from models.alert import AlertChange
from models.erasure import Journal
from workers.running_job import RunningJob


def named(job: RunningJob, mention: Mention) -> set[uuid.UUID]:
    """Return the schedules whose alerts know of the person; changes nothing."""
    with session.transaction() as db:
        return {found.schedule_id for found in _found(db, job, mention)}


def redact(job: RunningJob, mention: Mention) -> None:
    """Let alerts forget the person.

    Rows and entries that are about them go: the figures beside a key are theirs too. An alert that names them itself, which its
    schedule forgets as well, begins anew.
    """
    with session.transaction() as db:
        alert_traces.unsettle(db, job.organisation_id)
        for found in _found(db, job, mention):
            erasure.note(db, job.id, partial(Journal.redact, job_id=found.schedule_id))
            if isinstance(found, AlertChange) and not _is_about(found, alert_traces.OF_CHANGE, mention):
                found.name, found.detail = mention.mask(found.name), mention.mask(found.detail)
            else:
                db.delete(found)
            db.flush()


def _found(db: Session, job: RunningJob, mention: Mention) -> list[Any]:
    where = (db, job.organisation_id, mention.needles)
    of_change = (*alert_traces.OF_CHANGE, *alert_traces.SAID)
    found: list[Any] = [row for row in alert_traces.rows_with(*where) if _is_about(row, alert_traces.OF_ROW, mention)]
    found += [one for one in alert_traces.changes_with(*where) if _is_about(one, of_change, mention)]
    # Last: their rows go with them.
    found += [one for one in alert_traces.standings_with(*where) if _is_about(one, alert_traces.OF_STANDING, mention)]
    return found


def _is_about(found: Any, columns: Any, mention: Mention) -> bool:
    return any(mention.is_anywhere_in(getattr(found, column.key)) for column in columns)
