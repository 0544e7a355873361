"""What beat has done about the lake: versions past their time are given up, and tables that want tidying get a job for it.

Only SQL happens here. The jobs open the lake, in the workers that may.
"""

from dataclasses import dataclass

from models import dataset, lake_retention, session, settings, transitions
from models.job_states import JobKind
from models.lake_retention import Untidy
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
        accepted = [transitions.accept(db, new_job(table)) for table in untidy]
    publisher.publish({publisher.Lane(job.organisation_id, job.queue) for job in accepted})
    return Tended(len(given_up), len(accepted))


def new_job(table: Untidy) -> NewJob:
    """Make the job that tidies a table; it finds out by itself what there is to do."""
    rewritten = min(table.bytes, table.small_files * dataset.SMALL_FILE_BYTES) if table.scattered else 0
    return NewJob(
        organisation_id=table.organisation_id,
        kind=JobKind.COMPACTION,
        type=table.dataset,
        params={},
        queue=routing.queue_of_lake_job(rewritten),
        priority=PRIORITY,
    )
