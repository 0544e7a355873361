"""Parameters: what is refused and where, what is filled in, and that equal questions are equal JSON."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pydantic
import pytest

from analytics.catalogue import columns, parameters, registry, rfm_segments

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("pandas", "numpy", "duckdb", "ibis", "scipy", "pyarrow", "deltalake", "altair")


def _parse(raw: dict[str, Any], kind: str = "rfm") -> Any:
    return registry.REPORT_TYPES[kind].parse_params(raw, timezone="Europe/London", currency="GBP")


def _leaf(**rest: Any) -> dict[str, Any]:
    return {"column": "amount", "op": "gt", "value": 1, **rest}


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        ({"binz": 5}, ("binz",)),
        ({"bins": 1}, ("bins",)),
        ({"timezone": "Mars/Olympus"}, ("timezone",)),
        ({"timezone": "../../etc/passwd"}, ("timezone",)),
        ({"timezone": "localtime"}, ("timezone",)),
        ({"currency": "pounds"}, ("currency",)),
        ({"refunds": "never"}, ("refunds",)),
        ({"as_of": "soon"}, ("as_of",)),
        ({"as_of": 1700000000}, ("as_of",)),
        ({"start": "2024-02-01", "end": "2024-02-01"}, ("end",)),
        ({"start": "2024-02-01", "as_of": "2024-01-31T23:00:00Z"}, ("as_of",)),
        ({"segment_by": ["a", "a"]}, ("segment_by",)),
        ({"segment_by": [""]}, ("segment_by", 0)),
        ({"method": "fixed"}, ("thresholds",)),
        ({"thresholds": {"recency": [1], "frequency": [1], "monetary": [1]}}, ("thresholds",)),
        ({"filter": {}}, ("filter",)),
        ({"filter": {"or": []}}, ("filter",)),
        ({"filter": {"and": [_leaf()], "or": [_leaf()]}}, ("filter",)),
        ({"filter": {"column": "a", "op": "gt"}}, ("filter",)),
        ({"filter": {"and": [_leaf(), _leaf(op="like")]}}, ("filter", "and", 1, "op")),
        ({"filter": {"not": _leaf(extra=1)}}, ("filter", "not", "extra")),
        ({"filter": {"or": [_leaf(op="in", value=3)]}}, ("filter", "or", 0, "value")),
        ({"filter": _leaf(op="between", value=[1])}, ("filter", "value")),
        ({"filter": _leaf(op="is_null", value="yes")}, ("filter", "value")),
        ({"filter": _leaf(op="contains", value=3)}, ("filter", "value")),
        ({"filter": _leaf(value=None)}, ("filter", "value")),
        ({"filter": _leaf(value=float("nan"))}, ("filter", "value")),
        ({"filter": {"and": [_leaf()] * 101}}, ("filter",)),
    ],
)
def test_an_error_says_where(raw: dict[str, Any], pointer: tuple[str | int, ...]) -> None:
    with pytest.raises(pydantic.ValidationError) as error:
        _parse(raw)
    assert [found["loc"] for found in error.value.errors()] == [pointer]


def test_depth_is_bounded_before_anything_recurses() -> None:
    tree = _leaf()
    for _ in range(7):
        tree = {"not": tree}
    assert _parse({"filter": tree}).filter is not None
    with pytest.raises(pydantic.ValidationError, match="more than 8 deep"):
        _parse({"filter": {"not": tree}})
    for _ in range(5_000):
        tree = {"not": tree}
    with pytest.raises(pydantic.ValidationError, match="more than 8 deep"):
        _parse({"filter": tree})


# What a type cannot do without; everything else has a default.
NEEDED = {"aggregate": {"dataset": "orders", "measures": [{"op": "count"}]}}
UNSEGMENTED = {"data_quality"}


@pytest.mark.parametrize("kind", sorted(registry.REPORT_TYPES))
def test_canonical_parameters_parse_to_themselves(kind: str) -> None:
    raw = NEEDED.get(kind, {}) | {
        "filter": {"and": [_leaf(op="in", value=["1", "2"]), {"not": _leaf(op="is_null", value=True)}]},
        "as_of": "2024-03-01T01:00:00+01:00",
        "start": "2024-01-01",
        "currency": "eur",
        "segment_by": [] if kind in UNSEGMENTED else ["country"],
    }
    params = _parse(raw, kind)
    dumped = params.model_dump(mode="json")
    assert dumped["as_of"] == "2024-03-01T00:00:00Z"
    assert (dumped["start"], dumped["currency"], dumped["timezone"]) == ("2024-01-01", "EUR", "Europe/London")
    assert dumped["filter"] == raw["filter"]
    assert _parse(json.loads(json.dumps(dumped)), kind).model_dump(mode="json") == dumped


def test_local_moments_are_in_the_zone_of_the_report() -> None:
    params = _parse({"start": "2024-07-01", "end": "2024-07-02T00:00:00", "timezone": "Europe/London"})
    assert params.instant_of(params.start).isoformat() == "2024-06-30T23:00:00+00:00"
    assert params.instant_of(params.end).isoformat() == "2024-07-01T23:00:00+00:00"
    assert parameters.instant(params.start, "UTC").isoformat() == "2024-07-01T00:00:00+00:00"


@pytest.mark.parametrize("kind", sorted(registry.REPORT_TYPES))
def test_every_type_describes_itself(kind: str) -> None:
    described = registry.REPORT_TYPES[kind]
    schema = described.params.model_json_schema()
    assert described.name == kind
    assert set(schema.get("required", [])) == set(NEEDED.get(kind, {}))
    assert all(field.get("description") for field in schema["properties"].values()), schema["properties"]
    assert len(described.definition) > 200
    assert described.source
    assert any(column.key for column in described.columns) or kind == "aggregate"
    assert len({column.name for column in described.columns}) == len(described.columns)
    money = [column for column in described.columns if column.type is columns.ColumnType.DECIMAL]
    assert {column.unit for column in money} <= {"currency"}


def test_segments_cover_the_grid_and_each_has_a_meaning() -> None:
    names = {rfm_segments.segment(r, fm) for r in range(1, 6) for fm in range(1, 6)}
    assert names == set(rfm_segments.MEANINGS)
    assert rfm_segments.segment(5, 5) == "champions"
    assert rfm_segments.segment(1, 1) == "lost"


def test_the_catalogue_is_light() -> None:
    """The web reads the catalogue, so importing it must not load what only workers need."""
    script = f"import sys, analytics.catalogue.registry; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
