"""Two runs of a report beside one another: rows by key, cell by cell; summary and parameters by path."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from analytics.render import chunks, differences

COLUMNS = [
    {"name": "day", "type": "date", "key": True},
    {"name": "who", "type": "text", "key": True},
    {"name": "n", "type": "integer"},
    {"name": "amount", "type": "decimal"},
    {"name": "rate", "type": "number"},
]
SCHEMA = pa.schema(
    [
        ("day", pa.date32()),
        ("who", pa.string()),
        ("n", pa.int64()),
        ("amount", pa.decimal128(38, 8)),
        ("rate", pa.float64()),
    ]
)
DAY = dt.date(2024, 2, 29)
Row = tuple[dt.date, str | None, int | None, str | None, float | None]


def side(folder: Path, rows: list[Row], **more: Any) -> differences.Side:
    folder.mkdir(exist_ok=True)
    cells = zip(*rows, strict=True) if rows else [()] * len(SCHEMA)
    values = [list(column) for column in cells]
    values[3] = [None if value is None else Decimal(value) for value in values[3]]
    table = pa.table(
        [pa.array(column, field.type) for column, field in zip(values, SCHEMA, strict=True)], schema=SCHEMA
    )
    pieces = []
    for position, piece in enumerate(chunks.encode(table, 2)):
        pieces.append(folder / f"{position}.chunk")
        pieces[-1].write_bytes(piece.data)
    return differences.Side({"type": "t", "columns": COLUMNS, "summary": {}, "params": {}, **more}, pieces)


def compare(folder: Path, this: differences.Side, against: differences.Side, limit: int = 100) -> dict[str, Any]:
    return differences.compare(this, against, limit=limit, spill=folder / "spill")


def test_the_same_result_has_no_changes(tmp_path: Path) -> None:
    rows: list[Row] = [(DAY, "a", 1, "1.5", 0.1), (DAY, None, None, None, None)]
    found = compare(tmp_path, side(tmp_path / "this", rows), side(tmp_path / "against", rows))
    assert found["rows"] == {"added": 0, "removed": 0, "changed": 0, "unchanged": 2}
    assert (found["changes"], found["summary"], found["params"]) == ([], [], [])
    assert found["key"] == ["day", "who"]


def test_rows_are_matched_by_key_whatever_their_order(tmp_path: Path) -> None:
    before: list[Row] = [(DAY, "a", 1, "1.5", 0.1), (DAY, "b", 2, "2", 0.2), (DAY, None, 3, "3", None)]
    now: list[Row] = [(DAY, None, 3, "3.00000001", None), (DAY, "c", 5, "5", 0.5), (DAY, "a", 1, "1.5", 0.1)]
    found = compare(tmp_path, side(tmp_path / "this", now), side(tmp_path / "against", before))
    assert found["rows"] == {"added": 1, "removed": 1, "changed": 1, "unchanged": 1}
    assert found["changes"] == [
        {
            "change": "removed",
            "key": {"day": "2024-02-29", "who": "b"},
            "values": {
                "n": {"this": None, "against": 2},
                "amount": {"this": None, "against": "2.00"},
                "rate": {"this": None, "against": 0.2},
            },
        },
        {
            "change": "added",
            "key": {"day": "2024-02-29", "who": "c"},
            "values": {
                "n": {"this": 5, "against": None},
                "amount": {"this": "5.00", "against": None},
                "rate": {"this": 0.5, "against": None},
            },
        },
        {
            "change": "changed",
            "key": {"day": "2024-02-29", "who": None},
            "values": {"amount": {"this": "3.00000001", "against": "3.00"}},
        },
    ]


def test_no_more_than_asked_for_and_all_are_counted(tmp_path: Path) -> None:
    now: list[Row] = [(DAY, f"c{number:03}", number, None, None) for number in range(50)]
    found = compare(tmp_path, side(tmp_path / "this", now), side(tmp_path / "against", []), limit=3)
    assert found["rows"]["added"] == 50
    assert [change["key"]["who"] for change in found["changes"]] == ["c000", "c001", "c002"]
    assert found["shown"] == 3


def test_summary_and_parameters_are_compared_by_path(tmp_path: Path) -> None:
    this = side(tmp_path / "this", [], summary={"a/b": {"n": 1}, "list": [1, 2]}, params={"bins": 5})
    against = side(tmp_path / "against", [], summary={"a/b": {"n": 2}, "list": [1]}, params={"bins": 5, "x": None})
    found = compare(tmp_path, this, against)
    assert found["summary"] == [
        {"path": "/a~1b/n", "this": 1, "against": 2},
        {"path": "/list/1", "this": 2, "against": None},
    ]
    assert found["params"] == [{"path": "/x", "this": None, "against": None}]


def test_columns_that_only_one_has_are_named_and_others_compared(tmp_path: Path) -> None:
    rows: list[Row] = [(DAY, "a", 1, "1", 0.1)]
    this = side(tmp_path / "this", rows, columns=[*COLUMNS[:4]])
    against = side(tmp_path / "against", rows, columns=[*COLUMNS[:2], {"name": "n", "type": "number"}, COLUMNS[4]])
    found = compare(tmp_path, this, against)
    assert (found["columns_added"], found["columns_removed"]) == (["amount"], ["rate"])
    # What one calls an integer and the other a number is compared as it is written.
    assert found["rows"]["unchanged"] == 1


def test_rows_without_a_key_cannot_be_compared(tmp_path: Path) -> None:
    keyless = side(tmp_path / "this", [], columns=[{"name": "n", "type": "integer"}])
    with pytest.raises(differences.NoKeyError):
        compare(tmp_path, keyless, keyless)
