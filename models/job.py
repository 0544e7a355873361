"""The job: the unit of accepted work, and the log of everything that happened to it.

The row is the truth. What is in Redis is a hint that points here; how a row may change is in `models.transitions`.
"""

import uuid
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, CreatedAt, Json, new_id
from models.job_states import JobKind, JobStatus, Reason


def _values(members: type[JobStatus] | type[JobKind]) -> str:
    return ", ".join(f"'{member.value}'" for member in members)


class Job(Base):
    """One accepted piece of work.

    `attempt` counts claims and is the fencing token: whatever a worker writes is guarded by the number it claimed with.
    `errors` counts attempts that ended in an error, `crashes` those whose process died; each has its own limit.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(f"status IN ({_values(JobStatus)})", name="status_is_known"),
        CheckConstraint(f"kind IN ({_values(JobKind)})", name="kind_is_known"),
        CheckConstraint("(status = 'running') = (lease_until IS NOT NULL)", name="running_has_a_lease"),
        CheckConstraint(
            "(status IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)", name="final_is_finished"
        ),
        CheckConstraint("deleted_at IS NULL OR finished_at IS NOT NULL", name="only_the_finished_are_deleted"),
        CheckConstraint("priority BETWEEN 0 AND 9", name="priority_is_a_digit"),
        Index("ix_jobs_queued", "run_at", "id", postgresql_where=text("status = 'queued'")),
        Index("ix_jobs_running", "lease_until", "id", postgresql_where=text("status = 'running'")),
        Index("ix_jobs_worker", "worker_id", postgresql_where=text("status = 'running'")),
        Index("ix_jobs_expiring", "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
        Index("ix_jobs_organisation_newest", "organisation_id", text("id DESC")),
        Index(
            "ix_jobs_schedule_newest", "schedule_id", text("id DESC"), postgresql_where=text("schedule_id IS NOT NULL")
        ),
        Index("ix_jobs_schedule_slot", "schedule_id", "due_at", postgresql_where=text("schedule_id IS NOT NULL")),
        Index(
            "ix_jobs_schedule_unfinished",
            "schedule_id",
            postgresql_where=text("schedule_id IS NOT NULL AND finished_at IS NULL"),
        ),
        Index(
            "ix_jobs_waiting",
            "organisation_id",
            "queue",
            text("priority DESC"),
            "run_at",
            "id",
            postgresql_where=text("status = 'queued' AND published_at IS NULL"),
        ),
        Index(
            "ix_jobs_in_flight",
            "organisation_id",
            "queue",
            postgresql_where=text("status = 'running' OR (status = 'queued' AND published_at IS NOT NULL)"),
        ),
        Index("ix_jobs_finished", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
        Index("ix_jobs_reuse_key", "reuse_key", text("id DESC"), postgresql_where=text("reuse_key IS NOT NULL")),
        Index(
            "ix_jobs_joinable",
            "reuse_key",
            unique=True,
            postgresql_where=text("joinable AND status IN ('queued', 'running') AND cancel_requested_at IS NULL"),
        ),
        Index("ix_jobs_states", "kind", "queue", "status"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    kind: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(Text)  # the report type, or the dataset an import goes into
    status: Mapped[str] = mapped_column(Text, default=JobStatus.QUEUED, server_default=JobStatus.QUEUED)
    reason: Mapped[str] = mapped_column(Text, default=Reason.ACCEPTED, server_default=Reason.ACCEPTED)

    queue: Mapped[str] = mapped_column(Text)
    # 0 to 9, the highest first, among the organisation's own.
    priority: Mapped[int] = mapped_column(SmallInteger, default=5, server_default="5")

    params: Mapped[Json]
    dataset_versions: Mapped[Json | None]
    upload: Mapped[Json | None]
    label: Mapped[str | None] = mapped_column(Text)
    # Equal for the same question about the same data; a trigger forgets it when the question is changed.
    reuse_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    # Of those that ask the same, the one that all others join while it is not finished.
    joinable: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Who gets the result beside the subscribers of its event: `models.outbox.Target` as JSON.
    deliveries: Mapped[list[Json] | None] = mapped_column(JSONB(none_as_null=True))
    outcome: Mapped[Json | None]
    progress: Mapped[Json | None]
    error: Mapped[Json | None]

    attempt: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    errors: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    crashes: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    max_attempts: Mapped[int] = mapped_column(SmallInteger, default=3, server_default="3")

    run_at: Mapped[datetime] = mapped_column(server_default=func.now())
    published_at: Mapped[datetime | None]  # None: it has no message in the broker
    publishes: Mapped[int] = mapped_column(default=0, server_default="0")
    express: Mapped[bool] = mapped_column(default=False, server_default=false())  # its message is in the express lane
    lease_until: Mapped[datetime | None]
    claimed_at: Mapped[datetime | None]
    worker_id: Mapped[uuid.UUID | None]
    worker_pid: Mapped[int | None]
    cancel_requested_at: Mapped[datetime | None]
    cancelled_by: Mapped[str | None] = mapped_column(Text)
    cancel_reason: Mapped[str | None] = mapped_column(Text)

    created_at: Mapped[CreatedAt]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]  # its result and what was asked are gone; the row stays to say so
    deleted_by: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)
    traceparent: Mapped[str | None] = mapped_column(Text)
    schedule_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("schedules.id"))
    due_at: Mapped[datetime | None]  # the slot of its schedule


class JobEvent(Base):
    """One change of a job's state. Written by a trigger, in the transaction of the change; never changed afterwards."""

    __tablename__ = "job_events"
    __table_args__ = (Index("ix_job_events_job", "job_id", "id"), Index("ix_job_events_reason", "reason", "at"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    from_status: Mapped[str | None] = mapped_column(Text)
    to_status: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    attempt: Mapped[int] = mapped_column(SmallInteger)
    worker_id: Mapped[uuid.UUID | None]
    error: Mapped[Json | None]
    actor: Mapped[str | None] = mapped_column(Text)  # who cancelled or deleted it
    note: Mapped[str | None] = mapped_column(Text)  # and why
