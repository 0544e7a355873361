"""Webhooks and deliveries: the outbox, written by the database itself in the transaction that ends a job."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# As models.base.new_id makes them: 48 bits of time, then chance, and the marks of version 7.
NEW_ID = """
CREATE FUNCTION new_id() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(
        set_bit(set_bit(
            overlay(uuid_send(gen_random_uuid())
                placing substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                FROM 1 FOR 6),
            52, 1), 53, 1), 'hex')::uuid
$$;
"""

# A webhook that is deleted at this moment is passed over rather than named by a row that may not be.
RECORD_EVENT = """
CREATE FUNCTION record_event(
    of_organisation uuid, what text, about jsonb, of_job uuid, of_schedule uuid, targets jsonb,
    but_not_to uuid
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    body jsonb := jsonb_build_object(
        'type', what,
        'timestamp', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'data', about
    );
    written integer;
    sum integer := 0;
BEGIN
    INSERT INTO deliveries (
        id, organisation_id, channel, lane, target, filter, job_id, schedule_id, event_type, payload
    )
    SELECT new_id(), of_organisation, wanted ->> 'channel', wanted ->> 'lane', wanted -> 'target',
        nullif(wanted -> 'filter', 'null'), of_job, of_schedule, what, body
    FROM jsonb_array_elements(coalesce(targets, '[]')) AS wanted
    WHERE wanted ->> 'channel' <> 'webhook' AND wanted -> 'on' ? split_part(what, '.', 2);
    GET DIAGNOSTICS sum = ROW_COUNT;
    INSERT INTO deliveries (
        id, organisation_id, channel, lane, target, webhook_id, job_id, schedule_id, event_type, payload
    )
    SELECT new_id(), of_organisation, 'webhook', webhooks.lane, jsonb_build_object('url', webhooks.url), webhooks.id,
        of_job, of_schedule, what, body
    FROM webhooks
    WHERE webhooks.organisation_id = of_organisation AND webhooks.disabled_at IS NULL
    AND webhooks.id IS DISTINCT FROM but_not_to AND (
        webhooks.events ?| ARRAY['*', split_part(what, '.', 1) || '.*', what]
        OR EXISTS (
            SELECT FROM jsonb_array_elements(coalesce(targets, '[]')) AS wanted
            WHERE wanted ->> 'channel' = 'webhook' AND wanted -> 'target' ->> 'webhook_id' = webhooks.id::text
                AND wanted -> 'on' ? split_part(what, '.', 2)
        )
    )
    FOR KEY SHARE;
    GET DIAGNOSTICS written = ROW_COUNT;
    RETURN sum + written;
END $$;
"""

# What is said of a job is what everybody may know who may see that it exists: no figure of a customer is in it.
TELL_OF_JOB = """
CREATE FUNCTION tell_of_job_end() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    here text := CASE NEW.kind WHEN 'report' THEN '/v1/reports/' WHEN 'import' THEN '/v1/imports/' ELSE '/v1/jobs/' END
        || NEW.id;
BEGIN
    IF NEW.kind NOT IN ('report', 'import', 'restore', 'erasure') OR NOT (
        NEW.deliveries IS NOT NULL
        OR EXISTS (SELECT FROM webhooks WHERE organisation_id = NEW.organisation_id AND disabled_at IS NULL)
    ) THEN
        RETURN NULL;
    END IF;
    PERFORM record_event(
        NEW.organisation_id, NEW.kind || '.' || NEW.status,
        jsonb_build_object(
            'id', NEW.id, 'kind', NEW.kind, 'type', NEW.type, 'status', NEW.status, 'label', NEW.label,
            'schedule_id', to_jsonb(NEW) -> 'schedule_id',
            'created_at', to_char(NEW.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'finished_at', to_char(NEW.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'error', CASE WHEN NEW.status = 'failed' THEN jsonb_build_object(
                'type', '/docs/problems/' || (NEW.error ->> 'type'), 'title', NEW.error ->> 'title'
            ) END,
            'links', jsonb_build_object(
                'self', here,
                'result', CASE WHEN NEW.kind = 'report' AND NEW.status = 'succeeded' THEN here || '/result' END
            )
        ),
        NEW.id, (to_jsonb(NEW) ->> 'schedule_id')::uuid, NEW.deliveries, NULL
    );
    RETURN NULL;
END $$;
CREATE TRIGGER tell_of_job_end AFTER UPDATE OF status ON jobs FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status AND NEW.status IN ('succeeded', 'failed', 'cancelled'))
    EXECUTE FUNCTION tell_of_job_end();
CREATE TRIGGER tell_of_job_made_finished AFTER INSERT ON jobs FOR EACH ROW
    WHEN (NEW.status IN ('succeeded', 'failed', 'cancelled')) EXECUTE FUNCTION tell_of_job_end();
"""


def _json(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=nullable)


def _time(name: str, *, default: bool = False) -> sa.Column[object]:
    now = sa.text("now()") if default else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=now, nullable=not default)


def upgrade() -> None:
    op.add_column("organisations", sa.Column("contact_email", sa.Text(), nullable=True))
    op.add_column("jobs", _json("deliveries", nullable=True))
    _create_webhooks()
    _create_deliveries()
    op.create_table(
        "delivery_attempts",
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        _time("started_at", default=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.Text(), server_default="sending", nullable=False),
        sa.Column("status_code", sa.SmallInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("excerpt", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('sending', 'succeeded', 'failed', 'lost')", name=op.f("ck_delivery_attempts_outcome_is_known")
        ),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("fk_delivery_attempts_delivery_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("pk_delivery_attempts")),
    )
    for function in (NEW_ID, RECORD_EVENT, TELL_OF_JOB):
        op.execute(function)


def _create_webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        _json("events"),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("previous_secret", sa.LargeBinary(), nullable=True),
        _time("previous_until"),
        _time("created_at", default=True),
        _time("updated_at", default=True),
        _time("disabled_at"),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(disabled_at IS NULL) = (disabled_reason IS NULL)", name=op.f("ck_webhooks_disabled_has_a_reason")
        ),
        sa.CheckConstraint(
            "(previous_secret IS NULL) = (previous_until IS NULL)", name=op.f("ck_webhooks_previous_secret_has_an_end")
        ),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f("fk_webhooks_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index("ix_webhooks_organisation_newest", "webhooks", ["organisation_id", sa.literal_column("id DESC")])


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        _json("target"),
        sa.Column("webhook_id", sa.Uuid(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("schedule_id", sa.Uuid(), nullable=True),
        sa.Column("event_type", sa.Text(), nullable=False),
        _json("payload"),
        _json("filter", nullable=True),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("tries", sa.SmallInteger(), server_default="0", nullable=False),
        _time("next_attempt_at", default=True),
        sa.Column("claim_token", sa.Uuid(), nullable=True),
        _time("claim_until"),
        sa.Column("error", sa.Text(), nullable=True),
        _time("created_at", default=True),
        _time("finished_at"),
        sa.CheckConstraint("channel IN ('webhook', 'email', 'file')", name=op.f("ck_deliveries_channel_is_known")),
        sa.CheckConstraint(
            "status IN ('pending', 'succeeded', 'failed', 'cancelled')", name=op.f("ck_deliveries_status_is_known")
        ),
        sa.CheckConstraint(
            "(status = 'pending') = (finished_at IS NULL)", name=op.f("ck_deliveries_final_is_finished")
        ),
        sa.CheckConstraint(
            "(claim_token IS NULL) = (claim_until IS NULL)", name=op.f("ck_deliveries_claim_has_an_end")
        ),
        sa.CheckConstraint(
            "(channel = 'webhook') = (webhook_id IS NOT NULL)", name=op.f("ck_deliveries_webhook_is_named")
        ),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f("fk_deliveries_organisation_id")),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_deliveries_webhook_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_deliveries_job_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
    )
    pending = sa.text("status = 'pending'")
    op.create_index("ix_deliveries_due", "deliveries", ["lane", "next_attempt_at", "id"], postgresql_where=pending)
    op.create_index(
        "ix_deliveries_claimed", "deliveries", ["lane"], postgresql_where=sa.text("claim_token IS NOT NULL")
    )
    newest: sa.ColumnElement[str] = sa.literal_column("id DESC")
    op.create_index("ix_deliveries_organisation_newest", "deliveries", ["organisation_id", newest])
    op.create_index("ix_deliveries_webhook", "deliveries", ["webhook_id", newest])
    op.create_index("ix_deliveries_job", "deliveries", ["job_id", newest])
    op.create_index("ix_deliveries_schedule", "deliveries", ["schedule_id", newest])
    op.create_index("ix_deliveries_finished", "deliveries", ["finished_at"])


def downgrade() -> None:
    op.execute("DROP TRIGGER tell_of_job_made_finished ON jobs")
    op.execute("DROP TRIGGER tell_of_job_end ON jobs")
    op.execute("DROP FUNCTION tell_of_job_end()")
    op.execute("DROP FUNCTION record_event(uuid, text, jsonb, uuid, uuid, jsonb, uuid)")
    op.execute("DROP FUNCTION new_id()")
    for table in ("delivery_attempts", "deliveries", "webhooks"):
        op.drop_table(table)
    op.drop_column("jobs", "deliveries")
    op.drop_column("organisations", "contact_email")
