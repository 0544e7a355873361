"""Who still reads what an erasure removes: they are given time to finish, and are then stopped."""

import time
import uuid
from collections.abc import Mapping, Sequence
from functools import partial

import structlog

from analytics.datasets.mentions import Mention
from models import erasure, session, transitions
from models.job import Job
from models.job_states import JobKind
from workers.running_job import RunningJob

# Most reports take far less; one that takes longer can be run again on what is left.
PATIENCE_SECONDS = 60.0
# A stopped job's process is killed after its grace, and a dead worker's jobs are found after a lease.
LONGEST_SECONDS = 300.0
LOOK_SECONDS = 0.2

log = structlog.get_logger(__name__)


class StillReadError(Exception):
    """A job that reads the person's rows neither finished nor could be stopped. Transient."""


def wait(job: RunningJob, mention: Mention, closed: Mapping[str, Sequence[int]]) -> None:
    """Wait until no running job reads a closed version, or asks about the person; cancel the reports that take too long.

    What starts from now on finds the versions closed.

    Raises:
        StillReadError: some did not end.
    """
    waited_for = {(reader.id, reader.attempt) for reader in _readers(job, mention, closed)}
    started, asked = time.monotonic(), False
    while waited_for:
        waited_for &= {(reader.id, reader.attempt) for reader in _readers(job, mention, closed)}
        waited = time.monotonic() - started
        if waited > LONGEST_SECONDS:
            raise StillReadError
        if waited > PATIENCE_SECONDS and not asked:
            _cancel(job, [reader for reader, _ in waited_for])
            asked = True
        job.progress("wait", None, len(waited_for))
        time.sleep(LOOK_SECONDS if waited_for else 0)


def _readers(job: RunningJob, mention: Mention, closed: Mapping[str, Sequence[int]]) -> list[Job]:
    with session.transaction() as db:
        running = erasure.running(db, job.organisation_id, (JobKind.REPORT, JobKind.RESTORE, JobKind.COMPACTION))
    return [one for one in running if _reads(one, mention, closed)]


def _reads(one: Job, mention: Mention, closed: Mapping[str, Sequence[int]]) -> bool:
    if one.kind != JobKind.REPORT:
        # It finds out by itself that there is a newer version; but not before it wants to commit.
        return one.type in closed
    pins = one.dataset_versions or {}
    asked = [one.params, one.label, one.deliveries]
    return mention.is_anywhere_in(asked) or any(pins.get(name) in versions for name, versions in closed.items())


def _cancel(job: RunningJob, readers: Sequence[uuid.UUID]) -> None:
    for reader in readers:
        with session.transaction() as db:
            running = erasure.running(db, job.organisation_id, (JobKind.REPORT,))
            if reader not in {one.id for one in running}:
                continue
            why = "It read the rows of a person who is being erased; run it again on what is left."
            if transitions.request_cancel(db, reader, by=f"erasure {job.id}", why=why):
                log.info("cancelling a report that reads what is erased", reader=str(reader))
                erasure.note(db, job.id, partial(erasure.Journal.stop, job_id=reader))
