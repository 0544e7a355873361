"""What an erasure removes beside the lake: stored results that list the person, what jobs quote of them, and kept files."""

import shutil
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy.orm import Session

from analytics.datasets.mentions import ERASED, Mention
from models import erasure, erasure_traces, rendering_scratch, result, session, settings
from models.erasure import Journal
from models.erasure_traces import Stored
from models.job import Job
from workers.lake_jobs import erasing_alerts, erasing_schedules, erasing_targets
from workers.running_job import RunningJob

BATCH = 50

# How each member of a job's row, or of an event, forgets somebody. What was asked keeps its shape; of what was answered
# whole records go.
_BY_MASKING = ("params", "upload", "label", "cancel_reason", "note")
_BY_FORGETTING = ("outcome", "error")


def results_of(job: RunningJob, mention: Mention) -> Iterator[Stored]:
    """Yield the organisation's stored results that list the person or were asked about them."""
    after = None
    while True:
        with session.transaction() as db:
            batch = erasure_traces.results(db, job.organisation_id, after=after, limit=BATCH)
        for stored in batch:
            if _names(stored, mention):
                yield stored
        if len(batch) < BATCH:
            return
        after = batch[-1].job_id


def remove_results(job: RunningJob, mention: Mention) -> None:
    for stored in results_of(job, mention):
        job.progress("results")
        said = {"job_id": str(stored.job_id), "kind": stored.kind, "type": stored.type}
        with session.transaction() as db:
            if erasure_traces.remove_result(db, stored.job_id):
                erasure.note(db, job.id, partial(Journal.take_result, said=said))


def count_records(job: RunningJob, mention: Mention) -> int:
    """Return how many jobs and schedules name the person in their row or events; changes nothing."""
    with session.transaction() as db:
        named = {one.id for batch in _job_batches(db, job, mention) for one, _ in batch}
        named |= {event.job_id for event, _ in _events(db, job, mention)}
        db.rollback()
    of_schedules = erasing_schedules.named(job, mention) | erasing_alerts.named(job, mention)
    return len(named.union(previews_of(job, mention), of_schedules))


def redact_records(job: RunningJob, mention: Mention) -> None:
    """Let jobs, what is logged of their ends, and schedules forget the person. They themselves stay."""
    with session.transaction() as db:
        erasure.forget_ended(db, job.organisation_id, mention.customer_id)
        for batch in _job_batches(db, job, mention):
            for one, values in batch:
                erasure_traces.rewrite_job(db, one.id, values)
                erasure.note(db, job.id, partial(Journal.redact, job_id=one.id))
    with session.transaction() as db:
        for event, values in _events(db, job, mention):
            erasure_traces.rewrite_event(db, event.id, values)
            erasure.note(db, job.id, partial(Journal.redact, job_id=event.job_id))
    erasing_schedules.redact(job, mention)
    erasing_alerts.redact(job, mention)


def previews_of(job: RunningJob, mention: Mention) -> Iterator[uuid.UUID]:
    """Yield the ended previews that show the person, or cannot be shown not to.

    A preview shows values column by column: the name beside an id is found by reading the file, as long as that is kept.
    """
    from analytics.datasets import searching  # noqa: PLC0415 - heavy

    with session.transaction() as db:
        kept = erasure_traces.previews(db, job.organisation_id)
    for one in kept:
        file = settings.load().upload_folder / str(one.id)
        if not file.is_file() or mention.is_anywhere_in(one.outcome) or searching.file_may_name(file, mention):
            yield one.id


def empty_previews(job: RunningJob, mention: Mention) -> None:
    """Take away what previews show. To be done before the files go by which the others are known."""
    for job_id in previews_of(job, mention):
        with session.transaction() as db:
            erasure_traces.rewrite_job(db, job_id, {"outcome": {}})
            erasure.note(db, job.id, partial(Journal.redact, job_id=job_id))


def uploads_of(job: RunningJob, mention: Mention) -> Iterator[uuid.UUID]:
    """Yield the ended jobs of the organisation whose kept file names the person, or cannot be shown not to."""
    from analytics.datasets import searching  # noqa: PLC0415 - heavy

    folder = settings.load().upload_folder
    ids = _ids_in(folder)
    with session.transaction() as db:
        ended = erasure_traces.finished_among(db, job.organisation_id, ids)
    for job_id in sorted(ended):
        job.progress("uploads")
        if (folder / str(job_id)).is_file() and searching.file_may_name(folder / str(job_id), mention):
            yield job_id


def remove_uploads(job: RunningJob, mention: Mention) -> None:
    """Remove kept files of ended jobs. Those of jobs that wait or run are data that are still to come."""
    for job_id in uploads_of(job, mention):
        with session.transaction() as db:
            erasure.note(db, job.id, partial(Journal.take_upload, job_id=job_id))
        (settings.load().upload_folder / str(job_id)).unlink(missing_ok=True)


def remove_leavings() -> None:
    """Remove what processes that died have left half done on this machine: their scratch, and what their queries spilled."""
    configured = settings.load()
    ids = _ids_in(configured.scratch_folder)
    with session.transaction() as db:
        unfinished = erasure.unfinished_among(db, ids)
    for job_id in set(ids) - unfinished:
        shutil.rmtree(configured.scratch_folder / str(job_id), ignore_errors=True)
    pids = psutil.pids()
    rendering_scratch.remove_of_the_dead(set(pids))
    alive = set(map(str, pids))
    spilled = configured.spill_folder.parent
    for folder in spilled.iterdir() if spilled.is_dir() else ():
        if folder.name not in alive:
            shutil.rmtree(folder, ignore_errors=True)


def _names(stored: Stored, mention: Mention) -> bool:
    from analytics.datasets import searching  # noqa: PLC0415 - heavy

    if mention.is_anywhere_in(stored.header) or mention.is_anywhere_in(stored.manifest):
        return True
    position = 0
    while True:
        with session.transaction() as db:
            chunk = result.read_chunk(db, stored.job_id, position)
        if chunk is None:
            return False
        if searching.chunk_names(chunk.data, mention):
            return True
        position += 1


def _job_batches(db: Session, job: RunningJob, mention: Mention) -> Iterator[list[tuple[Job, dict[str, Any]]]]:
    after = None
    while True:
        found = erasure_traces.jobs_with(db, job.organisation_id, mention.needles, after=after, limit=BATCH)
        yield [(one, values) for one in found if (values := _without(one, mention))]
        if len(found) < BATCH:
            return
        after = found[-1].id


def _events(db: Session, job: RunningJob, mention: Mention) -> Iterator[tuple[Any, dict[str, Any]]]:
    after = 0
    while True:
        found = erasure_traces.events_with(db, job.organisation_id, mention.needles, after=after, limit=BATCH)
        for event in found:
            if values := _without(event, mention):
                yield event, values
        if len(found) < BATCH:
            return
        after = found[-1].id


def _without(row: Any, mention: Mention) -> dict[str, Any]:
    """Return the members of a row that name the person, as they are to be instead."""
    values: dict[str, Any] = {}
    for name in (*_BY_MASKING, *_BY_FORGETTING):
        value = getattr(row, name, None)
        if value is not None and mention.is_anywhere_in(value):
            values[name] = mention.mask(value) if name in _BY_MASKING else mention.forget_members(value)
    request_id = getattr(row, "request_id", None)
    if request_id is not None and mention.may_be_in(request_id):
        values["request_id"] = ERASED
    receivers = getattr(row, "deliveries", None)
    if receivers is not None and mention.is_anywhere_in(receivers):
        values["deliveries"] = erasing_targets.without_targets(receivers, mention) or None
    return values


def _ids_in(folder: Path) -> list[uuid.UUID]:
    """Return the jobs that the entries of a folder are named after."""
    ids = []
    for entry in folder.iterdir() if folder.is_dir() else ():
        try:
            ids.append(uuid.UUID(entry.name))
        except ValueError:
            continue
    return ids
