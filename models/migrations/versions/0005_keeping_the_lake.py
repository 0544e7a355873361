"""How a version's rows lie in files, and when its files were removed."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLE = "dataset_versions"


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("file_count", sa.Integer(), nullable=True))
    op.add_column(TABLE, sa.Column("byte_count", sa.BigInteger(), nullable=True))
    op.add_column(TABLE, sa.Column("small_file_count", sa.Integer(), nullable=True))
    op.add_column(TABLE, sa.Column("swept_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_dataset_versions_unswept",
        TABLE,
        ["organisation_id", "dataset"],
        postgresql_where=sa.text("gone_at IS NOT NULL AND swept_at IS NULL"),
    )
    op.create_index(
        "ix_dataset_versions_kept",
        TABLE,
        ["organisation_id", "dataset", "version"],
        postgresql_where=sa.text("gone_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_dataset_versions_kept", TABLE)
    op.drop_index("ix_dataset_versions_unswept", TABLE)
    for name in ("swept_at", "small_file_count", "byte_count", "file_count"):
        op.drop_column(TABLE, name)
