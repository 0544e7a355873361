"""What beat has done about the lake: versions past their time are given up, and tables that want tidying get a job for it.

Only SQL happens here. The jobs open the lake, in the workers that may.
"""

import uuid
from dataclasses import dataclass

from sqlalchemy.orm import Session

from models import dataset, lake_retention, session, settings, transitions
from models.dataset import DatasetVersion
from models.job import Job
from models.job_states import JobKind
from models.transitions import NewJob
from workers import publisher, routing
from workers.lake_jobs import sweeping

# Whatever else the organisation has waiting goes first.
PRIORITY = 0


@dataclass(frozen=True, slots=True)
class Tended:
    """How many versions were given up, and how many jobs accepted."""

    given_up: int
    jobs: int


def tend() -> Tended:
    """Give up what is past its time, and accept one job for each table that wants tidying and has none.

    Two beats at once do it once: the one that comes second finds the lock taken, or nothing left to do.
    """
    configured = settings.load()
    with session.transaction() as db:
        if not lake_retention.lock(db):
            return Tended(0, 0)
        given_up = lake_retention.give_up_expired(db, keep=configured.lake_retention)
        untidy = lake_retention.untidy(db, small_files=configured.compact_files, litter=sweeping.litter_age())
        accepted = [
            transitions.accept(
                db,
                _new_job(table.organisation_id, table.dataset, small_files=table.small_files, byte_count=table.bytes),
            )
            for table in untidy
        ]
    publisher.publish({publisher.Lane(job.organisation_id, job.queue) for job in accepted})
    return Tended(len(given_up), len(accepted))


def tidy(db: Session, newest: DatasetVersion) -> Job:
    """Accept a job that tidies a table now; it is published by the next sweep."""
    small_files = newest.small_file_count or 0
    return transitions.accept(
        db,
        _new_job(newest.organisation_id, newest.dataset, small_files=small_files, byte_count=newest.byte_count or 0),
    )


def _new_job(organisation_id: uuid.UUID, name: str, *, small_files: int, byte_count: int) -> NewJob:
    """Make the job that tidies a table; it finds out by itself what there is to do."""
    gathers = small_files >= settings.load().compact_files
    rewritten = min(byte_count, small_files * dataset.SMALL_FILE_BYTES) if gathers else 0
    return NewJob(
        organisation_id=organisation_id,
        kind=JobKind.COMPACTION,
        type=name,
        params={},
        queue=routing.queue_of_lake_job(rewritten),
        priority=PRIORITY,
    )
