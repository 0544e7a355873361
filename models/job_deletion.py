"""Deleting a finished job on its owner's word: its result goes, and what it was asked; the row stays, to say so for a while."""

from enum import Enum, auto
from typing import Any

from sqlalchemy import delete, exists, func, update
from sqlalchemy.orm import Session

from models.job import Job
from models.result import StoredResult

# What a person wrote, and what was answered. When it was, whose it was and how it ended stay, as do its events.
_EMPTY: dict[str, Any] = {
    "params": {},
    "dataset_versions": None,
    "upload": None,
    "label": None,
    "outcome": None,
    "progress": None,
    "error": None,
    "deliveries": None,
    "reuse_key": None,
    "cancel_reason": None,
    "expires_at": None,
}


class Deletion(Enum):
    """What came of it."""

    DONE = auto()
    """It is deleted, by this call or an earlier one."""

    UNFINISHED = auto()
    """It has not ended."""


def delete_job(session: Session, job: Job, *, by: str) -> Deletion:
    """Delete a finished job; deleting it again changes nothing.

    A trigger writes the event that says who did it and when.
    """
    finished = exists().where(Job.id == job.id, Job.finished_at.is_not(None))
    # The result before the row, as everybody who locks both does.
    session.execute(delete(StoredResult).where(StoredResult.job_id == job.id, finished))
    done = session.scalar(
        update(Job)
        .where(Job.id == job.id, Job.finished_at.is_not(None))
        .values(
            **_EMPTY,
            deleted_at=func.coalesce(Job.deleted_at, func.now()),
            deleted_by=func.coalesce(Job.deleted_by, by),
        )
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    )
    return Deletion.UNFINISHED if done is None else Deletion.DONE
