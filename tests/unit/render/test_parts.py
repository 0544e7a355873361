"""Which rows of a result a filter lets through, exactly; and what comes with them."""

import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics.catalogue import row_filters
from analytics.render import chunks, parts

ROWS = pa.table(
    {
        "name": ["ada", "grace", "mary", None],
        "money": pa.array(
            [Decimal("0.1"), Decimal("0.3"), Decimal("12345678901234567890.01"), None], pa.decimal128(38, 8)
        ),
        "count": [1, 2, 3, None],
        "rate": [0.5, float("nan"), 1.5, None],
        "good": [True, False, True, None],
        "day": [date(2026, 1, 1), date(2026, 6, 1), date(2026, 12, 1), None],
        "at": pa.array(
            [datetime(2026, 6, day, 23, 30, tzinfo=UTC) for day in (1, 2, 3)] + [None], pa.timestamp("us", "UTC")
        ),
    }
)
TYPES = ("text", "decimal", "integer", "number", "boolean", "date", "timestamp")
WHOLE: dict[str, Any] = {
    "type": "rfm",
    "params": {"timezone": "Europe/London"},
    "columns": [{"name": name, "type": kind} for name, kind in zip(ROWS.column_names, TYPES, strict=True)],
    "summary": {},
}


def _leaf(column: str, op: str, value: Any) -> dict[str, Any]:
    return {"column": column, "op": op, "value": value}


def _found(node: dict[str, Any]) -> list[str | None]:
    stored = [piece.data for piece in chunks.encode(ROWS, rows_per_chunk=2)]
    part = parts.of(stored, node, WHOLE)
    found = [name for piece in part.pieces for name in chunks.decode(piece)["name"].to_pylist()]
    assert part.row_count == part.header["row_count"] == len(found)
    return found


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (_leaf("name", "eq", "ada"), ["ada"]),
        (_leaf("name", "ne", "ada"), ["grace", "mary", None]),
        (_leaf("name", "in", ["ada", "mary"]), ["ada", "mary"]),
        (_leaf("name", "not_in", ["ada", "mary"]), ["grace", None]),
        (_leaf("name", "contains", "ar"), ["mary"]),
        (_leaf("name", "starts_with", "gr"), ["grace"]),
        (_leaf("name", "is_null", True), [None]),
        (_leaf("name", "is_null", False), ["ada", "grace", "mary"]),
        (_leaf("money", "eq", "12345678901234567890.01"), ["mary"]),
        (_leaf("money", "eq", "12345678901234567890.02"), []),
        (_leaf("money", "eq", 0.1), ["ada"]),
        (_leaf("money", "gt", "0.29999999999999999999"), ["grace", "mary"]),
        (_leaf("count", "between", [1, "2"]), ["ada", "grace"]),
        (_leaf("count", "in", ["3", 9]), ["mary"]),
        (_leaf("rate", "ge", 0.5), ["ada", "mary"]),
        (_leaf("rate", "is_null", True), ["grace", None]),
        (_leaf("good", "eq", True), ["ada", "mary"]),
        (_leaf("day", "le", "2026-06-01"), ["ada", "grace"]),
        # Midnight in London is an hour earlier in summer.
        (_leaf("at", "ge", "2026-06-03"), ["grace", "mary"]),
        (_leaf("at", "lt", "2026-06-02T23:30:00Z"), ["ada"]),
        ({"not": _leaf("count", "gt", 1)}, ["ada", None]),
        ({"and": [_leaf("count", "gt", 1), _leaf("good", "eq", True)]}, ["mary"]),
        ({"or": [_leaf("count", "gt", 2), _leaf("name", "eq", "ada")]}, ["ada", "mary"]),
    ],
)
def test_a_filter_lets_through_what_it_says_in_the_order_there_was(
    node: dict[str, Any], expected: list[str | None]
) -> None:
    assert _found(node) == expected


@pytest.mark.parametrize(
    ("node", "path"),
    [
        (_leaf("nothing", "eq", 1), "nothing"),
        (_leaf("good", "eq", "true"), "good"),
        (_leaf("name", "eq", 1), "name"),
        (_leaf("count", "eq", True), "count"),
        (_leaf("count", "contains", "1"), "count"),
        (_leaf("money", "lt", "NaN"), "money"),
        (_leaf("day", "eq", "June"), "day"),
    ],
)
def test_what_does_not_suit_the_rows_lets_nothing_through(node: dict[str, Any], path: str) -> None:
    with pytest.raises(row_filters.UnfitError, match=path):
        _found({"or": [_leaf("count", "gt", 0), node]})


def test_columns_named_by_values_are_not_shared_out() -> None:
    with pytest.raises(row_filters.UnfitError, match="pivot"):
        parts.of([], _leaf("name", "eq", "ada"), {**WHOLE, "params": {"pivot": "name"}})


def test_no_dictionary_goes_with_the_rows() -> None:
    names = pa.array(["ada", "grace"] * 20).dictionary_encode()
    stored = [piece.data for piece in chunks.encode(pa.table({"name": names}))]
    columns = [{"name": "name", "type": "text"}]
    part = parts.of(stored, _leaf("name", "eq", "ada"), {**WHOLE, "columns": columns})
    [piece] = part.pieces
    [kept] = pq.read_table(io.BytesIO(piece), read_dictionary=["name"])["name"].chunks
    assert kept.dictionary.to_pylist() == ["ada"]
