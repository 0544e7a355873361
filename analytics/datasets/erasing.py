"""Finds the rows of one customer in Parquet files, and writes files again without them. Every file is read whole, none changed."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from analytics.datasets import persons, wording

LINKED = "linked_"
# As imports write the files that these replace.
PARQUET = "FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 122880"
FILE_BYTES = 128 * 1024**2


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of the customer: of each file that has some, how many were recognised by which column."""

    by_file: Mapping[str, Mapping[str, int]]
    rows_read: int

    def by_column(self, files: Collection[str] | None = None) -> dict[str, int]:
        """Return how many rows were recognised by each column, in all files or in these."""
        counts: Counter[str] = Counter()
        for file, columns in self.by_file.items():
            if files is None or file in files:
                counts.update(columns)
        return dict(sorted(counts.items()))


class Finder:
    """Looks for one customer. `linked` has the ids of the customer's own records by dataset, as `own_records` gives them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, customer_id: str) -> None:
        self._connection = connection
        self._customer_id = customer_id
        self._know({})

    def know(self, linked: Mapping[str, Iterable[str]]) -> None:
        """Take in which records of other datasets are the customer's."""
        self._know(linked)

    def own_records(
        self, dataset: str, *, files: Sequence[str], newest: Sequence[str], known: Iterable[str] = ()
    ) -> set[str]:
        """Return the keys of the records that name the customer in any of the files, and nobody else in the newest ones.

        `known` are keys that are theirs although no file may tell so any more.
        """
        key, column = persons.PARENTS[dataset], persons.TRACES[dataset].column
        if column is None:
            return set()
        theirs = {*known, *self._keys(files, key, column, f"{column} = $who")}
        if not theirs:
            return theirs
        self._keep_ids("candidates", theirs)
        others = f"{column} <> $who AND {key} IN (SELECT id FROM candidates)"  # noqa: S608 - names of ours
        return theirs - self._keys(newest, key, column, others)

    def find(self, dataset: str, files: Sequence[str]) -> Found:
        """Count the rows of the customer in files of a dataset."""
        trace = persons.TRACES[dataset]
        if not files:
            return Found({}, 0)
        columns = _columns(trace)
        source = self._source(files, columns)
        arms = " ".join(f"WHEN {condition} THEN {wording.quote_text(name)}" for name, condition in _conditions(trace))
        query = f"SELECT _file, CASE {arms} END AS matched, count(*) FROM {source} GROUP BY ALL"  # noqa: S608 - names of ours, addresses are quoted
        by_file: dict[str, dict[str, int]] = {}
        read = 0
        for file, matched, count in self._run(query):
            read += count
            if matched is not None:
                by_file.setdefault(file, {})[matched] = count
        return Found(by_file, read)

    def rewrite(self, dataset: str, files: Sequence[str], folder: Path) -> tuple[Path, ...]:
        """Write the rows of these files that are not the customer's; no file where there are none."""
        folder.mkdir(parents=True)
        trace = persons.TRACES[dataset]
        theirs = " OR ".join(condition for _, condition in _conditions(trace))
        listed = ", ".join(wording.quote_text(file) for file in files)
        stored = _names(files)
        nulls = "".join(f", NULL::VARCHAR AS {name}" for name in _columns(trace) if name not in stored)
        kept = ", ".join(wording.quote_name(name) for name in stored)
        query = (
            f"SELECT {kept} FROM (SELECT *{nulls} FROM read_parquet([{listed}], union_by_name = true, "  # noqa: S608 - quoted
            f"hive_partitioning = false)) WHERE NOT coalesce({theirs}, false)"
        )
        target = wording.quote_text(str(folder))
        self._run(f"COPY ({query}) TO {target} ({PARQUET}, FILE_SIZE_BYTES {FILE_BYTES})")
        return tuple(sorted(path for path in folder.glob("*.parquet") if pq.read_metadata(path).num_rows))

    def _keys(self, files: Sequence[str], key: str, column: str, condition: str) -> set[str]:
        if not files:
            return set()
        source = self._source(files, (key, column))
        query = f"SELECT DISTINCT {key} FROM {source} WHERE {condition} AND {key} IS NOT NULL"  # noqa: S608 - names of ours
        return {row[0] for row in self._run(query)}

    def _source(self, files: Sequence[str], columns: Iterable[str]) -> str:
        """Relation of these columns as text, and the file of each row; a column that no file has is null."""
        stored = _names(files)
        cells = ", ".join(
            f"{'CAST(' + name + ' AS VARCHAR)' if name in stored else 'NULL::VARCHAR'} AS {name}"
            for name in dict.fromkeys(columns)
        )
        listed = ", ".join(wording.quote_text(file) for file in files)
        return (
            f"(SELECT {cells}, _file FROM read_parquet([{listed}], union_by_name = true, filename = '_file', "  # noqa: S608 - quoted
            f"hive_partitioning = false))"
        )

    def _know(self, linked: Mapping[str, Iterable[str]]) -> None:
        for parent in persons.PARENTS:
            self._keep_ids(f"{LINKED}{parent}", linked.get(parent, ()))

    def _keep_ids(self, table: str, ids: Iterable[str]) -> None:
        self._connection.register("given_ids", pa.table({"id": pa.array(sorted(ids), pa.string())}))
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT id FROM given_ids")  # noqa: S608 - names of ours
        self._connection.unregister("given_ids")

    def _run(self, query: str) -> list[tuple[Any, ...]]:
        parameters = {"who": self._customer_id} if "$who" in query else None
        return self._connection.execute(query, parameters).fetchall()


@contextmanager
def open_finder(customer_id: str, *, spill: Path, memory: str, threads: int) -> Iterator[Finder]:
    """Open a finder that works within these limits; `spill` is a folder for it alone."""
    spill.mkdir(parents=True, exist_ok=True)
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory,
        "threads": threads,
        "temp_directory": str(spill),
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "enable_external_file_cache": False,
    }
    with duckdb.connect(":memory:", config=config) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield Finder(connection, customer_id)


def is_readable(file: str) -> bool:
    """Whether a file is whole: one that was cut short while it was written is nobody's."""
    try:
        pq.read_metadata(file)
    except (pa.ArrowInvalid, OSError):
        return False
    return True


def _conditions(trace: persons.Trace) -> list[tuple[str, str]]:
    """What makes a row the customer's, by the column that tells, the plainest first."""
    conditions = []
    if trace.column is not None:
        conditions.append((trace.column, f"{trace.column} = $who"))
    for link in trace.links:
        condition = f"{link.column} IN (SELECT id FROM {LINKED}{link.parent})"  # noqa: S608 - names of ours
        if trace.column not in {None, link.column}:
            condition = f"({condition} AND {trace.column} IS NULL)"
        conditions.append((f"{link.column} of {link.parent}", condition))
    return conditions


def _columns(trace: persons.Trace) -> tuple[str, ...]:
    named = () if trace.column is None else (trace.column,)
    return tuple(dict.fromkeys((*named, *(link.column for link in trace.links))))


def _names(files: Sequence[str]) -> dict[str, None]:
    """The columns of the files together, in the order in which they are met."""
    return dict.fromkeys(name for file in files for name in pq.read_schema(file).names)
