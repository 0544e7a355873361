"""What surrounds the rows of a result: its header, its fingerprint, and the record of how it was made. No clock."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Any

from analytics import result
from analytics.catalogue import columns, report_type
from analytics.render import as_json

# Where the record is kept and the words of the catalogue may change without any number changing.
_VOLATILE = frozenset({"manifest", "title", "definition", "source"})
_ENGINE = ("duckdb", "ibis-framework", "pyarrow", "numpy")


def describe_columns(described: Iterable[columns.Column]) -> list[dict[str, Any]]:
    """Return columns as JSON objects: name, type, unit, description."""
    return [
        {"name": column.name, "type": str(column.type), "unit": column.unit, "description": column.description}
        | ({"key": True} if column.key else {})
        for column in described
    ]


def header(
    answer: result.Result, kind: report_type.ReportType, *, params: Mapping[str, Any], manifest: str | None = None
) -> dict[str, Any]:
    """Return all of a result but its rows, as JSON values. `manifest` is a link, and may be filled in later."""
    return {
        "type": kind.name,
        "version": kind.version,
        "title": kind.title,
        "definition": kind.definition,
        "source": kind.source,
        "params": dict(params),
        "columns": describe_columns(answer.columns),
        "row_count": answer.rows.num_rows,
        "summary": as_json.finite(answer.summary),
        "charts": [{"title": chart.title, "spec": as_json.finite(chart.spec)} for chart in answer.charts],
        "warnings": [dataclasses.asdict(warning) for warning in answer.warnings],
        "dropped": dict(answer.dropped),
        "invariants": [dataclasses.asdict(invariant) for invariant in answer.invariants],
        "manifest": manifest,
    }


class Digest:
    """SHA-256 of a result: its header without what may change harmlessly, then every chunk in order."""

    def __init__(self, head: Mapping[str, Any]) -> None:
        lasting = {name: value for name, value in head.items() if name not in _VOLATILE}
        self._hash = hashlib.sha256(canonical_json(lasting))

    def add(self, chunk: bytes) -> None:
        self._hash.update(len(chunk).to_bytes(8, "big"))
        self._hash.update(chunk)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def digest(head: Mapping[str, Any], chunks: Iterable[bytes]) -> str:
    """Return the SHA-256 of a header and its chunks."""
    whole = Digest(head)
    for chunk in chunks:
        whole.add(chunk)
    return whole.hexdigest()


def canonical_json(value: Any) -> bytes:
    """Return the one way to write a JSON value: sorted names, no spaces, UTF-8, nothing that is not finite."""
    return json.dumps(
        as_json.finite(value), sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    ).encode()


def manifest(
    head: Mapping[str, Any], answer: result.Result, *, datasets: Mapping[str, Mapping[str, int]], sha256: str
) -> dict[str, Any]:
    """Return how a number was made; times and attempts are the job's and are added by whoever keeps it.

    `datasets` gives, by name, the `version` that was opened and the `rows` it has.
    """
    return {
        "type": head["type"],
        "version": head["version"],
        "params": head["params"],
        "datasets": {
            name: {**facts, "rows_read": answer.rows_read.get(name)} for name, facts in sorted(datasets.items())
        },
        "row_count": head["row_count"],
        "dropped": head["dropped"],
        "invariants": head["invariants"],
        "warnings": head["warnings"],
        "engine": engine(),
        "sha256": sha256,
    }


def engine() -> dict[str, str]:
    """Return what computes, with versions."""
    return {name: metadata.version(name) for name in _ENGINE}
