"""What has changed between two runs of a report: rows by their key, the summary, the parameters, the data."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from analytics.render import as_json, cells

MEMORY = "256MB"
# What the two sides are called in an answer.
THIS, AGAINST = "this", "against"
_MISSING = object()
_SQL_TYPES = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "decimal": "DECIMAL(38, 8)",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
}


class NoKeyError(ValueError):
    """The rows of a result cannot be told apart, so they cannot be compared one by one."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of two results: its header, and its rows as Parquet files."""

    header: Mapping[str, Any]
    pieces: Sequence[Path]


def compare(this: Side, against: Side, *, limit: int, spill: Path) -> dict[str, Any]:
    """Return the counts of rows added, removed, changed and unchanged, and the first changes by key.

    Rows are matched by the key columns of `this`, empty cells being equal; compared are the columns that both have.

    Raises:
        NoKeyError: no column of the result is marked as part of its key, or `against` lacks one.
    """
    keys = [column["name"] for column in this.header["columns"] if column.get("key")]
    theirs = {column["name"] for column in against.header["columns"]}
    if not keys or not theirs.issuperset(keys):
        raise NoKeyError(f"the rows of {this.header['type']} have no key that both results know")
    mine = [column["name"] for column in this.header["columns"]]
    shared = [name for name in mine if name in theirs and name not in keys]
    with duckdb.connect(
        ":memory:", config={"memory_limit": MEMORY, "threads": 1, "temp_directory": str(spill)}
    ) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        _open(connection, THIS, this, against)
        _open(connection, AGAINST, against, this)
        counts = _count(connection, keys, shared)
        changes = list(_changes(connection, keys, shared, limit=limit))
    return {
        "key": keys,
        "rows": counts,
        "changes": changes,
        "shown": len(changes),
        "columns_added": [name for name in mine if name not in theirs],
        "columns_removed": [column["name"] for column in against.header["columns"] if column["name"] not in mine],
        "summary": list(_paths(this.header["summary"], against.header["summary"])),
        "params": list(_paths(this.header.get("params") or {}, against.header.get("params") or {})),
    }


def _open(connection: duckdb.DuckDBPyConnection, name: str, side: Side, other: Side) -> None:
    """Make a view of a result's rows. What the two results hold in different types is compared as text."""
    types = {column["name"]: column["type"] for column in other.header["columns"]}
    cells_ = []
    for column in side.header["columns"]:
        kind = column["type"] if types.get(column["name"], column["type"]) == column["type"] else "text"
        value = _name(column["name"]) if side.pieces else "NULL"
        cells_.append(f"CAST({value} AS {_SQL_TYPES[kind]}) AS {_name(column['name'])}")
    files = ", ".join(_text(str(piece)) for piece in side.pieces)
    source = f"FROM read_parquet([{files}])" if side.pieces else "WHERE false"
    connection.execute(f"CREATE VIEW {name} AS SELECT {', '.join(cells_)} {source}")


def _joined(keys: Sequence[str]) -> str:
    matched = " AND ".join(f"t.{_name(key)} IS NOT DISTINCT FROM a.{_name(key)}" for key in keys)
    # Whether a side is there cannot be read from its cells, which may all be empty.
    return (
        f"(SELECT *, true AS _there FROM {THIS}) AS t FULL OUTER JOIN "  # noqa: S608 - quoted
        f"(SELECT *, true AS _there FROM {AGAINST}) AS a ON {matched}"
    )


def _differ(shared: Sequence[str]) -> str:
    return " OR ".join(f"t.{_name(name)} IS DISTINCT FROM a.{_name(name)}" for name in shared) or "false"


def _count(connection: duckdb.DuckDBPyConnection, keys: Sequence[str], shared: Sequence[str]) -> dict[str, int]:
    rows = connection.execute(
        f"SELECT count(*) FILTER (a._there IS NULL), count(*) FILTER (t._there IS NULL), "  # noqa: S608 - quoted
        f"count(*) FILTER (t._there AND a._there AND ({_differ(shared)})), count(*) FROM {_joined(keys)}"
    ).fetchall()
    added, removed, changed, every = rows[0]
    return {"added": added, "removed": removed, "changed": changed, "unchanged": every - added - removed - changed}


def _changes(
    connection: duckdb.DuckDBPyConnection, keys: Sequence[str], shared: Sequence[str], *, limit: int
) -> Iterator[dict[str, Any]]:
    """Yield the first changes in the order of the key, with every cell that differs."""
    both = [f"coalesce(t.{_name(key)}, a.{_name(key)}) AS k{at}" for at, key in enumerate(keys)]
    sides = [f"t.{_name(name)} AS t{at}, a.{_name(name)} AS a{at}" for at, name in enumerate(shared)]
    order = ", ".join(f"k{at} NULLS LAST" for at in range(len(keys)))
    found = connection.sql(
        f"SELECT {', '.join([*both, *sides])}, t._there AS _this, a._there AS _against FROM {_joined(keys)} "  # noqa: S608 - quoted
        f"WHERE t._there IS NULL OR a._there IS NULL OR {_differ(shared)} ORDER BY {order} LIMIT {int(limit)}"
    ).to_arrow_table()
    printed = {name: cells.values(found[name]) for name in found.column_names}
    for row in range(found.num_rows):
        here, there = printed["_this"][row], printed["_against"][row]
        yield {
            "change": "changed" if here and there else "added" if here else "removed",
            "key": {key: printed[f"k{at}"][row] for at, key in enumerate(keys)},
            "values": {
                name: {THIS: printed[f"t{at}"][row], AGAINST: printed[f"a{at}"][row]}
                for at, name in enumerate(shared)
                if printed[f"t{at}"][row] != printed[f"a{at}"][row]
            },
        }


def _paths(this: Any, against: Any, path: str = "") -> Iterator[dict[str, Any]]:
    """Yield every place in which two JSON values differ, as a JSON pointer."""
    if isinstance(this, Mapping) and isinstance(against, Mapping):
        for name in dict.fromkeys([*this, *against]):
            step = f"{path}/{str(name).replace('~', '~0').replace('/', '~1')}"
            yield from _paths(this.get(name, _MISSING), against.get(name, _MISSING), step)
    elif isinstance(this, list) and isinstance(against, list):
        for at in range(max(len(this), len(against))):
            here, there = (side[at] if at < len(side) else _MISSING for side in (this, against))
            yield from _paths(here, there, f"{path}/{at}")
    elif this is _MISSING or against is _MISSING or json.dumps(this) != json.dumps(against):
        yield {"path": path, THIS: _shown(this), AGAINST: _shown(against)}


def _shown(value: Any) -> Any:
    return None if value is _MISSING else as_json.finite(value)


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
