"""Reports that are asked for again are recognised, results can be deleted, and cursors are signed."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Whoever changes the question of a job, an erasure for instance, need not remember that others are recognised by it.
FORGET_REUSE_KEY = """
CREATE FUNCTION forget_reuse_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.reuse_key := NULL;
    RETURN NEW;
END $$;
CREATE TRIGGER forget_reuse_key BEFORE UPDATE OF type, params, dataset_versions ON jobs FOR EACH ROW
    WHEN ((OLD.type, OLD.params, OLD.dataset_versions) IS DISTINCT FROM (NEW.type, NEW.params, NEW.dataset_versions))
    EXECUTE FUNCTION forget_reuse_key();
"""

LOG_DELETIONS = """
CREATE FUNCTION log_job_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_events (job_id, from_status, to_status, reason, attempt, actor)
    VALUES (NEW.id, NEW.status, NEW.status, 'deleted', NEW.attempt, NEW.deleted_by);
    RETURN NULL;
END $$;
CREATE TRIGGER log_job_deletion AFTER UPDATE OF deleted_at ON jobs FOR EACH ROW
    WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION log_job_deletion();
"""

# 244 random bits, made by the database itself: nobody has to configure them, and every web process has the same.
RANDOM_KEY = "decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("reuse_key", sa.LargeBinary(), nullable=True))
    op.add_column("jobs", sa.Column("joinable", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("jobs", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("deleted_by", sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("ck_jobs_only_the_finished_are_deleted"), "jobs", "deleted_at IS NULL OR finished_at IS NOT NULL"
    )
    op.create_index(
        "ix_jobs_reuse_key",
        "jobs",
        ["reuse_key", sa.text("id DESC")],
        postgresql_where=sa.text("reuse_key IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_joinable",
        "jobs",
        ["reuse_key"],
        unique=True,
        postgresql_where=sa.text("joinable AND status IN ('queued', 'running') AND cancel_requested_at IS NULL"),
    )
    op.execute(FORGET_REUSE_KEY)
    op.execute(LOG_DELETIONS)
    op.add_column("idempotency_keys", sa.Column("reused", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column(
        "organisations", sa.Column("cursor_key", sa.LargeBinary(), server_default=sa.text(RANDOM_KEY), nullable=False)
    )


def downgrade() -> None:
    op.drop_column("organisations", "cursor_key")
    op.drop_column("idempotency_keys", "reused")
    op.execute("DROP TRIGGER log_job_deletion ON jobs")
    op.execute("DROP TRIGGER forget_reuse_key ON jobs")
    op.execute("DROP FUNCTION log_job_deletion()")
    op.execute("DROP FUNCTION forget_reuse_key()")
    op.drop_index("ix_jobs_joinable", "jobs")
    op.drop_index("ix_jobs_reuse_key", "jobs")
    op.drop_constraint(op.f("ck_jobs_only_the_finished_are_deleted"), "jobs")
    for name in ("deleted_by", "deleted_at", "joinable", "reuse_key"):
        op.drop_column("jobs", name)
