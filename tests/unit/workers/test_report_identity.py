"""What makes two reports the same one."""

import dataclasses
import json
import uuid
from typing import Any

import pytest

from analytics.catalogue import registry
from workers import report_identity

ORGANISATION = uuid.UUID(int=1)
PINS = {"orders": 3, "customers": 1}

THRESHOLDS = {"recency": [30, 60], "frequency": [2, 5.0], "monetary": [0.1, 1e25]}
PARAMS: dict[str, list[dict[str, Any]]] = {
    "rfm": [{}, {"bins": 4}, {"method": "fixed", "bins": 3, "thresholds": THRESHOLDS}],
    "revenue_trend": [{}, {"start": "2026-01-01"}, {"filter": {"column": "amount", "op": "ge", "value": 0.1}}],
    "clv": [{}, {"discount_rate": 1e-7}],
}


def key(name: str, raw: dict[str, Any], pins: dict[str, int] = PINS) -> bytes:
    kind = registry.REPORT_TYPES[name]
    return report_identity.key(ORGANISATION, kind, kind.parse_params(raw, timezone="UTC", currency="GBP"), pins)


def _as_jsonb_reads(text: str) -> int | float:
    """PostgreSQL keeps numbers exactly, and writes a large one without an exponent."""
    return int(float(text)) if "e+" in text else float(text)


@pytest.mark.parametrize(("name", "raw"), [(name, raw) for name, several in PARAMS.items() for raw in several])
def test_a_worker_that_reads_the_job_comes_to_the_same_key(name: str, raw: dict[str, Any]) -> None:
    kind = registry.REPORT_TYPES[name]
    params = kind.parse_params(raw, timezone="UTC", currency="GBP")
    text = json.dumps(params.model_dump(mode="json"), sort_keys=True)
    kept = json.loads(text, parse_float=_as_jsonb_reads)
    read = kind.params.model_validate(kept)
    assert report_identity.key(ORGANISATION, kind, read, dict(reversed(PINS.items()))) == key(name, raw)


def test_every_part_of_the_question_counts() -> None:
    kind = registry.REPORT_TYPES["rfm"]
    params = kind.parse_params({}, timezone="UTC", currency="GBP")
    keys = {
        key("rfm", {}),
        key("rfm", {"bins": 4}),
        key("revenue_trend", {}),
        key("rfm", {}, {"orders": 4, "customers": 1}),
        key("rfm", {}, {"orders": 3}),
        report_identity.key(uuid.UUID(int=2), kind, params, PINS),
        report_identity.key(ORGANISATION, dataclasses.replace(kind, version=kind.version + 1), params, PINS),
        report_identity.key(ORGANISATION, kind, kind.parse_params({}, timezone="UTC", currency="EUR"), PINS),
    }
    assert len(keys) == 8


def test_a_default_that_is_written_out_is_the_same_question() -> None:
    assert key("rfm", {"bins": 5, "timezone": "UTC"}) == key("rfm", {})
