"""A row in every table, of every kind that a migration has a word about: what a schema is taken down and up with."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import tables
from models.alert import AlertChange, AlertRow, AlertStanding
from models.base import new_id
from models.job import Job
from models.job_states import JobKind, JobStatus
from models.result import ResultChunk, StoredResult

MAKERS = frozenset({JobKind.IMPORT, JobKind.RESTORE, JobKind.ERASURE, JobKind.COMPACTION})
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def add(db: Session) -> None:
    organisation = tables.Organisation(id=new_id(), name="of every table", contact_email="ops@example.org")
    db.add(organisation)
    db.flush()
    ours: dict[str, Any] = {"organisation_id": organisation.id}
    jobs = [_job(kind, **ours) for kind in JobKind]
    key = tables.ApiKey(**ours, name="key", prefix="rk_1", sha256=b"1", scopes=["admin"], created_by="key rk_0")
    schedule = tables.Schedule(
        **ours, name="s", type="rfm", params={}, cron="@daily", timezone="UTC", catch_up="last", catch_up_max=1,
        overlap="queue", max_failures=5,
    )  # fmt: skip
    webhook = tables.Webhook(**ours, url="https://example.org", lane="x", events=["*"], secret=b"1")
    db.add_all([*jobs, key, schedule, webhook])
    db.flush()
    made = [
        tables.DatasetVersion(**ours, dataset=job.kind, version=0, row_count=1, columns={}, job_id=job.id, gone_at=NOW)
        for job in jobs
        if job.kind in MAKERS
    ]
    db.add_all([*made, *_hanging_on(jobs[0], key, schedule), *_deliveries(webhook, **ours)])
    db.flush()
    db.add_all(_below(schedule, jobs[0], db.scalars(select(tables.Delivery.id)).first()))


def _job(kind: JobKind, **ours: Any) -> Job:
    """Return a job that has ended, deleted as well, with all that later releases have added to it."""
    return Job(
        **ours, id=new_id(), kind=kind, type="rfm", status=JobStatus.SUCCEEDED, queue="reports", params={"bins": 4},
        finished_at=NOW, deleted_at=NOW, deleted_by="key rk_0", reuse_key=b"1", deliveries=[], attempt=1,
    )  # fmt: skip


def _hanging_on(job: Job, key: tables.ApiKey, schedule: tables.Schedule) -> Iterator[Any]:
    ours: dict[str, Any] = {"organisation_id": job.organisation_id}
    yield tables.OldSecret(sha256=b"0", api_key_id=key.id, prefix="rk_0", expires_at=NOW)
    yield tables.JobEvent(job_id=job.id, to_status="queued", reason="accepted", attempt=0, note="a note")
    yield StoredResult(job_id=job.id, header={}, manifest={}, row_count=1, byte_count=1, sha256="0")
    yield tables.IdempotencyKey(**ours, key="k", request_sha256=b"1", job_id=job.id, reused=True)
    yield tables.IdempotentEffect(**ours, key="k", request_sha256=b"1", subject_id=key.id)
    yield tables.ErasureJournal(job_id=job.id, journal={})
    yield tables.Tally(name="forgotten_jobs", label="x", value=1)
    yield tables.UpkeepRun(name="sweep")
    yield tables.Heartbeat(process_id=uuid.uuid4(), kind="worker", name="w", pid=1, queues=["reports"], slots=1)
    slot: dict[str, Any] = {**ours, "schedule_id": schedule.id, "due_at": NOW}
    yield tables.ScheduleOccurrence(**slot, status="fired", job_id=job.id)
    yield AlertStanding(**slot, name="a", declaration={})


def _below(schedule: tables.Schedule, job: Job, delivery_id: uuid.UUID | None) -> Iterator[Any]:
    about: dict[str, Any] = {
        "organisation_id": job.organisation_id,
        "schedule_id": schedule.id,
        "name": "a",
        "due_at": NOW,
    }
    yield AlertRow(**about, digest=b"1", key={"country": "GB"}, state="firing", since=NOW)
    yield AlertChange(**about, change="firing", key={"country": "GB"})
    yield tables.DeliveryAttempt(delivery_id=delivery_id, number=1)
    yield ResultChunk(job_id=job.id, position=0, row_start=0, row_count=1, data=b"1")


def _deliveries(webhook: tables.Webhook, **ours: Any) -> Iterator[Any]:
    common: dict[str, Any] = {**ours, "lane": "x", "target": {}, "event_type": "report.succeeded", "payload": {}}
    for status, erased_at in (("pending", None), ("skipped", None), ("succeeded", NOW)):
        made = tables.Delivery(
            **common, id=new_id(), channel="email", status=status, erased_at=erased_at,
            finished_at=None if status == "pending" else NOW,
        )  # fmt: skip
        yield made
    yield tables.Delivery(**common, channel="webhook", webhook_id=webhook.id)
