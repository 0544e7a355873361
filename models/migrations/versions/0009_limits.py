"""What an organisation may ask for, where that is not what the settings say."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLE = "organisations"
COLUMNS = {
    "requests_per_minute": sa.Integer,
    "max_unfinished": sa.Integer,
    "max_upload_bytes": sa.BigInteger,
}


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        op.add_column(TABLE, sa.Column(name, kind(), nullable=True))
        op.create_check_constraint(op.f(f"ck_organisations_{name}_is_positive"), TABLE, sa.text(f"{name} > 0"))


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_constraint(op.f(f"ck_organisations_{name}_is_positive"), TABLE)
        op.drop_column(TABLE, name)
