"""How many small files become few large ones with the same rows, sorted by key so that each file holds a range of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from analytics.datasets import merging, schemas, stored, wording

# One thread keeps the order of the rows from file to file, and leaves the machine to those who wait for it.
THREADS = 1


class RowsChanged(AssertionError):  # noqa: N818 - the name says what happened
    """The rows that were written are not those that were read: a fault of the program, never of the data."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What two sets of rows have in common if they are the same, in whatever order: their number, and a sum over all values."""

    rows: int
    digest: int


def compact(files: Sequence[str], *, dataset: str, schema: pa.Schema, folder: Path, memory: str) -> tuple[Path, ...]:
    """Write the rows of Parquet files, which may lack columns of `schema`, into as few files of all its columns.

    Args:
        files: local paths.
        dataset: whose key the rows are sorted by.
        schema: the columns and types of the table.
        folder: empty; takes the files, and what does not fit into memory.
        memory: DuckDB's limit, such as `2GB`.

    Raises:
        RowsChanged: the files that were written do not hold the rows that were read.
    """
    target = folder / "compacted"
    target.mkdir(parents=True)
    with _connect(folder, memory) as connection:
        rows = _rows(files, schema)
        before = _fingerprint(connection, rows)
        key = [name for name in schemas.DATASETS[dataset].key if name in schema.names]
        connection.execute(
            f"COPY (SELECT * FROM {rows} ORDER BY {', '.join(map(wording.quote_name, key))}) "  # noqa: S608 - quoted
            f"TO {wording.quote_text(str(target))} ({merging.PARQUET}, FILE_SIZE_BYTES {merging.FILE_BYTES})"
        )
        written = _written(target)
        after = _fingerprint(connection, _rows([str(path) for path in written], schema)) if written else None
    if after != before and (before.rows or written):
        raise RowsChanged(f"{before} became {after}")
    return written


def _written(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(path for path in folder.glob("*.parquet") if pq.read_metadata(path).num_rows))


def _rows(files: Sequence[str], schema: pa.Schema) -> str:
    """SQL of the rows of files, with all columns of the table in their types; what a file lacks is null."""
    listed = ", ".join(wording.quote_text(file) for file in files)
    present = {name for file in files for name in pq.read_schema(file).names}
    cells = ", ".join(
        f"CAST({wording.quote_name(field.name) if field.name in present else 'NULL'} AS {stored.sql_type(field.type)})"
        f" AS {wording.quote_name(field.name)}"
        for field in schema
    )
    return f"(SELECT {cells} FROM read_parquet([{listed}], union_by_name = true, hive_partitioning = false))"  # noqa: S608 - quoted


def _fingerprint(connection: duckdb.DuckDBPyConnection, rows: str) -> Fingerprint:
    query = f"SELECT count(*), coalesce(sum(hash(r)::HUGEINT), 0) FROM {rows} AS r"  # noqa: S608 - names are quoted
    row = connection.execute(query).fetchone()
    return Fingerprint(int(row[0]), int(row[1])) if row else Fingerprint(0, 0)


def _connect(folder: Path, memory: str) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory,
        "threads": THREADS,
        "temp_directory": str(folder / "spill"),
        "preserve_insertion_order": True,
        "autoinstall_known_extensions": False,
    }
    connection = duckdb.connect(":memory:", config=config)
    connection.execute("SET TimeZone = 'UTC'")
    return connection
