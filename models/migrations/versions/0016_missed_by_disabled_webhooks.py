"""What happens while a webhook is disabled is on record as deliveries that were not sent, so that it can be sent afterwards."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# As in migration 0006 but for the webhooks.
RECORD_EVENT = """
CREATE OR REPLACE FUNCTION record_event(
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
        id, organisation_id, channel, lane, target, webhook_id, job_id, schedule_id, event_type, payload{columns}
    )
    SELECT new_id(), of_organisation, 'webhook', webhooks.lane, jsonb_build_object('url', webhooks.url), webhooks.id,
        of_job, of_schedule, what, body{values}
    FROM webhooks
    WHERE webhooks.organisation_id = of_organisation{condition}
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
OF_ALL = {
    "columns": ", status, finished_at, error",
    "values": """,
        CASE WHEN webhooks.disabled_at IS NULL THEN 'pending' ELSE 'cancelled' END,
        CASE WHEN webhooks.disabled_at IS NULL THEN NULL ELSE now() END,
        CASE WHEN webhooks.disabled_at IS NULL THEN NULL ELSE 'The webhook was disabled; nothing was sent.' END""",
    "condition": "",
}
OF_ENABLED = {"columns": "", "values": "", "condition": " AND webhooks.disabled_at IS NULL"}

TELL_OF_JOB = """
CREATE OR REPLACE FUNCTION tell_of_job_end() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    here text := CASE NEW.kind WHEN 'report' THEN '/v1/reports/' WHEN 'import' THEN '/v1/imports/' ELSE '/v1/jobs/' END
        || NEW.id;
BEGIN
    IF NEW.kind NOT IN ('report', 'import', 'restore', 'erasure') OR NOT (
        NEW.deliveries IS NOT NULL
        OR EXISTS (SELECT FROM webhooks WHERE organisation_id = NEW.organisation_id{condition})
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
"""


def upgrade() -> None:
    _tell(OF_ALL)


def downgrade() -> None:
    _tell(OF_ENABLED)


def _tell(webhooks: dict[str, str]) -> None:
    """Replace both functions; their texts have no percent signs or other braces than those that are filled in."""
    for text in (RECORD_EVENT, TELL_OF_JOB):
        op.execute(text.format(**webhooks))
