"""An import in two steps: `stage` reads a file as it is, `plan_change` makes of it the files of the table's next version.

Neither writes into the lake, so both may be repeated; a plan made against an older version is simply made again.
"""

import dataclasses
import functools
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from analytics import errors, result
from analytics.datasets import (
    batches,
    carrying,
    cleaning,
    database,
    deciding,
    delimited,
    header_doubts,
    headers,
    inheriting,
    merging,
    options,
    plain,
    profiling,
    reading,
    rejecting,
    remarks,
    schemas,
    source,
    staging,
    steps,
    table_schema,
    widening,
)

STAGE_THREADS = 2


@dataclass(frozen=True, slots=True)
class CurrentTable:
    """The table that rows are merged into.

    Attributes:
        files: paths or addresses of the Parquet files of its latest version.
        schema: its columns.
    """

    files: tuple[str, ...]
    schema: pa.Schema


@dataclass(frozen=True, slots=True)
class FileText:
    """A file as it was written, before anything is known of what it means.

    Attributes:
        text: the rows and the misshapen rows, in Parquet files.
        facts: format, encoding, delimiter, compression, for people.
        warnings: how it was read, for people.
        numbers: the columns that have numbers by the file's own word.
    """

    headers: tuple[str, ...]
    text: staging.StagedText
    facts: Mapping[str, str]
    warnings: tuple[result.ResultWarning, ...] = ()
    numbers: Mapping[str, batches.NumberCells] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Staged:
    """A file as it was read: every cell text, and what was found out about it.

    Attributes:
        text: the rows and the misshapen rows, in Parquet files.
        rows_read: rows of the file, the misshapen ones among them; blank lines are none.
        types: the columns and types that a table made of this file alone gets.
        mapping: canonical column to header.
        facts: encoding, delimiter, compression, decimal sign and date formats, for people.
        as_text: reads the file again and keeps all its rows as text; None where that was done.
    """

    text: staging.StagedText
    rows_read: int
    reading: cleaning.Reading
    types: Mapping[str, profiling.ColumnType]
    facts: Mapping[str, str]
    warnings: tuple[result.ResultWarning, ...]
    as_text: Callable[[], "Staged"] | None = None

    @property
    def mapping(self) -> Mapping[str, str]:
        return self.reading.mapping.canonical

    @property
    def options(self) -> options.ImportOptions:
        return self.reading.options


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the rows: `read = inserted + updated + unchanged + rejected`."""

    read: int
    inserted: int
    updated: int
    unchanged: int
    rejected: int

    def as_dict(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in ("read", "inserted", "updated", "unchanged", "rejected")}


@dataclass(frozen=True, slots=True)
class Change:
    """A table's next version.

    Attributes:
        added: Parquet files that join the table; `removed`: files of the table that leave it.
        schema: all columns of the table from then on, in order; `types`: those that the file was read with.
        rejects: Parquet file with the columns line, column, code, value, row; ordered by line. Rows are CSV under `headers`.
    """

    added: tuple[Path, ...]
    removed: tuple[str, ...]
    schema: pa.Schema
    types: Mapping[str, profiling.ColumnType]
    counts: Counts
    rejects: Path
    rejects_by_code: Mapping[str, int]
    headers: tuple[str, ...]
    mapping: Mapping[str, str]
    warnings: tuple[result.ResultWarning, ...]


class RowsLost(AssertionError):  # noqa: N818 - the name says what happened
    """The rows that were read are not those that were written or rejected: a fault of the program, never of the data."""


def stage(  # noqa: PLR0913 - a file, what is said of it, a place, and who wants to know
    path: Path,
    *,
    options: options.ImportOptions,
    folder: Path,
    progress: Callable[[int, int | None], None],
    limits: source.Limits | None = None,
    follow: steps.Steps | None = None,
) -> Staged:
    """Read a file whole, in bounded memory, and find out how its columns are to be read.

    `folder` is for what is staged and the caller deletes it; `progress` is told the bytes of the file read, of how many,
    and `follow` of its rows.

    Raises:
        errors.Refusal: the file is not one, lacks columns, or is ambiguous.
    """
    following = follow or steps.Steps(lambda _: None)
    reader = _open(path, options, progress=progress, limits=limits, scratch=folder)
    # Headers that do not do are found before an hour is spent on the rows.
    mapping = headers.map_headers(reader.headers, schemas.DATASETS[options.dataset], options.mapping)

    def as_text() -> Staged:
        shutil.rmtree(folder)
        following.restart()
        anew = _open(path, options, progress=progress, limits=limits, scratch=folder)
        return understand(_write(anew, folder, following), options=options, folder=folder)

    # Other formats have types of their own, which their readers know better.
    is_plain = isinstance(reader, delimited.DelimitedReader) and not carrying.is_needed(mapping)
    settle = functools.partial(_settle, options, mapping) if is_plain else None
    file = _write(reader, folder, following, settle)
    if file.text.plain is None:
        return understand(file, options=options, folder=folder)
    try:
        staged = understand(file, options=options, folder=folder)
    except errors.Refusal:
        # What is ambiguous among the rows kept as text may be clear among all.
        return as_text()
    return dataclasses.replace(staged, as_text=as_text) if _holds(staged, file.text.plain) else as_text()


def read(
    path: Path,
    *,
    options: options.FileOptions,
    folder: Path,
    progress: Callable[[int, int | None], None],
    limits: source.Limits | None = None,
) -> FileText:
    """Read a file whole, in bounded memory, whatever it is about. `folder` is for its rows and the caller deletes it.

    Raises:
        errors.Refusal: the file is not one.
    """
    reader = _open(path, options, progress=progress, limits=limits, scratch=folder)
    return _write(reader, folder, steps.Steps(lambda _: None))


def understand(file: FileText, *, options: options.ImportOptions, folder: Path) -> Staged:
    """Find out how the columns of a file are to be read; may be asked again with other options.

    Raises:
        errors.Refusal: the file lacks columns, or is ambiguous.
    """
    mapping = headers.map_headers(file.headers, schemas.DATASETS[options.dataset], options.mapping)
    with database.connect(folder, memory=database.MOST_MEMORY, threads=STAGE_THREADS) as connection:
        deciding.check_pattern(connection, options.refund_pattern)
        text, of_layout = carrying.carry(connection, file.text, mapping=mapping, folder=folder)
        found = deciding.find_reading(connection, text, options=options, mapping=mapping, typed=file.numbers)
    types = table_schema.of_reading(found, None)
    facts = {**file.facts, "decimal": found.sign} | {
        f"date_format.{name}": plan.description for name, plan in found.dates.items()
    }
    return Staged(
        text,
        text.count,
        found,
        types,
        facts,
        (*file.warnings, *_warnings(text.blank), *of_layout, *header_doubts.find(found)),
    )


def _open(
    path: Path,
    options: options.FileOptions,
    *,
    progress: Callable[[int, int | None], None],
    limits: source.Limits | None,
    scratch: Path,
) -> batches.TextReader:
    scratch.mkdir(parents=True, exist_ok=True)
    return reading.open_reader(
        path,
        format=options.format,
        null_values=options.null_values,
        progress=progress,
        limits=limits,
        sheet=options.sheet,
        scratch=scratch,
    )


def _settle(
    options: options.ImportOptions, mapping: headers.HeaderMapping, first: batches.TextBatch
) -> plain.PlainPlan | None:
    with duckdb.connect(":memory:", config={"threads": 1, "memory_limit": database.MOST_MEMORY}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return plain.settle(connection, first.rows, mapping=mapping, asked=options)


def _holds(staged: Staged, rows: staging.PlainRows) -> bool:
    """Whether all values together say of the columns what the first ones said, so that the plain rows were typed rightly."""
    is_iso = all(not plan.formats and not plan.epoch for plan in staged.reading.dates.values())
    settled = all(column.settled or not rows.counts[column.name] for column in rows.plan.columns)
    return is_iso and settled and staged.reading.sign == "." and rows.fits(staged.types)


def _write(
    reader: batches.TextReader, folder: Path, following: steps.Steps, settle: staging.Settle | None = None
) -> FileText:
    folder.mkdir(parents=True, exist_ok=True)
    text = staging.write(reader, folder, threads=STAGE_THREADS, settle=settle, count=following.count)
    if text.count == 0:
        raise errors.Refusal("empty-file", "The file has headers but no rows.", {"headers": list(reader.headers)})
    return FileText(reader.headers, text, dict(reader.facts), reader.warnings, reader.numbers)


def plan_change(  # noqa: PLR0913 - a table, a place and what may be used
    staged: Staged,
    *,
    current: CurrentTable | None,
    folder: Path,
    memory: str,
    threads: int,
    known: remarks.Known | None = None,
    follow: steps.Steps | None = None,
) -> Change:
    """Clean the staged rows and merge them with the table as it is now; writes new files into `folder` only.

    `folder` takes the new files and what does not fit into `memory`, DuckDB's limit such as `2GB`; it is emptied first.
    `known` is what warnings about values need beside the file; `follow` is told how far it is.

    Raises:
        errors.Refusal: `too-many-rejects`.
        RowsLost: rows read and rows accounted for differ.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    following = follow or steps.Steps(lambda _: None)
    with database.connect(folder, memory=memory, threads=threads) as connection, following.watching(connection):
        staged, table = _fit(connection, staged, current, folder)
        types = table.types
        clean = cleaning.build(staged.reading, types, staged.text.relation)
        key_fault = cleaning.Fault(", ".join(staged.reading.schema.key), "'duplicate-key'", "NULL")
        faults = (*clean.faults, key_fault)
        rows = _clean_rows(staged, types, clean)
        updates = inheriting.updates(staged.reading, clean.derived)
        key, said = staged.reading.schema.key, clean.present
        merger = merging.Merger(connection, folder, rows, key, types, said, updates, table.files, following.enter)
        alone = merger.prepare(staged.options.mode, duplicate=len(faults))
        rejects = rejecting.write(connection, staged.text, faults=faults, reading=staged.reading, folder=folder)
        rejecting.refuse_too_many(rejects, read=staged.rows_read, share=staged.options.max_rejects)
        merged = merger.write_all(staged.options.mode) if alone else merger.merge(staged.options.mode)
        done = remarks.Import(
            reading=staged.reading,
            relation=staged.text.cells,
            clean=rows.query,
            types=types,
            files=table.files,
            schema=current.schema if current else None,
            added=merged.added,
        )
        doubts = remarks.find(connection, done, known or remarks.Known())
    added, removed = table.exchanged(merged)
    # A new column that no row has been written for is in no file, and so is not there yet.
    is_same = current is not None and not added and not removed
    return Change(
        added=added,
        removed=removed,
        schema=current.schema if current is not None and is_same else table_schema.arrow(types),
        types=types,
        counts=_counted(staged, merged, rejects),
        rejects=rejects.path,
        rejects_by_code=rejects.by_code,
        headers=rejecting.headers_of(staged.reading),
        mapping=staged.mapping,
        warnings=(*staged.warnings, *table.warnings, *doubts),
    )


def _counted(staged: Staged, merged: merging.Merge, rejects: rejecting.Rejects) -> Counts:
    """What became of the rows, every one of them."""
    counts = Counts(staged.rows_read, merged.inserted, merged.updated, merged.unchanged, rejects.count)
    if counts.read != counts.inserted + counts.updated + counts.unchanged + counts.rejected:
        raise RowsLost(f"rows do not add up: {counts.as_dict()}")
    return counts


def _fit(
    connection: duckdb.DuckDBPyConnection, staged: Staged, current: CurrentTable | None, folder: Path
) -> tuple[Staged, widening.Fitted]:
    """The file and the table, once each column has a type that takes the values of both."""
    if current is None or staged.options.mode is options.ImportMode.REPLACE:
        # Where the table becomes this file, its further columns are those of the file.
        files = current.files if current else ()
        return staged, widening.Fitted(table_schema.of_reading(staged.reading, None), files)
    stored = table_schema.stored(current.schema)
    types = table_schema.of_reading(staged.reading, stored)
    if staged.text.plain is not None and staged.as_text is not None and not staged.text.plain.fits(types):
        # The table has a type of its own for a further column, which takes the text.
        staged = staged.as_text()
    fitted = widening.fit(
        connection,
        staged.reading,
        relation=staged.text.cells,
        before=widening.Fitted(types, current.files),
        stored=stored,
        folder=folder,
    )
    return staged, fitted


def _clean_rows(
    staged: Staged, types: Mapping[str, profiling.ColumnType], clean: cleaning.Cleaning
) -> merging.CleanRows:
    rows = staged.text.plain
    if rows is None or not rows.count:
        return merging.CleanRows(clean.query)
    plain_query = cleaning.build_typed(staged.reading, types, rows.relation, local=rows.local)
    numbered = cleaning.build_typed(staged.reading, types, rows.numbered, local=rows.local)
    as_written = cleaning.is_complete(staged.reading, rows.counts, rows.count)
    ready = as_written and not rows.local and tuple(types) == tuple(rows.plan.schema.names)
    return merging.CleanRows(clean.query, plain_query, numbered, rows.files if ready else ())


def _warnings(blank: int) -> tuple[result.ResultWarning, ...]:
    passed_over = result.ResultWarning("blank-lines", f"{blank:,} lines without any value were passed over.")
    return (passed_over,) if blank else ()
