"""What an erasure has removed so far, and the one change of a job's events that is allowed: forgetting a person."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Events may quote the rows that stopped a job. Whoever erases a person says so first; what happened and when stays as it is.
KEEP_EVENTS = """
CREATE OR REPLACE FUNCTION keep_job_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('reckoner.erasing', true) = 'on'
        AND ROW(NEW.id, NEW.job_id, NEW.at, NEW.from_status, NEW.to_status, NEW.reason, NEW.attempt, NEW.worker_id, NEW.actor)
        IS NOT DISTINCT FROM
        ROW(OLD.id, OLD.job_id, OLD.at, OLD.from_status, OLD.to_status, OLD.reason, OLD.attempt, OLD.worker_id, OLD.actor)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'job_events is append-only';
END $$;
"""

OLD_KEEP_EVENTS = """
CREATE OR REPLACE FUNCTION keep_job_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'job_events is append-only';
END $$;
"""


def upgrade() -> None:
    op.create_table(
        "erasure_journals",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("journal", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_erasure_journals_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_erasure_journals")),
    )
    op.execute(KEEP_EVENTS)


def downgrade() -> None:
    op.execute(OLD_KEEP_EVENTS)
    op.drop_table("erasure_journals")
