"""A table is tidied: files that nothing needs are removed, and many small files become few large ones with the same rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from models import settings
from models.base import Json
from workers.lake_jobs import committing, sweeping
from workers.running_job import RunningJob

if TYPE_CHECKING:
    from models import lake
    from workers.lake_jobs.sweeping import Swept

# How often other jobs may have changed what was just gathered before this is left for a quieter time.
MOST_PLANS = 3
# How often the commit may come second to others that left the gathered files alone.
MOST_COMMITS = 10
# What one job gathers; the rest is for the next.
MOST_BYTES = 4 * 1024**3

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Gathered:
    """Small files of a table, and the larger ones with the same rows."""

    old: tuple["lake.LakeFile", ...]
    new: tuple[Path, ...]

    @property
    def facts(self) -> Json:
        return {
            "gathered": {"files": len(self.old), "into": len(self.new), "bytes": sum(file.size for file in self.old)}
        }


def run(job: RunningJob) -> None:
    """Remove what is not needed, then gather small files; nothing a reader sees changes by either."""
    table = committing.open_table(job, job.type)
    done = table.committed(str(job.id))
    if done is None:
        job.check_cancelled()
    job.progress("sweep")
    swept = sweeping.sweep(table, job.organisation_id)
    table.checkpoint_if_late()
    if done is not None:
        committing.finish_again(job, table, done, {**done.facts, **_removed(swept)})
        return
    for _ in range(MOST_PLANS):
        base = table.snapshot()
        old = chosen(base, at_least=settings.load().compact_files) if base is not None else ()
        if base is None or not old:
            break
        if _gather(job, table, base, old=old, swept=swept):
            return
    else:
        log.info("others kept changing what was gathered; left for a quieter time")
    _leave(job, swept)


def _leave(job: RunningJob, swept: "Swept") -> bool:
    """Finish without another version; True: the job is done."""
    with job.finish() as final:
        final.outcome = _outcome(None, Gathered((), ()), swept)
    return True


def chosen(base: "lake.LakeSnapshot", *, at_least: int) -> tuple["lake.LakeFile", ...]:
    """Return the files that are worth gathering; none where there are fewer than this."""
    small = [file for file in base.contents if file.is_small]
    if len(small) < at_least:
        return ()
    taken, size = [], 0
    for file in small:
        size += file.size
        if size > MOST_BYTES:
            break
        taken.append(file)
    return tuple(taken)


def _gather(
    job: RunningJob,
    table: "lake.LakeTable",
    base: "lake.LakeSnapshot",
    *,
    old: tuple["lake.LakeFile", ...],
    swept: "Swept",
) -> bool:
    """Write the rows of small files anew and commit that; False: the files were changed by others meanwhile."""
    from analytics.datasets import compacting  # noqa: PLC0415 - heavy
    from models import lake_cache  # noqa: PLC0415 - heavy

    job.progress("compact", 0, len(old))
    with job.scratch() as folder:
        new = compacting.compact(
            lake_cache.local_files(table, base, only=old),
            dataset=job.type,
            schema=base.schema,
            folder=folder,
            memory=settings.load().engine_memory,
        )
        if len(new) >= len(old):
            log.info("gathering the files would not make them fewer", files=len(old))
            return _leave(job, swept)
        return _commit_on_any(job, table, base, gathered=Gathered(old, new), swept=swept)


def _commit_on_any(
    job: RunningJob, table: "lake.LakeTable", base: "lake.LakeSnapshot", *, gathered: Gathered, swept: "Swept"
) -> bool:
    """Commit on this version, or on a newer one that still has all the old files: its rows are not touched by this."""
    from models import lake  # noqa: PLC0415 - heavy

    for _ in range(MOST_COMMITS):
        try:
            _commit(job, table, base, gathered=gathered, swept=swept)
        except lake.LakeConflict:
            newest = table.snapshot()
            if newest is None or newest.schema != base.schema or not set(gathered.old) <= set(newest.contents):
                return False
            base = newest
        else:
            return True
    return False


def _commit(
    job: RunningJob, table: "lake.LakeTable", base: "lake.LakeSnapshot", *, gathered: Gathered, swept: "Swept"
) -> None:
    from analytics.datasets import stored  # noqa: PLC0415 - heavy

    with job.finish(patience_seconds=settings.load().import_limit_seconds) as final:
        change = committing.NextVersion(
            added=gathered.new,
            removed=tuple(file.address for file in gathered.old),
            schema=base.schema,
            columns=stored.columns(base.schema),
            facts=gathered.facts,
            keeps_rows=True,
        )
        version = committing.commit(job, table, base, change, final)
        final.outcome = _outcome(version, gathered, swept)


def _outcome(version: int | None, gathered: Gathered, swept: "Swept") -> Json:
    return {"dataset_version": version, **gathered.facts} | _removed(swept)


def _removed(swept: "Swept") -> Json:
    return {"removed": {"versions": swept.versions, "files": swept.files, "bytes": swept.bytes}}
