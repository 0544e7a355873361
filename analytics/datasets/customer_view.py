"""Everything the datasets hold of one customer: which rows there are, since when, for how much money, and the newest of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from analytics.datasets import persons, schemas, wording
from analytics.datasets.persons import Link
from analytics.render import cells

Json = dict[str, Any]

# Which moment of a row is its own, and which amount is money.
MOMENTS: Mapping[str, str] = {
    "customers": "created_at",
    "orders": "ordered_at",
    "order_lines": "ordered_at",
    "deals": "created_at",
    "deal_stages": "entered_at",
    "leads": "created_at",
    "touches": "occurred_at",
    "activities": "occurred_at",
    "subscriptions": "started_on",
}
AMOUNTS: Mapping[str, str] = {"orders": "amount", "order_lines": "amount", "deals": "amount", "subscriptions": "mrr"}


@dataclass(frozen=True, slots=True)
class Source:
    """The Parquet files of one dataset's version."""

    dataset: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """What looking may take. `spill` is a folder for this process alone."""

    rows: int
    memory: str
    threads: int
    spill: Path


def look(sources: Sequence[Source], customer_id: str, limits: Limits) -> list[Json]:
    """Return what each dataset holds of a customer, in the order of the sources.

    A row is theirs if it names them, or if it names nobody and belongs to a record that is theirs and nobody else's: the
    same rows an erasure would remove.
    """
    with _open(limits) as connection:
        tables = {source.dataset: _Table(connection, source) for source in sources if source.files}
        for table in tables.values():
            table.take_named(customer_id)
        own = {parent: tables[parent].own_keys(key) for parent, key in persons.PARENTS.items() if parent in tables}
        for table in tables.values():
            table.take_linked(own, customer_id)
        return [
            tables[source.dataset].described(limits.rows)
            if source.dataset in tables
            else {"dataset": source.dataset, "rows": 0, "first_at": None, "last_at": None, "money": [], "data": []}
            for source in sources
        ]


class _Table:
    """One dataset, and the customer's rows of it as they are found."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, source: Source) -> None:
        self._connection = connection
        self._dataset = source.dataset
        self._trace = persons.TRACES[source.dataset]
        listed = ", ".join(wording.quote_text(file) for file in source.files)
        self._rows = f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
        self._columns = dict.fromkeys(name for file in source.files for name in pq.read_schema(file).names)
        self._found = wording.quote_name(f"found {source.dataset}")
        self._connection.execute(f"CREATE TEMP TABLE {self._found} AS SELECT * FROM {self._rows} WHERE false")  # noqa: S608 - quoted

    def take_named(self, customer_id: str) -> None:
        """Find the rows that name the customer."""
        column = self._trace.column
        if column in self._columns:
            self._take(f"{column} = $who", {"who": customer_id})

    def own_keys(self, key: str) -> list[str]:
        """Return the keys of records that name the customer and, in another row, nobody else."""
        column = self._trace.column
        if column not in self._columns or key not in self._columns:
            return []
        named = f"SELECT DISTINCT {key} FROM {self._found} WHERE {key} IS NOT NULL"  # noqa: S608 - names of ours
        if not (keys := [row[0] for row in self._connection.execute(named).fetchall()]) or self._is_unique(key):
            return keys
        others = (
            f"SELECT DISTINCT {key} FROM {self._rows} WHERE {key} IN (SELECT unnest($keys)) "  # noqa: S608 - names of ours
            f"AND {column} NOT IN (SELECT {column} FROM {self._found})"
        )
        disputed = {row[0] for row in self._connection.execute(others, {"keys": keys}).fetchall()}
        return [one for one in keys if one not in disputed]

    def take_linked(self, own: Mapping[str, Sequence[str]], customer_id: str) -> None:
        """Find the rows that name nobody and belong to such records."""
        for link in self._trace.links:
            # What names the customer has been found already.
            found = {customer_id} if link.column == self._trace.column else set()
            keys = [key for key in own.get(link.parent, ()) if key not in found]
            if keys and link.column in self._columns:
                self._take(self._linked(link), {"keys": keys})

    def described(self, most_rows: int) -> Json:
        """Say how many rows were found, and show the newest."""
        moment, amount = MOMENTS[self._dataset], AMOUNTS.get(self._dataset)
        span = f"min({moment}), max({moment})" if moment in self._columns else "NULL, NULL"
        # As text at once: tables of older releases may have dates that Python has not.
        found = self._table(f"SELECT count(*), {span} FROM {self._found}")  # noqa: S608 - names of ours
        ((count,), (first,), (last,)) = map(cells.values, found.columns)
        return {
            "dataset": self._dataset,
            "rows": count,
            "first_at": first,
            "last_at": last,
            "money": self._money(amount) if amount in self._columns else [],
            "data": self._newest(most_rows),
        }

    def _is_unique(self, key: str) -> bool:
        return schemas.DATASETS[self._dataset].key == (key,)

    def _linked(self, link: Link) -> str:
        belongs = f"{link.column} IN (SELECT unnest($keys))"
        nobodys = self._trace.column not in {None, link.column} and self._trace.column in self._columns
        return f"{belongs} AND {self._trace.column} IS NULL" if nobodys else belongs

    def _take(self, condition: str, values: Mapping[str, Any]) -> None:
        taken = f"INSERT INTO {self._found} SELECT * FROM {self._rows} WHERE {condition}"  # noqa: S608 - names of ours, quoted
        self._connection.execute(taken, values)

    def _money(self, amount: str | None) -> list[Json]:
        currency = "currency" if "currency" in self._columns else "NULL::VARCHAR"
        query = (
            f"SELECT {currency} AS currency, sum({amount}) AS amount FROM {self._found} "  # noqa: S608 - names of ours
            "GROUP BY ALL ORDER BY currency NULLS LAST"
        )
        return _objects(self._table(query))

    def _newest(self, most_rows: int) -> list[Json]:
        order = [*schemas.DATASETS[self._dataset].key]
        moment = MOMENTS[self._dataset]
        newest_first = [f"{moment} DESC NULLS LAST"] if moment in self._columns else []
        ordered = ", ".join([*newest_first, *(name for name in order if name in self._columns and name != moment)])
        query = f"SELECT * FROM {self._found} ORDER BY {ordered or 'ALL'} LIMIT {most_rows}"  # noqa: S608 - names of ours
        return _objects(self._table(query))

    def _table(self, query: str) -> pa.Table:
        return self._connection.sql(query).to_arrow_table()


@contextmanager
def _open(limits: Limits) -> Iterator[duckdb.DuckDBPyConnection]:
    limits.spill.mkdir(parents=True, exist_ok=True)
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": limits.memory,
        "threads": limits.threads,
        "temp_directory": str(limits.spill),
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "enable_external_file_cache": False,
    }
    with duckdb.connect(":memory:", config=config) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def _objects(rows: pa.Table) -> list[Json]:
    """Return rows as JSON objects; money is a string, as everywhere."""
    names: Iterable[str] = rows.column_names
    columns = [cells.values(column) for column in rows.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
