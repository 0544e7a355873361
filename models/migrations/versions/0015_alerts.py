"""Alerts of schedules: how each stands, its rows, the log of their changes, and which slots are still to be evaluated."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from models.migrations import row_security

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

OCCURRENCES = "schedule_occurrences"
TABLES = ("alert_standings", "alert_states", "alert_changes")


def _json(name: str, *, nullable: bool = True, default: str | None = None) -> sa.Column[object]:
    kind = postgresql.JSONB(none_as_null=True, astext_type=sa.Text())
    return sa.Column(name, kind, nullable=nullable, server_default=None if default is None else sa.text(default))


def _time(name: str, *, nullable: bool = False, default: bool = False) -> sa.Column[object]:
    now = sa.text("now()") if default else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=now, nullable=nullable)


def _text(*names: str, nullable: bool = True) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=nullable) for name in names]


def _of_organisation(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f(f"fk_{table}_organisation_id"))


def _of_schedule(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["schedule_id"], ["schedules.id"], name=op.f(f"fk_{table}_schedule_id"), ondelete="CASCADE"
    )


def upgrade() -> None:
    op.add_column(OCCURRENCES, sa.Column("alerts_due", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column(OCCURRENCES, sa.Column("alert_tries", sa.SmallInteger(), server_default="0", nullable=False))
    op.create_index(
        "ix_schedule_occurrences_alerts_due",
        OCCURRENCES,
        ["due_at", "schedule_id"],
        postgresql_where=sa.text("alerts_due"),
    )
    _create_standings()
    _create_states()
    _create_changes()
    for table in TABLES:
        row_security.protect(table)


def _create_standings() -> None:
    op.create_table(
        "alert_standings",
        sa.Column("schedule_id", sa.Uuid(), nullable=False),
        *_text("name", nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        _json("declaration", nullable=False),
        _time("due_at"),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        _time("evaluated_at", default=True),
        *_text("remark", "problem", "detail"),
        _time("problem_since", nullable=True),
        _of_schedule("alert_standings"),
        _of_organisation("alert_standings"),
        sa.PrimaryKeyConstraint("schedule_id", "name", name=op.f("pk_alert_standings")),
    )


def _create_states() -> None:
    op.create_table(
        "alert_states",
        sa.Column("schedule_id", sa.Uuid(), nullable=False),
        *_text("name", nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        _json("key"),
        *_text("state", nullable=False),
        sa.Column("streak", sa.Integer(), server_default="0", nullable=False),
        _json("value"),
        _json("previous"),
        _time("since"),
        _time("due_at"),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        _json("seen_by", nullable=False, default="'[]'::jsonb"),
        _json("owned_by", nullable=False, default="'[]'::jsonb"),
        sa.CheckConstraint("state IN ('ok', 'pending', 'firing')", name=op.f("ck_alert_states_state_is_known")),
        sa.ForeignKeyConstraint(
            ["schedule_id", "name"],
            ["alert_standings.schedule_id", "alert_standings.name"],
            name=op.f("fk_alert_states_standing"),
            ondelete="CASCADE",
        ),
        _of_organisation("alert_states"),
        sa.PrimaryKeyConstraint("schedule_id", "name", "digest", name=op.f("pk_alert_states")),
    )
    op.create_index(
        "ix_alert_states_firing",
        "alert_states",
        ["schedule_id", "name"],
        postgresql_where=sa.text("state = 'firing'"),
    )


def _create_changes() -> None:
    op.create_table(
        "alert_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("schedule_id", sa.Uuid(), nullable=False),
        *_text("name", "change", nullable=False),
        _json("key"),
        _json("value"),
        _json("previous"),
        *_text("problem", "detail"),
        _time("due_at"),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        _time("at", default=True),
        sa.CheckConstraint(
            "change IN ('firing', 'recovered', 'broken', 'mended')", name=op.f("ck_alert_changes_change_is_known")
        ),
        _of_schedule("alert_changes"),
        _of_organisation("alert_changes"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_changes")),
    )
    op.create_index("ix_alert_changes_schedule_newest", "alert_changes", ["schedule_id", sa.literal_column("id DESC")])
    op.create_index("ix_alert_changes_at", "alert_changes", ["at"])


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_index("ix_schedule_occurrences_alerts_due", OCCURRENCES)
    op.drop_column(OCCURRENCES, "alert_tries")
    op.drop_column(OCCURRENCES, "alerts_due")
