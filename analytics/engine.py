"""Opens the Parquet files of a dataset's version as Ibis tables: DuckDB in this process."""

import contextlib
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import ibis
from ibis.backends.duckdb import Backend
from ibis.backends.sql.datatypes import DuckDBType
from ibis.expr import operations as ops
from ibis.expr import types as ir

from analytics.datasets import dates, schemas, wording

_IBIS_TYPES = {
    schemas.ColumnKind.TEXT: "string",
    schemas.ColumnKind.INT: "int64",
    schemas.ColumnKind.TIMESTAMP: "timestamp('UTC', 6)",
    schemas.ColumnKind.DATE: "date",
    schemas.ColumnKind.BOOL: "boolean",
}


_TIMED = frozenset({"DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"})
# A version of a dataset never changes, so what was found out about it is remembered.
MOST_REMEMBERED = 1_000
_FAR_COLUMNS: dict["Snapshot", tuple[str, ...]] = {}

# DuckDB's words for those of Ibis's types that it does not read.
_DUCKDB_TYPES = {"string": "VARCHAR", "int64": "BIGINT", "timestamp('UTC', 6)": "TIMESTAMPTZ"}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of one dataset: the files that hold exactly its rows.

    Attributes:
        dataset: canonical name.
        version: the Delta table's version.
        files: paths or object-store addresses of the Parquet files. Older files may lack columns that were added later.
        row_count: rows in all files together.
    """

    dataset: str
    version: int
    files: tuple[str, ...]
    row_count: int


class Tables(Mapping[str, ir.Table]):
    """The datasets of a question by name, open for reading."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, tables: Mapping[str, ir.Table]) -> None:
        self._connection = connection
        self._tables = dict(tables)

    def __getitem__(self, dataset: str) -> ir.Table:
        return self._tables[dataset]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def interrupt(self) -> None:
        """Stop the query that runs, from another thread; the thread that runs it gets `duckdb.InterruptException`."""
        self._connection.interrupt()


@contextlib.contextmanager
def open_tables(
    snapshots: Sequence[Snapshot], *, memory_limit: str, threads: int, spill_folder: Path
) -> Iterator[Tables]:
    """Open the snapshots as tables that are computed by DuckDB within the limits; closing forgets them.

    Nothing is fetched from a network: extensions are neither installed nor loaded, and what is needed (Parquet,
    time zones) is built into DuckDB. The session's zone is UTC whatever the machine's is. One question at a time
    in a process; `spill_folder` is for this process alone.
    """
    connection = _database(os.getpid(), memory_limit, threads, str(spill_folder)).cursor()
    try:
        backend = Backend.from_connection(connection)
        yield Tables(connection, {snapshot.dataset: _open_table(backend, snapshot) for snapshot in snapshots})
    finally:
        connection.interrupt()
        for snapshot in snapshots:
            connection.execute(f'DROP VIEW IF EXISTS "{snapshot.dataset}"')
        connection.close()


@functools.lru_cache(maxsize=1)
def _database(pid: int, memory_limit: str, threads: int, spill_folder: str) -> duckdb.DuckDBPyConnection:  # noqa: ARG001 - the pid is part of the key: a database does not survive a fork
    """Return this process's DuckDB. It is kept, because starting one takes as long as a small question; it holds no data."""
    Path(spill_folder).mkdir(parents=True, exist_ok=True)
    return duckdb.connect(
        ":memory:",
        config={
            "memory_limit": memory_limit,
            "threads": threads,
            "temp_directory": spill_folder,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
            # Every result is explicitly ordered, so keeping the order of the files would only cost memory.
            "preserve_insertion_order": False,
            # A worker at rest must not keep yesterday's files in memory.
            "enable_external_file_cache": False,
        },
    )


def warm_up(*, memory_limit: str, threads: int, spill_folder: Path) -> None:
    """Start what the first question would otherwise wait for, with the limits that questions will have."""
    with open_tables(
        [Snapshot("orders", 0, (), 0)], memory_limit=memory_limit, threads=threads, spill_folder=spill_folder
    ) as tables:
        tables["orders"].limit(1).to_pyarrow()


def _open_table(backend: Backend, snapshot: Snapshot) -> ir.Table:
    """Bind one snapshot; canonical columns that no file has are there and null."""
    canonical = _canonical_types(snapshot.dataset)
    if not snapshot.files:
        nulls = ", ".join(f'NULL::{_DUCKDB_TYPES.get(kind, kind)} AS "{name}"' for name, kind in canonical.items())
        relation = backend.con.sql(f"SELECT {nulls} WHERE false")
    else:
        relation = backend.con.read_parquet(list(snapshot.files), union_by_name=True, hive_partitioning=False)
        relation = _without_far_dates(relation, snapshot)
    relation.create_view(snapshot.dataset)
    # Named to Ibis with the schema DuckDB gave: asking for it through Ibis would run a deprecated call.
    schema = ibis.schema(
        {name: DuckDBType.from_string(str(kind)) for name, kind in zip(relation.columns, relation.types, strict=True)}
    )
    table = ops.DatabaseTable(name=snapshot.dataset, schema=schema, source=backend).to_expr()
    missing = {name: ibis.null().cast(kind) for name, kind in canonical.items() if name not in schema}
    return table.mutate(**missing) if missing else table


def _without_far_dates(relation: duckdb.DuckDBPyRelation, snapshot: Snapshot) -> duckdb.DuckDBPyRelation:
    """Return the rows with no date where theirs is one that no calendar can reckon with.

    Imports reject such dates, but tables of older releases may have them.
    """
    if snapshot not in _FAR_COLUMNS:
        if len(_FAR_COLUMNS) >= MOST_REMEMBERED:
            _FAR_COLUMNS.clear()
        _FAR_COLUMNS[snapshot] = _far_columns(relation)
    columns = map(wording.quote_name, _FAR_COLUMNS[snapshot])
    nulled = ", ".join(f"CASE WHEN NOT {dates.far_sql(name)} THEN {name} END AS {name}" for name in columns)
    return relation.project(f"* REPLACE ({nulled})") if nulled else relation


def _far_columns(relation: duckdb.DuckDBPyRelation) -> tuple[str, ...]:
    """Return the columns that have such dates. What files say of their values answers it without reading any."""
    timed = [name for name, kind in zip(relation.columns, relation.types, strict=True) if str(kind) in _TIMED]
    return tuple(name for name in timed if relation.filter(dates.far_sql(wording.quote_name(name))).limit(1).fetchall())


def _canonical_types(dataset: str) -> dict[str, str]:
    return {
        column.name: f"decimal({column.precision}, {column.scale})"
        if column.kind is schemas.ColumnKind.DECIMAL
        else _IBIS_TYPES[column.kind]
        for column in schemas.DATASETS[dataset].columns
    }
