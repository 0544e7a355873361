"""What is not kept for ever: results past their time, uploads and scratch of finished jobs, old heartbeats."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

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
    kept = {str(job_id) for job_id in needed}
    files = _remove_others(configured.upload_folder, kept) + _remove_others(configured.scratch_folder, kept)
    # A process that was killed leaves what its queries had spilled.
    files += _remove_others(configured.spill_folder.parent, {str(pid) for pid in psutil.pids()})
    return Removed(results=results, files=files)


def _remove_others(folder: Path, kept: set[str]) -> int:
    """Remove what does not have one of these names, once it is not young any more."""
    if not folder.is_dir():
        return 0
    oldest_kept = time.time() - YOUNG_SECONDS
    stale = [entry for entry in folder.iterdir() if entry.name not in kept and entry.stat().st_mtime < oldest_kept]
    for entry in stale:
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
    return len(stale)
