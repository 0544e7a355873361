"""Idempotency keys of requests that make something other than a job."""

import sqlalchemy as sa
from alembic import op

from models.migrations import row_security

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLE = "idempotent_effects"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_idempotent_effects_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "key", name=op.f("pk_idempotent_effects")),
    )
    op.create_index("ix_idempotent_effects_created_at", TABLE, ["created_at"])
    row_security.protect(TABLE)


def downgrade() -> None:
    op.drop_table(TABLE)
