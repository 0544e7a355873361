"""Every column of the schema that can hold words or bytes: whether an erasure looks into it, or why no person can be in it.

Whoever adds a column decides here. What is looked into must be planted in `test_erasure_places.py`, which sees to it itself.
"""

from collections.abc import Mapping

LOOKED_INTO = "looked into"
OF_ALERTS = "looked into; the tests of alerts have a person in it"
UNPACKED = "looked into, packed as it is; tests/integration/test_erasure.py has rows in it"

FIXED = "one of a few words that the program has"
PRINCIPAL = "who did something: the visible part of a key, an operator's account, an erasure's job"
DIGEST = "a digest"
SECRET = "random, or encrypted"
OURS = "of this installation: hosts, processes, queues, what was counted"
CATALOGUE = "names of reports, datasets and their columns"
CLOCK = "validated: an expression of cron, a time zone, a currency"

OF_TABLE: Mapping[str, Mapping[str, str]] = {
    "alert_changes": {
        "name": OF_ALERTS,
        "change": FIXED,
        "key": OF_ALERTS,
        "value": OF_ALERTS,
        "previous": OF_ALERTS,
        "problem": FIXED,
        "detail": OF_ALERTS,
    },
    "alert_standings": {
        "name": OF_ALERTS,
        "declaration": OF_ALERTS,
        "remark": OF_ALERTS,
        "problem": FIXED,
        "detail": OF_ALERTS,
    },
    "alert_states": {
        "name": OF_ALERTS,
        "digest": OF_ALERTS,
        "key": OF_ALERTS,
        "state": FIXED,
        "value": OF_ALERTS,
        "previous": OF_ALERTS,
        "seen_by": DIGEST,
        "owned_by": DIGEST,
    },
    "alembic_version": {"version_num": OURS},
    "api_key_old_secrets": {"sha256": DIGEST, "prefix": SECRET},
    "api_keys": {
        "name": LOOKED_INTO,
        "prefix": SECRET,
        "sha256": DIGEST,
        "scopes": FIXED,
        "created_by": PRINCIPAL,
        "revoked_by": PRINCIPAL,
    },
    "dataset_versions": {"dataset": CATALOGUE, "columns": CATALOGUE},
    "deliveries": {
        "channel": FIXED,
        "lane": LOOKED_INTO,
        "target": LOOKED_INTO,
        "event_type": FIXED,
        "payload": LOOKED_INTO,
        "filter": LOOKED_INTO,
        "status": FIXED,
        "error": LOOKED_INTO,
    },
    "delivery_attempts": {"outcome": FIXED, "error": LOOKED_INTO, "excerpt": LOOKED_INTO},
    "erasure_journals": {"journal": LOOKED_INTO},
    "heartbeats": {"kind": FIXED, "name": OURS, "queues": OURS, "host": OURS},
    "idempotency_keys": {"key": LOOKED_INTO, "request_sha256": DIGEST},
    "idempotent_effects": {"key": LOOKED_INTO, "request_sha256": DIGEST},
    "job_events": {
        "from_status": FIXED,
        "to_status": FIXED,
        "reason": FIXED,
        "error": LOOKED_INTO,
        "actor": PRINCIPAL,
        "note": LOOKED_INTO,
    },
    "jobs": {
        "kind": FIXED,
        "type": CATALOGUE,
        "status": FIXED,
        "reason": FIXED,
        "queue": OURS,
        "params": LOOKED_INTO,
        "dataset_versions": CATALOGUE,
        "upload": LOOKED_INTO,
        "label": LOOKED_INTO,
        "reuse_key": DIGEST,
        "deliveries": LOOKED_INTO,
        "outcome": LOOKED_INTO,
        "progress": FIXED,
        "error": LOOKED_INTO,
        "cancelled_by": PRINCIPAL,
        "cancel_reason": LOOKED_INTO,
        "deleted_by": PRINCIPAL,
        "request_id": LOOKED_INTO,
        "traceparent": "validated: hexadecimal numbers of a fixed length",
    },
    "organisations": {
        "name": "what the operator calls a customer of theirs, shown to all of its keys",
        "timezone": CLOCK,
        "currency": CLOCK,
        "contact_email": LOOKED_INTO,
        "cursor_key": SECRET,
    },
    "result_chunks": {"data": UNPACKED},
    "results": {"header": LOOKED_INTO, "manifest": LOOKED_INTO, "sha256": DIGEST},
    "schedule_occurrences": {"status": FIXED, "reason": FIXED, "detail": LOOKED_INTO},
    "schedules": {
        "name": LOOKED_INTO,
        "type": CATALOGUE,
        "params": LOOKED_INTO,
        "label": LOOKED_INTO,
        "cron": CLOCK,
        "timezone": CLOCK,
        "catch_up": FIXED,
        "overlap": FIXED,
        "deliveries": LOOKED_INTO,
        "alerts": LOOKED_INTO,
        "paused_by": PRINCIPAL,
        "pause_reason": FIXED,
        "pause_detail": LOOKED_INTO,
        "created_by": PRINCIPAL,
    },
    "tallies": {"name": FIXED, "label": OURS},
    "upkeep_runs": {"name": FIXED},
    "webhooks": {
        "url": LOOKED_INTO,
        "lane": LOOKED_INTO,
        "description": LOOKED_INTO,
        "events": FIXED,
        "secret": SECRET,
        "previous_secret": SECRET,
        "disabled_reason": LOOKED_INTO,
    },
}


def looked_into() -> set[tuple[str, str]]:
    return {
        (table, column)
        for table, columns in OF_TABLE.items()
        for column, decided in columns.items()
        if decided == LOOKED_INTO
    }
