"""A delivery whose filter or address named somebody who was erased is on record, and is not sent any more."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

NEVER_SENT = "ck_deliveries_erased_is_never_sent"


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(op.f(NEVER_SENT), "deliveries", "erased_at IS NULL OR status <> 'pending'")


def downgrade() -> None:
    # A release that does not know the column would send them again.
    op.execute("DELETE FROM deliveries WHERE erased_at IS NOT NULL")
    op.drop_constraint(op.f(NEVER_SENT), "deliveries", type_="check")
    op.drop_column("deliveries", "erased_at")
