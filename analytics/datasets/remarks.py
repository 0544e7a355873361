"""What an import says about values that it took as they are: every kind of doubt, each bounded in number."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from analytics import result
from analytics.datasets import cleaning, plausibility, profiling, references, spellings, wording

MOST_OF_A_KIND = 20
STORED = "stored_before"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known beside the file.

    Attributes:
        today: the day of the import; None: dates are not judged.
        others: files of the latest versions of the organisation's other datasets, by dataset; see
            `references.datasets_referred_to` for those that matter.
    """

    today: dt.date | None = None
    others: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Import:
    """An import that is about to be committed.

    Attributes:
        relation: SQL of the staged text; `clean`: the query of clean rows.
        types: the columns of the table's next version.
        files: files of the table before, and `schema` its columns; none where there is no table yet.
        added: files that join it.
    """

    reading: cleaning.Reading
    relation: str
    clean: str
    types: Mapping[str, profiling.ColumnType]
    files: tuple[str, ...]
    schema: pa.Schema | None
    added: tuple[Path, ...]


def find(connection: duckdb.DuckDBPyConnection, done: Import, known: Known) -> tuple[result.ResultWarning, ...]:
    """Look at the values of an import. Nothing is changed."""
    return tuple(_bounded(_find_all(connection, done, known)))


def _find_all(connection: duckdb.DuckDBPyConnection, done: Import, known: Known) -> Iterator[result.ResultWarning]:
    yield from plausibility.find_empty_columns(done.reading)
    yield from plausibility.find_repeated_rows(connection, done.reading, relation=done.relation)
    if known.today is not None:
        yield from plausibility.find_far_dates(
            connection, done.reading.schema, clean=done.clean, today=known.today, added=done.added
        )
    yield from references.find(connection, done.reading, relation=done.relation, others=known.others)
    yield from spellings.find(
        connection,
        done.reading,
        relation=done.relation,
        types=done.types,
        stored=_stored(connection, done),
    )


def _stored(connection: duckdb.DuckDBPyConnection, done: Import) -> spellings.Stored | None:
    if done.schema is None or not done.files:
        return None
    names = ", ".join(map(wording.quote_text, done.files))
    rows = f"SELECT * FROM read_parquet([{names}], union_by_name = true)"  # noqa: S608 - addresses are quoted
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {STORED} AS {rows}")
    texts = frozenset(column.name for column in done.schema if pa.types.is_string(column.type))
    return spellings.Stored(STORED, texts)


def _bounded(warnings: Iterable[result.ResultWarning]) -> Iterator[result.ResultWarning]:
    counts: dict[str, int] = {}
    for warning in warnings:
        counts[warning.code] = counts.get(warning.code, 0) + 1
        if counts[warning.code] <= MOST_OF_A_KIND:
            yield warning
    for code, count in counts.items():
        if count > MOST_OF_A_KIND:
            yield result.ResultWarning(code, f"There are {count - MOST_OF_A_KIND:,} more of this kind.")
