"""Examples of what is sent to each operation and of what it answers, for the OpenAPI document.

The answers, in `answers.json`, are those of a real server. A test validates each against its schema.
"""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from web import alert_schemas, event_operations, schedule_schemas, schemas

ANSWERS = Path(__file__).with_name("answers.json")
UUID_KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324"
CSV = "order_id,customer_id,ordered_at,amount\n1001,ann,2026-01-02,10.50\n1002,ben,2026-02-03,20.00\n"

PATH: Mapping[str, Any] = {
    "job_id": schemas.JOB_ID,
    "schedule_id": schedule_schemas.SCHEDULE_ID,
    "webhook_id": "0198c2f0-8c03-7f61-9d0e-2b7a64c1f5e8",
    "delivery_id": "0198c2f0-8d44-7a12-8f3b-90c6e2d7a1b4",
    "token": "A".ljust(99, "x"),
    "key_id": "0198c2f0-8e15-7b93-a4c7-61f0d8e3b2a5",
    "customer_id": "17850",
    "version": 1,
}
QUERY: Mapping[str, Any] = {
    "against": "0198c2f0-8f26-7c04-b5d8-72a1e9f4c3b6",
    "channel": "webhook",
    "chart": 0,
    "created_after": "2026-11-01T00:00:00Z",
    "created_before": "2026-12-01T00:00:00Z",
    "currency": "GBP",
    "cursor": "AZjC8HoefFWdKz9sHQpOIWk3Xf0b",
    "dataset": "orders",
    "date_format": "DMY",
    "decimal": ".",
    "dry_run": True,
    "format": "csv",
    "job_id": schemas.JOB_ID,
    "kind": "report",
    "last_event_id": "4711",
    "limit": 25,
    "mapping": {"order_id": "InvoiceNo", "ordered_at": "InvoiceDate"},
    "max_rejects": 0.05,
    "mode": "upsert",
    "n": 5,
    "name": "Monthly RFM for the board",
    "null_values": ["n/a", "-"],
    "only": "failed",
    "paused": False,
    "pinned": True,
    "priority": 5,
    "refund_pattern": "^C",
    "schedule_id": schedule_schemas.SCHEDULE_ID,
    "sheet": "Orders",
    "since": "2026-11-22T10:00:00Z",
    "timezone": "Europe/London",
    "type": "rfm",
    "upload": schemas.JOB_ID,
    "wait": 10,
    "webhook_id": "0198c2f0-8c03-7f61-9d0e-2b7a64c1f5e8",
}
# Where a name means something else than it does elsewhere.
QUERY_OF: Mapping[tuple[str, str], Any] = {
    ("list_schedules", "type"): "rfm",
    ("list_imports", "type"): "orders",
    ("list_occurrences", "status"): "fired",
    ("list_alert_changes", "name"): "A country collapses",
    ("list_webhook_deliveries", "status"): "failed",
    ("list_deliveries", "status"): "failed",
    ("list_reports", "status"): "succeeded",
    ("list_imports", "status"): "succeeded",
    ("list_jobs", "status"): "succeeded",
}
HEADER: Mapping[str, Any] = {
    "X-Request-Id": "nightly-sync-2026-11-22",
    "Prefer": "wait=10",
    "Idempotency-Key": UUID_KEY,
    "If-Match": '"3"',
    "If-None-Match": '"7f83b1657ff1fc53b92dc18148a1d65dfc2d4b1fa3d677284addd200126d9069-csv"',
    "If-Range": '"7f83b1657ff1fc53b92dc18148a1d65dfc2d4b1fa3d677284addd200126d9069-csv"',
    "Range": "bytes=1048576-",
    "Accept-Encoding": "zstd, gzip",
    "Last-Event-ID": "4711",
}
BURST: Mapping[str, Any] = {
    "channel": "email",
    "formats": ["xlsx"],
    "burst": {"column": "segment", "recipients": {"Champions": ["ada@example.com"], "Lost": ["grace@example.com"]}},
}
BODY: Mapping[str, Any] = {
    "submit_report": {"type": "rfm", "params": {"bins": 5}, "label": "Board meeting"},
    "restore_dataset": {"version": 0},
    "create_api_key": {"name": "nightly sync", "scopes": ["reports:read", "datasets:write"]},
    "change_api_key": {"name": "nightly sync"},
    "rotate_api_key": {"overlap_seconds": 3600},
    "create_schedule": schedule_schemas.EXAMPLE,
    "preview_new_schedule": schedule_schemas.EXAMPLE,
    "change_schedule": {"cron": "0 7 * * MON", "label": None},
    "pause_schedule": {"reason": "The board meets in March again"},
    "preview_report_deliveries": {"deliveries": [BURST]},
    "preview_schedule_deliveries": {"deliveries": [BURST]},
    "preview_alerts": {"alerts": [alert_schemas.EXAMPLE]},
    "run_schedule": {"due_at": "2026-11-01T06:00:00Z"},
    "create_webhook": {"url": "https://example.com/hook", "events": ["report.*", "import.failed"]},
    "change_webhook": {"description": "Data warehouse"},
    "rotate_webhook_secret": {"overlap_seconds": 3600},
}
CANCEL = {"reason": "Asked for the wrong year"}
FILES: Mapping[str, Any] = {
    "text/csv": CSV,
    "text/tab-separated-values": CSV.replace(",", "\t"),
    "application/x-ndjson": '{"order_id": "1001", "customer_id": "ann", "ordered_at": "2026-01-02", "amount": "10.50"}\n',
    "application/json": [{"order_id": "1001", "customer_id": "ann", "ordered_at": "2026-01-02", "amount": "10.50"}],
    "multipart/form-data": {"file": CSV},
    "application/octet-stream": CSV,
}
RESULT: Mapping[str, Any] = {
    "application/json": {
        "type": "revenue_trend",
        "version": 1,
        "columns": [
            {"name": "period", "type": "date", "unit": None, "description": "First day of the period"},
            {"name": "revenue", "type": "decimal", "unit": "GBP", "description": "What customers paid, less refunds"},
        ],
        "rows": [["2026-01-01", "10.50"], ["2026-02-01", "27.25"]],
        "row_count": 2,
        "summary": {"revenue": "37.75"},
        "charts": [],
        "warnings": [],
        "dropped": {},
        "invariants": [{"name": "revenue-is-kept", "holds": True, "detail": "37.75 in the orders, 37.75 in the rows"}],
        "manifest": f"/v1/reports/{schemas.JOB_ID}/manifest",
    },
    "application/x-ndjson": '{"period":"2026-01-01","revenue":"10.50"}\n{"period":"2026-02-01","revenue":"27.25"}\n',
    "text/csv": "period,revenue\n2026-01-01,10.50\n2026-02-01,27.25\n",
    "text/html": "<!doctype html><title>Revenue trend</title>…",
    "image/svg+xml": '<svg xmlns="http://www.w3.org/2000/svg">…</svg>',
}
_REJECT = {"line": 5, "column": "amount", "code": "not-a-number", "value": "never"}
REJECTS: Mapping[str, Any] = {
    "text/csv": "line,column,code,value\n5,amount,not-a-number,never\n",
    "application/json": [_REJECT],
    "application/x-ndjson": json.dumps(_REJECT) + "\n",
    "text/comma-separated-values": "order_id,customer_id,ordered_at,amount\n4,eve,2026-03-01,never\n",
}
METRICS = '# TYPE reckoner_jobs gauge\nreckoner_jobs{queue="reports",status="running"} 2.0\n'


def parameter(operation: str, where: str, name: str) -> Any:
    """Return the example of a parameter; None where there is none."""
    if where == "path":
        return {"get_report_type": "rfm"}.get(operation, "orders") if name == "name" else PATH.get(name)
    if where == "header":
        return HEADER.get(name)
    return QUERY_OF.get((operation, name), QUERY.get(name))


def body(operation: str) -> Any:
    return CANCEL if operation.startswith("cancel_") else BODY.get(operation)


def answer(operation: str, status: int, media_type: str) -> Any:
    """Return the example of an answer's body; None where it is a file that no text can show."""
    if operation in {"get_result", "download", "get_rejects"}:
        return (REJECTS if operation == "get_rejects" else RESULT).get(media_type)
    if media_type == "text/event-stream":
        return event_operations.EXAMPLE
    if operation == "metrics":
        return METRICS
    if operation == "openapi":
        return {"openapi": "3.1.0", "info": {"title": "Reckoner", "version": "1"}, "paths": {}}
    return _answers()[operation][str(status)]


@functools.cache
def _answers() -> Mapping[str, Mapping[str, Any]]:
    """Read what was answered. Operations with the same answer have it once."""
    recorded: dict[str, dict[str, Any]] = json.loads(ANSWERS.read_text(encoding="utf-8"))
    for one, (operation, status) in _SAME.items():
        recorded.setdefault(one[0], {}).setdefault(one[1], recorded[operation][status])
    return recorded


_SAME: Mapping[tuple[str, str], tuple[str, str]] = {
    **{
        (f"cancel_{kind}", status): (f"get_{kind}", "200")
        for kind in ("report", "import", "job")
        for status in ("200", "202")
    },
    ("rerun_report", "200"): ("get_report", "200"),
    ("rerun_import", "200"): ("get_import", "200"),
    ("rerun_job", "200"): ("get_report", "200"),
    ("rerun_job", "202"): ("rerun_report", "202"),
    ("run_schedule", "200"): ("get_report", "200"),
    ("submit_import", "200"): ("get_import", "200"),
    ("preview_import", "202"): ("preview_import", "200"),
    ("test_webhook", "202"): ("test_webhook", "200"),
    ("restore_dataset", "202"): ("restore_dataset", "202"),
    ("delete_delivery", "200"): ("delete_webhook", "200"),
    ("preview_report_deliveries", "200"): ("preview_schedule_deliveries", "200"),
    ("readyz", "503"): ("readyz", "200"),
}
