"""A delivery may be skipped: none of the rows is its receiver's."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

NAME = "ck_deliveries_status_is_known"


def upgrade() -> None:
    op.drop_constraint(op.f(NAME), "deliveries", type_="check")
    known = "status IN ('pending', 'succeeded', 'failed', 'cancelled', 'skipped')"
    op.create_check_constraint(op.f(NAME), "deliveries", known)


def downgrade() -> None:
    op.execute("UPDATE deliveries SET status = 'cancelled' WHERE status = 'skipped'")
    op.drop_constraint(op.f(NAME), "deliveries", type_="check")
    op.create_check_constraint(op.f(NAME), "deliveries", "status IN ('pending', 'succeeded', 'failed', 'cancelled')")
