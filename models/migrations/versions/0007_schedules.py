"""Schedules, what became of each of their slots, and which schedule a job is of."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

JSONB = postgresql.JSONB(none_as_null=True, astext_type=sa.Text())
JSONB_LIST = postgresql.JSONB(astext_type=sa.Text())
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_schedules()
    _create_occurrences()
    op.add_column("jobs", sa.Column("schedule_id", sa.Uuid(), nullable=True))
    op.add_column("jobs", sa.Column("due_at", MOMENT, nullable=True))
    op.create_foreign_key(op.f("fk_jobs_schedule_id"), "jobs", "schedules", ["schedule_id"], ["id"])
    op.create_index(
        "ix_jobs_schedule_newest",
        "jobs",
        ["schedule_id", sa.text("id DESC")],
        postgresql_where=sa.text("schedule_id IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_schedule_slot",
        "jobs",
        ["schedule_id", "due_at"],
        postgresql_where=sa.text("schedule_id IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_schedule_unfinished",
        "jobs",
        ["schedule_id"],
        postgresql_where=sa.text("schedule_id IS NOT NULL AND finished_at IS NULL"),
    )


def _create_schedules() -> None:
    op.create_table(
        "schedules",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("params", JSONB, nullable=False),
        sa.Column("max_age", sa.Integer(), nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("priority", sa.SmallInteger(), server_default="5", nullable=False),
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("starts_at", MOMENT, nullable=True),
        sa.Column("ends_at", MOMENT, nullable=True),
        sa.Column("jitter_seconds", sa.Integer(), server_default="0", nullable=False),
        sa.Column("catch_up", sa.Text(), nullable=False),
        sa.Column("catch_up_max", sa.Integer(), nullable=False),
        sa.Column("overlap", sa.Text(), nullable=False),
        sa.Column("max_failures", sa.Integer(), nullable=False),
        sa.Column("deliveries", JSONB_LIST, server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("alerts", JSONB_LIST, server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("next_due_at", MOMENT, nullable=True),
        sa.Column("next_fire_at", MOMENT, nullable=True),
        sa.Column("consecutive_failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("paused_at", MOMENT, nullable=True),
        sa.Column("paused_by", sa.Text(), nullable=True),
        sa.Column("pause_reason", sa.Text(), nullable=True),
        sa.Column("pause_detail", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", MOMENT, nullable=True),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("catch_up IN ('skip', 'last', 'all')", name=op.f("ck_schedules_catch_up_is_known")),
        sa.CheckConstraint("overlap IN ('skip', 'queue')", name=op.f("ck_schedules_overlap_is_known")),
        sa.CheckConstraint("pause_reason IN ('asked', 'failures')", name=op.f("ck_schedules_pause_reason_is_known")),
        sa.CheckConstraint(
            "(paused_at IS NULL) = (pause_reason IS NULL)", name=op.f("ck_schedules_paused_has_a_reason")
        ),
        sa.CheckConstraint(
            "(next_due_at IS NULL) = (next_fire_at IS NULL)", name=op.f("ck_schedules_due_has_a_moment")
        ),
        sa.CheckConstraint("priority BETWEEN 0 AND 9", name=op.f("ck_schedules_priority_is_a_digit")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f("fk_schedules_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
    )
    op.create_index(
        "ix_schedules_due",
        "schedules",
        ["next_fire_at", "id"],
        postgresql_where=sa.text("deleted_at IS NULL AND paused_at IS NULL AND next_fire_at IS NOT NULL"),
    )
    op.create_index("ix_schedules_organisation_newest", "schedules", ["organisation_id", sa.text("id DESC")])


def _create_occurrences() -> None:
    table = "schedule_occurrences"
    op.create_table(
        table,
        sa.Column("schedule_id", sa.Uuid(), nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("decided_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("settled_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "status IN ('fired', 'waiting', 'skipped', 'failed')", name=op.f("ck_schedule_occurrences_status_is_known")
        ),
        sa.CheckConstraint(
            "status <> 'waiting' OR job_id IS NULL", name=op.f("ck_schedule_occurrences_waiting_has_no_job")
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedules.id"], name=op.f("fk_schedule_occurrences_schedule_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_schedule_occurrences_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_schedule_occurrences_job_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("schedule_id", "due_at", name=op.f("pk_schedule_occurrences")),
    )
    op.create_index("ix_schedule_occurrences_job_id", table, ["job_id"])
    op.create_index(
        "ix_schedule_occurrences_unsettled",
        table,
        ["schedule_id", "due_at"],
        postgresql_where=sa.text("status = 'fired' AND settled_at IS NULL"),
    )
    op.create_index(
        "ix_schedule_occurrences_waiting",
        table,
        ["schedule_id", "due_at"],
        postgresql_where=sa.text("status = 'waiting'"),
    )
    op.create_index("ix_schedule_occurrences_decided_at", table, ["decided_at"])


def downgrade() -> None:
    for name in ("ix_jobs_schedule_unfinished", "ix_jobs_schedule_slot", "ix_jobs_schedule_newest"):
        op.drop_index(name, "jobs")
    op.drop_constraint(op.f("fk_jobs_schedule_id"), "jobs", type_="foreignkey")
    op.drop_column("jobs", "due_at")
    op.drop_column("jobs", "schedule_id")
    op.drop_table("schedule_occurrences")
    op.drop_table("schedules")
