"""An erasure: one customer is removed from the lake, its old versions, stored results, the records of jobs and kept files.

What is done is found out from what is there, and noted in a journal before it is done, so that any attempt can go on where
another died. The certificate is written with the job's success, after a look at every file has found nothing.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from analytics import errors
from analytics.datasets.mentions import Mention
from models import erasure, erasure_subject, jobs, session, settings
from models.base import Json
from workers import interrupts
from workers.lake_jobs import erasing_deliveries, erasing_lake, erasing_readers, erasing_receivers, erasing_traces
from workers.lake_jobs.erasing_lake import View
from workers.running_job import RunningJob

if TYPE_CHECKING:
    from analytics.datasets import erasing as rows

# Imports that run meanwhile may bring the person back this often; then somebody has to stop them.
MOST_PASSES = 10

NOT_COVERED = (
    ("backups", "Backups and replicas of the database and of the lake, made before this, still hold the person."),
    (
        "database-storage",
        "PostgreSQL overwrites the space of removed rows in its own time, and keeps its log until then.",
    ),
    ("logs", "Log files are not searched. The service writes no customer data and no customer ids into its log."),
    (
        "idempotency-keys",
        "Digests of requests that came with an Idempotency-Key are kept for 24 hours, whatever the requests said.",
    ),
    ("aggregates", "Results that list no person stay: sums and rates to which the person contributed."),
    (
        "downloads",
        "Results that were downloaded or delivered, and the systems the data came from, are out of reach.",
    ),
    ("later-imports", "A file that is imported after this and names the person brings them back."),
)

log = structlog.get_logger(__name__)


def run(job: RunningJob) -> None:
    """Remove a customer for good, or say what that would remove.

    Raises:
        errors.Refusal: imports brought the customer back again and again.
    """
    mention = Mention(job.params["customer_id"])
    if job.params["dry_run"]:
        job.check_cancelled()
        with _open(job, mention) as (finder, _):
            _finish_plan(job, _plan(job, finder, mention))
        return
    _begin(job)
    # Half an erasure helps nobody: from here on nothing but the end of its process stops it.
    with interrupts.uninterruptible(), _open(job, mention) as (finder, folder):
        views = _clean_lake(job, finder, mention, folder)
        erasing_traces.redact_records(job, mention)
        erasing_receivers.redact(job, mention)
        erasing_deliveries.redact(job, mention, in_flight=False)
        erasing_readers.wait(job, mention, {})
        erasing_traces.remove_results(job, mention)
        erasing_traces.empty_previews(job, mention)
        erasing_traces.redact_records(job, mention)
        erasing_deliveries.wait(job)
        erasing_deliveries.redact(job, mention, in_flight=True)
        erasing_receivers.redact(job, mention)
        erasing_traces.remove_uploads(job, mention)
        erasing_traces.remove_leavings()
        _certify(job, mention, views)


def _begin(job: RunningJob) -> None:
    """Agree to be cancelled, or note that it is too late for that."""
    with session.transaction() as db:
        begun = erasure.read(db, job.id).begun
    if not begun:
        job.check_cancelled()
        with session.transaction() as db:
            erasure.note(db, job.id, erasure.Journal.begin)


@contextmanager
def _open(job: RunningJob, mention: Mention) -> "Iterator[tuple[rows.Finder, Path]]":
    from analytics.datasets import erasing as rows  # noqa: PLC0415 - heavy

    configured = settings.load()
    with (
        job.scratch() as folder,
        rows.open_finder(
            mention.customer_id,
            spill=folder / "spill",
            memory=configured.engine_memory,
            threads=configured.engine_threads,
        ) as finder,
    ):
        yield finder, folder


def _clean_lake(job: RunningJob, finder: "rows.Finder", mention: Mention, folder: Path) -> Mapping[str, View]:
    """Remove until a look at every file of every table finds nothing; return what that look has seen."""
    for _ in range(MOST_PASSES):
        found = erasing_lake.look(job, finder, _known(job, mention))
        if not found.dirty:
            _catch_up(job, found.views)
            return found.views
        _note(job, found)
        replaced = [view for view in found.dirty if erasing_lake.replace(job, view, finder, folder)]
        for view in replaced:
            erasing_lake.close(job, view)
        erasing_readers.wait(job, mention, _closed(job))
        for view in replaced:
            erasing_lake.remove(job, view)
    raise errors.Refusal(
        "erasure-overtaken",
        f"The customer was removed {MOST_PASSES} times, and imports that ran meanwhile brought them back each time.",
    )


def _note(job: RunningJob, found: erasing_lake.Look) -> None:
    with session.transaction() as db:
        erasure.note(db, job.id, lambda journal: journal.link(found.own))


def _catch_up(job: RunningJob, views: Mapping[str, View]) -> None:
    """Note what an attempt that died has committed and not noted, and move the reports accepted in a moment between."""
    for view in views.values():
        erasing_lake.close(job, view)


def _known(job: RunningJob, mention: Mention) -> list[dict[str, list[str]]]:
    """Return which records were the person's, as this job and others that did not come to their end have noted."""
    with session.transaction() as db:
        return erasure.links_of_others(db, job.organisation_id, mention.customer_id)


def _closed(job: RunningJob) -> dict[str, list[int]]:
    with session.transaction() as db:
        return erasure.read(db, job.id).versions


def _plan(job: RunningJob, finder: "rows.Finder", mention: Mention) -> Json:
    views = erasing_lake.look(job, finder, _known(job, mention)).views
    results = [
        {"job_id": str(stored.job_id), "kind": stored.kind, "type": stored.type}
        for stored in erasing_traces.results_of(job, mention)
    ]
    return {
        "datasets": [_planned(view) for view in views.values()],
        "results": results,
        "uploads": [str(job_id) for job_id in erasing_traces.uploads_of(job, mention)],
        "records": erasing_traces.count_records(job, mention),
        **_planned_receivers(job, mention),
    }


def _planned_receivers(job: RunningJob, mention: Mention) -> Json:
    deliveries, unsent = erasing_deliveries.count(job, mention)
    named = erasing_receivers.named(job, mention)
    return {
        "deliveries": deliveries,
        "deliveries_to_cancel": unsent,
        "webhooks": len(named.webhooks),
        "api_keys": len(named.api_keys),
        "contact": named.contact,
        "idempotency_keys": named.request_keys,
    }


def _planned(view: View) -> Json:
    matched = view.rows_now
    holding = {*view.removable, *map(view.table.path, view.held_now)}
    return {
        "dataset": view.table.dataset,
        "rows": sum(matched.values()),
        "matched": matched,
        "versions": list(view.closing),
        "files": len(holding),
    }


def _finish_plan(job: RunningJob, plan: Json) -> None:
    with job.finish() as final:
        final.outcome = {"plan": plan}


def _certify(job: RunningJob, mention: Mention, views: Mapping[str, View]) -> None:
    """Write the certificate with the job's success. From then on the database holds a digest where it held the id."""
    with job.finish() as final:
        db = final.session
        journal = erasure.read(db, job.id)
        at = db.scalars(sa.select(sa.func.now())).one()
        row = jobs.find(db, job.id)
        subject = erasure_subject.seal(mention.customer_id)
        final.outcome = {
            "certificate": {
                "subject": subject,
                "requested_at": _moment(row.created_at) if row is not None else None,
                "requested_by": job.params.get("requested_by"),
                "completed_at": _moment(at),
                "datasets": [erasing_lake.outcome(job, journal, view) for view in views.values()],
                "results_removed": journal.results,
                "uploads_removed": journal.uploads,
                "records_redacted": len(journal.redacted),
                "deliveries_redacted": len(journal.deliveries),
                "deliveries_cancelled": len(journal.unsent),
                "webhooks_redacted": len(journal.webhooks),
                "api_keys_redacted": len(journal.api_keys),
                "contact_removed": journal.contact,
                "idempotency_keys_removed": journal.request_keys,
                "reports_cancelled": journal.cancelled,
                "verified": True,
                "verification": _verification(views),
                "not_covered": [{"code": code, "detail": detail} for code, detail in NOT_COVERED],
            }
        }
        left = {name: value for name, value in job.params.items() if name != "customer_id"}
        erasure.settle_subject(db, job.id, {**left, "subject": subject})
        erasure.forget(db, job.id)


def _verification(views: Mapping[str, View]) -> Json:
    """Say what the last look has read: it found no row of the person, else there would have been another."""
    return {
        "files_read": sum(view.files_read for view in views.values()),
        "rows_read": sum(view.found.rows_read for view in views.values()),
        "rows_found": sum(sum(view.rows_now.values()) for view in views.values()),
    }


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
