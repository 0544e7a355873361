"""One reading for many filters: each gets what it would get alone, to the byte, and what nobody gets is counted."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from analytics.catalogue.filters import Filter
from analytics.render import chunks, parts, shares

COUNT = 130_000
ROWS = pa.table(
    {"owner": [f"owner {number % 3}" if number % 100 else None for number in range(COUNT)], "n": range(COUNT)}
)
WHOLE: dict[str, Any] = {
    "type": "rfm",
    "params": {},
    "columns": [{"name": "owner", "type": "text"}, {"name": "n", "type": "integer"}],
}


def _leaf(column: str, op: str, value: Any) -> dict[str, Any]:
    return {"column": column, "op": op, "value": value}


FILTERS = [
    _leaf("owner", "eq", "owner 1"),
    _leaf("n", "ge", 0),
    _leaf("owner", "eq", "nobody"),
    _leaf("owner", "not_in", ["owner 0", "owner 1"]),
]


@pytest.fixture(scope="module")
def stored() -> list[bytes]:
    return [piece.data for piece in chunks.encode(ROWS, rows_per_chunk=20_000)]


def _shared(stored: list[bytes], nodes: list[Filter], folder: Path) -> list[tuple[int, list[bytes]]]:
    folder.mkdir()
    return [(spool.row_count, list(spool.pieces())) for spool in shares.share_out(stored, nodes, WHOLE, folder)]


def test_a_share_is_the_same_whoever_else_has_one(stored: list[bytes], tmp_path: Path) -> None:
    nodes = [parts.fitting(raw, WHOLE) for raw in FILTERS]
    together = _shared(stored, nodes, tmp_path / "together")
    alone = [found for number, node in enumerate(nodes) for found in _shared(stored, [node], tmp_path / str(number))]
    assert together == alone
    for (count, pieces), raw in zip(together, FILTERS, strict=True):
        expected = parts.of(stored, raw, WHOLE)
        tables = [chunks.decode(piece) for piece in pieces]
        assert count == expected.row_count
        assert [row for table in tables for row in table["n"].to_pylist()] == [
            row for piece in expected.pieces for row in chunks.decode(piece)["n"].to_pylist()
        ]
        # However the result was cut, shares are cut as results are.
        assert [table.num_rows for table in tables[:-1]] == [chunks.ROWS_PER_CHUNK] * (len(tables) - 1)
    assert [count for count, _ in together][1:3] == [COUNT, 0]
    assert list((tmp_path / "together").iterdir()) == []


def test_rows_that_nobody_gets_are_counted_with_their_values(stored: list[bytes]) -> None:
    nodes = [parts.fitting(raw, WHOLE) for raw in (FILTERS[0], _leaf("n", "lt", 10))]
    found = parts.counted(stored, nodes, WHOLE, values_of=["owner"])
    owners, numbers = ROWS["owner"].to_pylist(), ROWS["n"].to_pylist()
    left = [owner for owner, n in zip(owners, numbers, strict=True) if owner != "owner 1" and n >= 10]
    assert found.of_filter == [owners.count("owner 1"), 10]
    assert found.unseen.row_count == len(left)
    assert found.unseen.values == {"owner": {owner: left.count(owner) for owner in {*left}}}
    nobody = parts.counted(stored, [], WHOLE)
    assert (nobody.of_filter, nobody.unseen.row_count) == ([], COUNT)
