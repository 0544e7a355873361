"""API keys can be given a new secret while the old one still works, and say who made and revoked them."""

import sqlalchemy as sa
from alembic import op

from models.migrations import row_security

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLE = "api_key_old_secrets"

FIND_API_KEY = """
CREATE OR REPLACE FUNCTION find_api_key(digest bytea) RETURNS TABLE (
    id uuid, organisation_id uuid, prefix text, scopes jsonb, expires_at timestamptz, revoked_at timestamptz,
    last_used_at timestamptz, sha256 bytea, timezone text, currency text
) LANGUAGE sql STABLE SECURITY DEFINER
BEGIN ATOMIC
    SELECT api_keys.id, api_keys.organisation_id, {prefix}, api_keys.scopes, {expires_at}, api_keys.revoked_at,
        api_keys.last_used_at, {digest}, organisations.timezone, organisations.currency
    FROM api_keys JOIN organisations ON organisations.id = api_keys.organisation_id {joined}
    WHERE {digest} = $1;
"""
OF_NEWEST_SECRET = {
    "prefix": "api_keys.prefix",
    "expires_at": "api_keys.expires_at",
    "digest": "api_keys.sha256",
    "joined": "",
}
# A secret that has been replaced ends before its key does, or with it.
OF_OLD_SECRET = {
    "prefix": "old.prefix",
    "expires_at": "least(api_keys.expires_at, old.expires_at)",
    "digest": "old.sha256",
    "joined": "JOIN api_key_old_secrets AS old ON old.api_key_id = api_keys.id",
}


def upgrade() -> None:
    for name in ("created_by", "revoked_by"):
        op.add_column("api_keys", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("api_keys", sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        TABLE,
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("api_key_id", sa.Uuid(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["api_key_id"], ["api_keys.id"], name=op.f("fk_api_key_old_secrets_api_key_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_api_key_old_secrets")),
    )
    op.create_index(op.f("ix_api_key_old_secrets_api_key_id"), TABLE, ["api_key_id"])
    row_security.protect_through(TABLE, by="api_key_id", parent="api_keys")
    _find_by(OF_NEWEST_SECRET, OF_OLD_SECRET)


def downgrade() -> None:
    _find_by(OF_NEWEST_SECRET)
    op.drop_table(TABLE)
    for name in ("rotated_at", "revoked_by", "created_by"):
        op.drop_column("api_keys", name)


def _find_by(*secrets: dict[str, str]) -> None:
    head, _, select = FIND_API_KEY.partition("BEGIN ATOMIC")
    selects = [select.rstrip().rstrip(";").format(**secret) for secret in secrets]
    op.execute(f"{head}BEGIN ATOMIC {' UNION ALL '.join(selects)}; END")
