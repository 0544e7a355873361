"""What is not kept for ever: results past their time, uploads and scratch of finished jobs, old heartbeats."""

import shutil
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from models import heartbeat, jobs, result, session, settings

BATCH = 100
# A file this young may belong to a request that has not inserted its job yet.
YOUNG_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Removed:
    """How much one run removed."""

    results: int
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
    with session.transaction() as db:
        heartbeat.forget_old(db)
        needed = jobs.unfinished_ids(db)
    configured = settings.load()
    files = _remove_unneeded(configured.upload_folder, needed) + _remove_unneeded(configured.scratch_folder, needed)
    return Removed(results=results, files=files)


def _remove_unneeded(folder: Path, needed: set[uuid.UUID]) -> int:
    """Remove what is named after a job that is finished, or after nothing at all, once it is not young any more."""
    if not folder.is_dir():
        return 0
    kept = {str(job_id) for job_id in needed}
    oldest_kept = time.time() - YOUNG_SECONDS
    stale = [entry for entry in folder.iterdir() if entry.name not in kept and entry.stat().st_mtime < oldest_kept]
    for entry in stale:
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
    return len(stale)
