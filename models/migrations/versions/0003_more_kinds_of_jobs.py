"""Previews, restores, erasures and compactions are jobs too; a version of a dataset may be gone."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

OLD_KINDS = "kind IN ('report', 'import')"
KINDS = "kind IN ('report', 'import', 'preview', 'restore', 'erasure', 'compaction')"

# An older release can do nothing with jobs of other kinds; those that made a version of a dataset stay as its makers.
FORGET_OTHER_KINDS = """
DELETE FROM jobs WHERE kind NOT IN ('report', 'import')
AND NOT EXISTS (SELECT FROM dataset_versions WHERE job_id = jobs.id)
"""


def upgrade() -> None:
    _know_kinds(KINDS)
    op.add_column("dataset_versions", sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("dataset_versions", "gone_at")
    op.execute(FORGET_OTHER_KINDS)
    op.execute("UPDATE jobs SET kind = 'import' WHERE kind NOT IN ('report', 'import')")
    _know_kinds(OLD_KINDS)


def _know_kinds(condition: str) -> None:
    op.drop_constraint(op.f("ck_jobs_kind_is_known"), "jobs", type_="check")
    op.create_check_constraint(op.f("ck_jobs_kind_is_known"), "jobs", condition)
