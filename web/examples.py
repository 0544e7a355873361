"""Examples for the OpenAPI document. A test validates each against the model it illustrates."""

from collections.abc import Mapping
from typing import Any

from web import schemas
from web.problem_types import ProblemType

_JOB: Mapping[str, Any] = {
    "id": schemas.JOB_ID,
    "status": "running",
    "label": None,
    "priority": 5,
    "attempt": 1,
    "max_attempts": 3,
    "created_at": "2026-11-22T10:00:00.123456Z",
    "started_at": "2026-11-22T10:00:00.150000Z",
    "finished_at": None,
    "expires_at": None,
    "reused": False,
    "error": None,
    "cancellation": None,
}


def _links(collection: str, *further: str) -> dict[str, str | None]:
    here = f"/v1/{collection}/{schemas.JOB_ID}"
    return {
        "self": here,
        "result": f"{here}/result" if collection == "reports" else None,
        "cancel": f"{here}/cancel",
        "rerun": f"{here}/rerun",
        "events": f"{here}/events",
        **{name: f"{here}/{name}" for name in further},
    }


OF_MODEL: Mapping[str, Mapping[str, Any]] = {
    "ReportJob": {
        **_JOB,
        "kind": "report",
        "type": "rfm",
        "params": {"timezone": "Europe/London", "currency": "GBP", "bins": 5, "method": "quantile"},
        "progress": {"phase": "compute", "done": 3, "total": 5},
        "links": _links("reports", "rows", "manifest"),
    },
    "ImportJob": {
        **_JOB,
        "kind": "import",
        "type": "orders",
        "status": "succeeded",
        "finished_at": "2026-11-22T10:00:03.500000Z",
        "params": {"dataset": "orders", "mode": "upsert", "timezone": "Europe/London", "currency": "GBP"},
        "progress": None,
        "rows": {"read": 1000, "inserted": 990, "updated": 0, "unchanged": 0, "rejected": 10},
        "mapping": {"order_id": "InvoiceNo", "ordered_at": "InvoiceDate", "amount": "Total"},
        "dataset_version": 4,
        "warnings": [],
        "links": _links("imports", "rejects"),
    },
    "PreviewJob": {
        **_JOB,
        "kind": "preview",
        "type": "auto",
        "status": "succeeded",
        "finished_at": "2026-11-22T10:00:01.250000Z",
        "params": {"dataset": None, "mode": "upsert", "timezone": "Europe/London", "currency": "GBP"},
        "progress": None,
        "preview": {
            "ready": False,
            "dataset": {
                "chosen": "orders",
                "how": "guessed",
                "candidates": [
                    {"dataset": "orders", "confidence": 0.92, "why": "it has order_id, customer_id …", "missing": []}
                ],
            },
            "mapping": [
                {
                    "header": "Order Date",
                    "column": "ordered_at",
                    "how": "usual-name",
                    "type": "timestamp",
                    "confidence": 0.9,
                    "samples": ["03/04/2026", "05/06/2026"],
                    "empty": 0.0,
                }
            ],
            "unmapped": [{"column": "channel", "required": False, "description": "Where it was sold"}],
            "columns": [{"name": "order_id", "type": "text"}, {"name": "ordered_at", "type": "timestamp"}],
            "rows": [["1001", "2026-04-02T23:00:00Z"]],
            "counts": {"read": 2, "inserted": 2, "updated": 0, "unchanged": 0, "rejected": 0},
            "rejects": [],
            "questions": [
                {
                    "code": "ambiguous-date-order",
                    "parameter": "date_format",
                    "column": None,
                    "header": "Order Date",
                    "detail": "In the column 'Order Date' day and month could be either way round, as in '03/04/2026'.",
                    "choices": [
                        {
                            "value": "DMY",
                            "means": "the day comes first",
                            "example": "'03/04/2026' is day 03 of month 04",
                        },
                        {
                            "value": "MDY",
                            "means": "the month comes first",
                            "example": "'03/04/2026' is day 04 of month 03",
                        },
                    ],
                    "assumed": "DMY",
                    "goes_on": True,
                }
            ],
            "facts": {"format": "csv", "encoding": "utf-8", "delimiter": ",", "decimal": "."},
            "warnings": [],
            "next": {
                "method": "POST",
                "path": f"/v1/imports?upload={schemas.JOB_ID}&dataset=orders&date_format=DMY",
                "command": "reckoner import orders.csv --as orders --date-format DMY",
            },
        },
        "links": {
            "self": f"/v1/jobs/{schemas.JOB_ID}",
            "result": None,
            "cancel": f"/v1/jobs/{schemas.JOB_ID}/cancel",
            "rerun": f"/v1/jobs/{schemas.JOB_ID}/rerun",
            "events": f"/v1/jobs/{schemas.JOB_ID}/events",
        },
    },
    "ReportRequest": {"type": "rfm", "params": {"bins": 5}, "label": "Board meeting", "priority": 7},
    "CancelRequest": {"reason": "Asked for the wrong year"},
    "Cancellation": {
        "by": "key rk_3kQ9xPz",
        "reason": "Asked for the wrong year",
        "requested_at": "2026-11-22T10:00:02.250000Z",
    },
    "DryRun": {
        "type": "rfm",
        "version": 1,
        "params": {"timezone": "Europe/London", "currency": "GBP", "bins": 5, "method": "quantile"},
        "datasets": {"orders": {"version": 4, "rows": 18532}},
        "rows": 18532,
        "reused": False,
        "job": None,
    },
}


def problem(kind: ProblemType) -> dict[str, Any]:
    """Return what a problem of this kind looks like."""
    return {
        "type": kind.uri,
        "title": kind.title,
        "status": kind.status,
        "detail": kind.remedy,
        "request_id": "5f0c7c1e8a4b4c0f9a54d0a1b2c3d4e5",
        "errors": [],
    }
