"""What is not kept for ever: finished jobs and results past their time, uploads and scratch of finished jobs, old heartbeats."""

import shutil
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil

from models import (
    alerts,
    deliveries,
    heartbeat,
    idempotency,
    idempotent_effects,
    job_retention,
    jobs,
    result,
    schedules,
    session,
    settings,
)

BATCH = 100
# A file this young may belong to a request that has not inserted its job yet.
YOUNG_SECONDS = 3600
# So long an import that failed or was cancelled can be run again without its file being sent again.
KEEP_UNSUCCESSFUL_UPLOADS = timedelta(days=7)
# So long a file that was previewed can be imported without being sent again.
KEEP_PREVIEWED_UPLOADS = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Removed:
    """How much one run removed."""

    results: int
    jobs: int
    files: int


def remove_expired() -> Removed:
    """Remove everything past its time, in small transactions, so that it never holds locks for long."""
    results = 0
    while True:
        with session.transaction() as db:
            removed = result.remove_expired(db, limit=BATCH)
        results += removed
        if removed < BATCH:
            break
    forgotten = _forget_jobs()
    with session.transaction() as db:
        heartbeat.forget_old(db)
        idempotency.forget_old(db)
        idempotent_effects.forget_old(db)
        # In this order: a job that ends between the two statements is in both, and not in neither.
        needed = {str(job_id) for job_id in jobs.unfinished_ids(db)}
        repeatable = {
            str(job_id)
            for job_id in jobs.unsuccessful_import_ids(db, finished_within=KEEP_UNSUCCESSFUL_UPLOADS)
            | jobs.preview_ids(db, finished_within=KEEP_PREVIEWED_UPLOADS)
        }
    _forget_deliveries()
    _forget_occurrences()
    _forget_alerts()
    configured = settings.load()
    files = _remove_others(configured.upload_folder, needed | repeatable)
    files += _remove_others(configured.scratch_folder, needed)
    # A process that was killed leaves what its queries had spilled.
    files += _remove_others(configured.spill_folder.parent, {str(pid) for pid in psutil.pids()})
    return Removed(results=results, jobs=forgotten, files=files)


def _forget_occurrences() -> None:
    """Remove what became of slots as long ago as jobs are remembered."""
    while True:
        with session.transaction() as db:
            removed = schedules.forget_old(db, keep_for=settings.load().job_retention, limit=BATCH)
        if removed < BATCH:
            return


def _forget_alerts() -> None:
    """Remove the log of alerts, when it is as old as jobs become, and what those of deleted schedules knew."""
    while True:
        with session.transaction() as db:
            removed = alerts.forget_old(db, keep_for=settings.load().job_retention, limit=BATCH)
            forgotten = alerts.forget_deleted(db, limit=BATCH)
        if max(removed, forgotten) < BATCH:
            return


def _forget_deliveries() -> None:
    """Remove the log of what was sent, when it is as old as jobs become."""
    while True:
        with session.transaction() as db:
            removed = deliveries.forget_old(db, keep_for=settings.load().job_retention, limit=BATCH)
        if removed < BATCH:
            return


def _forget_jobs() -> int:
    """Remove the rows of jobs past their time; those that are kept because something names them are looked at once."""
    forgotten, since = 0, None
    while True:
        with session.transaction() as db:
            batch = job_retention.forget(db, keep_for=settings.load().job_retention, limit=BATCH, since=since)
        forgotten += batch.jobs
        if batch.jobs < BATCH:
            return forgotten
        since = batch.finished_at


def _remove_others(folder: Path, kept: set[str]) -> int:
    """Remove what does not have one of these names, once it is not young any more."""
    if not folder.is_dir():
        return 0
    oldest_kept = _now_in(folder) - YOUNG_SECONDS
    stale = [entry for entry in folder.iterdir() if entry.name not in kept and entry.stat().st_mtime < oldest_kept]
    for entry in stale:
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
    return len(stale)


def _now_in(folder: Path) -> float:
    """Return the time by the clock that dates the folder's files, which may not be that of this machine."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".now-") as mark:
        return Path(mark.name).stat().st_mtime
