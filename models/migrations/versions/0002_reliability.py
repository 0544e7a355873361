"""Fair share, idempotency keys, who cancelled and why, and what is counted."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The same as in the first migration, and who asked for it and why.
LOG_TRANSITIONS = """
CREATE OR REPLACE FUNCTION log_job_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_events (job_id, from_status, to_status, reason, attempt, worker_id, error, actor, note)
    VALUES (
        NEW.id, CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, NEW.status, NEW.reason, NEW.attempt, NEW.worker_id,
        CASE WHEN NEW.reason NOT IN ('accepted', 'claimed', 'finished') THEN NEW.error END,
        CASE WHEN NEW.reason = 'cancelled' THEN NEW.cancelled_by END,
        CASE WHEN NEW.reason = 'cancelled' THEN NEW.cancel_reason END
    );
    RETURN NULL;
END $$;
"""

LOG_CANCEL_REQUESTS = """
CREATE FUNCTION log_cancel_request() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_events (job_id, from_status, to_status, reason, attempt, worker_id, actor, note)
    VALUES (
        NEW.id, NEW.status, NEW.status, 'cancel-requested', NEW.attempt, NEW.worker_id, NEW.cancelled_by, NEW.cancel_reason
    );
    RETURN NULL;
END $$;
CREATE TRIGGER log_cancel_request AFTER UPDATE OF cancel_requested_at ON jobs FOR EACH ROW
    WHEN (OLD.cancel_requested_at IS NULL AND NEW.cancel_requested_at IS NOT NULL AND OLD.status = NEW.status)
    EXECUTE FUNCTION log_cancel_request();
"""

OLD_LOG_TRANSITIONS = """
CREATE OR REPLACE FUNCTION log_job_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_events (job_id, from_status, to_status, reason, attempt, worker_id, error)
    VALUES (
        NEW.id, CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, NEW.status, NEW.reason, NEW.attempt, NEW.worker_id,
        CASE WHEN NEW.reason NOT IN ('accepted', 'claimed', 'finished') THEN NEW.error END
    );
    RETURN NULL;
END $$;
"""


def upgrade() -> None:
    op.add_column("organisations", sa.Column("max_in_flight", sa.Integer(), nullable=True))
    op.create_check_constraint(op.f("ck_organisations_max_in_flight_is_positive"), "organisations", "max_in_flight > 0")
    _upgrade_jobs()
    for name in ("actor", "note"):
        op.add_column("job_events", sa.Column(name, sa.Text(), nullable=True))
    op.execute(LOG_TRANSITIONS)
    op.execute(LOG_CANCEL_REQUESTS)
    op.create_index("ix_job_events_reason", "job_events", ["reason", "at"])
    op.add_column(
        "heartbeats", sa.Column("queues", sa.dialects.postgresql.JSONB(), server_default="[]", nullable=False)
    )
    op.add_column("heartbeats", sa.Column("slots", sa.Integer(), server_default="0", nullable=False))
    op.add_column("heartbeats", sa.Column("host", sa.Text(), server_default="", nullable=False))
    op.add_column("heartbeats", sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "idempotency_keys",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_idempotency_keys_job_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_idempotency_keys_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
    op.create_index("ix_idempotency_keys_job_id", "idempotency_keys", ["job_id"])
    # Whoever removes old jobs asks which of them a version names.
    op.create_index(op.f("ix_dataset_versions_job_id"), "dataset_versions", ["job_id"])
    op.create_table(
        "tallies",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), server_default="", nullable=False),
        sa.Column("value", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("name", "label", name=op.f("pk_tallies")),
    )
    op.create_table(
        "upkeep_runs",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_upkeep_runs")),
    )


def _upgrade_jobs() -> None:
    op.add_column("jobs", sa.Column("queue", sa.Text(), nullable=True))
    op.execute("UPDATE jobs SET queue = kind || 's'")
    op.alter_column("jobs", "queue", nullable=False)
    op.add_column("jobs", sa.Column("priority", sa.SmallInteger(), server_default="5", nullable=False))
    op.add_column("jobs", sa.Column("publishes", sa.Integer(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("express", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("jobs", sa.Column("cancelled_by", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("cancel_reason", sa.Text(), nullable=True))
    op.create_check_constraint(op.f("ck_jobs_priority_is_a_digit"), "jobs", "priority BETWEEN 0 AND 9")
    op.create_index(
        "ix_jobs_waiting",
        "jobs",
        ["organisation_id", "queue", sa.literal_column("priority DESC"), "run_at", "id"],
        postgresql_where=sa.text("status = 'queued' AND published_at IS NULL"),
    )
    op.create_index(
        "ix_jobs_in_flight",
        "jobs",
        ["organisation_id", "queue"],
        postgresql_where=sa.text("status = 'running' OR (status = 'queued' AND published_at IS NOT NULL)"),
    )
    op.create_index("ix_jobs_finished", "jobs", ["finished_at"], postgresql_where=sa.text("finished_at IS NOT NULL"))
    op.create_index("ix_jobs_states", "jobs", ["kind", "queue", "status"])


def downgrade() -> None:
    op.drop_table("upkeep_runs")
    op.drop_table("tallies")
    op.drop_index(op.f("ix_dataset_versions_job_id"), table_name="dataset_versions")
    op.drop_table("idempotency_keys")
    for name in ("claimed_at", "host", "slots", "queues"):
        op.drop_column("heartbeats", name)
    op.drop_index("ix_job_events_reason", table_name="job_events")
    op.execute("DROP TRIGGER log_cancel_request ON jobs")
    op.execute("DROP FUNCTION log_cancel_request()")
    op.execute(OLD_LOG_TRANSITIONS)
    for name in ("note", "actor"):
        op.drop_column("job_events", name)
    for index in ("states", "finished", "in_flight", "waiting"):
        op.drop_index(f"ix_jobs_{index}", table_name="jobs")
    op.drop_constraint(op.f("ck_jobs_priority_is_a_digit"), "jobs")
    for name in ("cancel_reason", "cancelled_by", "express", "publishes", "priority", "queue"):
        op.drop_column("jobs", name)
    op.drop_constraint(op.f("ck_organisations_max_in_flight_is_positive"), "organisations")
    op.drop_column("organisations", "max_in_flight")
