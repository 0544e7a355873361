"""A second wall between organisations: the database itself shows the web only the rows of the one that asks."""

from alembic import op

from models.migrations import row_security

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# An unset setting is null, and one whose transaction is over is empty: neither equals anything.
ASKING_ORGANISATION = """
CREATE FUNCTION asking_organisation() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('reckoner.organisation_id', true), '')::uuid
"""

# Whose a key is must be known before its organisation is. This shows the one row whose digest the caller has, to whoever asks,
# and runs with the owner's rights; the body is bound to the tables when it is made, so that no search path can lead it astray.
FIND_API_KEY = """
CREATE FUNCTION find_api_key(digest bytea) RETURNS TABLE (
    id uuid, organisation_id uuid, prefix text, scopes jsonb, expires_at timestamptz, revoked_at timestamptz,
    last_used_at timestamptz, sha256 bytea, timezone text, currency text
) LANGUAGE sql STABLE SECURITY DEFINER
BEGIN ATOMIC
    SELECT api_keys.id, api_keys.organisation_id, api_keys.prefix, api_keys.scopes, api_keys.expires_at,
        api_keys.revoked_at, api_keys.last_used_at, api_keys.sha256, organisations.timezone, organisations.currency
    FROM api_keys JOIN organisations ON organisations.id = api_keys.organisation_id
    WHERE api_keys.sha256 = digest;
END
"""

OF_AN_ORGANISATION = (
    "api_keys",
    "dataset_versions",
    "deliveries",
    "idempotency_keys",
    "jobs",
    "schedule_occurrences",
    "schedules",
    "webhooks",
)
OF_A_JOB = ("job_events", "results", "erasure_journals")


def upgrade() -> None:
    op.execute(ASKING_ORGANISATION)
    op.execute(FIND_API_KEY)
    row_security.protect("organisations", by="id")
    for table in OF_AN_ORGANISATION:
        row_security.protect(table)
    for table in OF_A_JOB:
        row_security.protect_through(table, by="job_id", parent="jobs")
    row_security.protect_through("result_chunks", by="job_id", parent="results", key="job_id")
    row_security.protect_through("delivery_attempts", by="delivery_id", parent="deliveries")


def downgrade() -> None:
    for table in ("delivery_attempts", "result_chunks", *OF_A_JOB, *OF_AN_ORGANISATION, "organisations"):
        row_security.unprotect(table)
    op.execute("DROP FUNCTION find_api_key(bytea)")
    op.execute("DROP FUNCTION asking_organisation()")
