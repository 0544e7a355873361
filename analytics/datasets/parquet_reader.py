"""Parquet: the footer is checked first; DuckDB then turns every value into text, within a limit of memory."""

import functools
import itertools
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analytics import errors, result
from analytics.datasets import batches, cells, limits, packing, wording

MEMORY = "256MB"
LONGEST_FOOTER = 32 * 1024**2
MOST_PARTS = 1_000_000
LONGEST_NAME = 1024**2
Made = TypeVar("Made")
GLOB = frozenset("*?[]{}")
WHOLE_NUMBERS = ("tinyint", "smallint", "integer", "bigint", "hugeint")
NUMBERS = frozenset((*WHOLE_NUMBERS, *(f"u{kind}" for kind in WHOLE_NUMBERS), "decimal", "float", "double"))
NESTED = frozenset(("list", "struct", "map", "array", "union", "variant"))


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of text to be: what the file calls it, SQL for its text, the kind of its values."""

    header: str
    sql: str
    kind: str


class ParquetReader:
    """Reads one file once; opening it reads the footer."""

    def __init__(
        self, packed: packing.Packed, *, null_words: Sequence[str], progress: packing.Progress, scratch: Path | None
    ) -> None:
        self._packed = packed
        self._progress = progress
        self._null_words = pa.array(sorted(null_words), pa.string())
        is_direct = packed.compression is None and not GLOB & set(str(packed.path))
        self._spooled = None if is_direct else packing.spool(packed, scratch)
        self._path = packed.path if self._spooled is None else Path(self._spooled.name)
        self._rows, names = _check_footer(self._path)
        self._tally = cells.NumberTally()
        self._lock = threading.Lock()
        self._taken = 0
        self._columns = _translated(lambda: self._find_columns(names))
        limits.check_columns(len(self._columns))
        self._names = [batches.text_column(position) for position in range(len(self._columns))]

    @property
    def headers(self) -> tuple[str, ...]:
        return tuple(column.header for column in self._columns)

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(batches.LINE, pa.int64()), *((name, pa.string()) for name in self._names)])

    @property
    def facts(self) -> Mapping[str, str]:
        found = {"format": "parquet", "line": "number of the row in the file"}
        return found | ({"compression": self._packed.compression} if self._packed.compression else {})

    @property
    def warnings(self) -> tuple[result.ResultWarning, ...]:
        return ()

    @property
    def numbers(self) -> Mapping[str, batches.NumberCells]:
        found = zip(self._names, self._columns, strict=True)
        return {name: batches.NumberCells(only=True) for name, column in found if column.kind in NUMBERS}

    def read(self) -> Iterator[batches.Parse]:
        cells_ = ", ".join(f"{column.sql} AS {name}" for name, column in zip(self._names, self._columns, strict=True))
        with _connect() as connection:
            query = f"SELECT _row + 1 AS {batches.LINE}, {cells_} FROM {self._relation()}"  # noqa: S608 - names of ours
            size = cells.rows_at_once(len(self._columns))
            reader = _translated(lambda: connection.sql(query).to_arrow_reader(size))
            while (batch := _translated(lambda: next(reader, None))) is not None:
                self._taken += batch.num_rows
                self._check_expansion()
                self._progress(self._packed.size * self._taken // max(self._rows, 1), self._packed.size)
                yield functools.partial(self._parse, batch)
        if self._taken != self._rows:
            raise errors.Refusal(
                "damaged-file",
                f"The Parquet file says that it has {self._rows:,} rows, but has {self._taken:,}. Export it again.",
            )

    def _check_expansion(self) -> None:
        limits.check_cells(self._taken * len(self._columns), self._packed.size)

    def _relation(self, columns: int | None = None) -> str:
        count = self._width if columns is None else columns
        names = ", ".join(f"f{position}" for position in range(count))
        file = f"read_parquet({wording.quote_text(str(self._path))}, hive_partitioning = false, file_row_number = true)"
        return f"{file} AS t({names}, _row)"

    def _find_columns(self, names: Sequence[str]) -> tuple[_Column, ...]:
        """One column for each of the file, or for each part of a column of structures."""
        self._width = len(names)
        with _connect() as connection:
            types = connection.sql(f"SELECT * EXCLUDE (_row) FROM {self._relation()}").types  # noqa: S608 - names of ours
        found: list[_Column] = []
        for position, (name, kind) in enumerate(zip(names, types, strict=True)):
            if kind.id == "struct":
                found += [
                    _column(f"{name}.{child}", f"f{position}[{wording.quote_text(child)}]", inner)
                    for child, inner in _children(kind)
                ]
            else:
                found.append(_column(name, f"f{position}", kind))
        return tuple(found)

    def _parse(self, batch: pa.RecordBatch) -> batches.TextBatch:
        columns = {batches.LINE: batch.column(0).cast(pa.int64())}
        for name, column in zip(self._names, self._columns, strict=True):
            text = batch.column(name).cast(pa.string())
            if column.kind in ("float", "double"):
                text = pc.if_else(pc.equal(text, "nan"), pa.scalar(None, pa.string()), text)
                text = cells.without_exponents(cells.without_traces(text))
            elif column.kind not in NUMBERS:
                text = cells.without_null_words(text, self._null_words)
            columns[name] = text
        rows, blank = cells.without_blank(pa.table(columns, schema=self.schema))
        return batches.TextBatch(rows, batches.REJECTS.empty_table(), blank)


def _children(kind: duckdb.sqltypes.DuckDBPyType) -> Iterator[tuple[str, duckdb.sqltypes.DuckDBPyType]]:
    for name, inner in kind.children:
        if isinstance(inner, duckdb.sqltypes.DuckDBPyType):
            yield name, inner


def _column(header: str, sql: str, kind: duckdb.sqltypes.DuckDBPyType) -> _Column:
    limits.check_header(header)
    if kind.id == "blob":
        return _Column(header, f"decode({sql})", kind.id)
    if kind.id in NESTED:
        return _Column(header, f"CAST(to_json({sql}) AS VARCHAR)", kind.id)
    return _Column(header, f"CAST({sql} AS VARCHAR)", kind.id)


def _connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": MEMORY,
            "threads": 2,
            # Rows carry their number, so their order in between is free.
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "temp_directory": "",
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _translated(read: Callable[[], Made]) -> Made:
    """What DuckDB makes of the file, or why it cannot."""
    try:
        return read()
    except duckdb.OutOfMemoryException as error:
        raise errors.Refusal(
            "bomb", "A part of the Parquet file unpacks to more memory than there is. Write it with smaller row groups."
        ) from error
    except duckdb.ConversionException as error:
        raise errors.Refusal(
            "binary-column",
            "The Parquet file has a column of bytes that are not text. Leave it out, or write it as text.",
            {"reason": str(error)[:500]},
        ) from error
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise _damaged(error) from error


def _damaged(error: Exception) -> errors.Refusal:
    return errors.Refusal(
        "damaged-file",
        f"The Parquet file is damaged and cannot be read: {str(error)[:300]}. Export it again.",
        {"reason": str(error)[:500]},
    )


def _check_footer(path: Path) -> tuple[int, list[str]]:
    """The number of rows and the names of the columns, from a footer of reasonable size."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        tail = file.read()
    if len(tail) < 8 or size < 12 or tail[4:] != b"PAR1":
        raise errors.Refusal(
            "truncated-file", "The Parquet file ends before its footer; it was cut short. Send it again."
        )
    length = int(struct.unpack("<I", tail[:4])[0])
    if length > size - 12:
        raise errors.Refusal("damaged-file", "The Parquet file's footer says that it is longer than the file.")
    if length > LONGEST_FOOTER:
        raise errors.Refusal(
            "too-many-columns",
            f"The Parquet file's footer has {length:,} bytes; it has too many columns or row groups.",
        )
    try:
        opened = pq.ParquetFile(
            path, thrift_string_size_limit=LONGEST_NAME, thrift_container_size_limit=MOST_PARTS, pre_buffer=False
        )
        limits.check_columns(opened.metadata.num_columns)
        schema = opened.schema_arrow
    except (pa.ArrowException, OSError, MemoryError) as error:
        raise _damaged(error) from error
    _check_types(schema)
    if not 0 <= opened.metadata.num_rows < 2**48:
        raise errors.Refusal("damaged-file", f"The Parquet file says that it has {opened.metadata.num_rows:,} rows.")
    return opened.metadata.num_rows, schema.names


def _check_types(schema: pa.Schema) -> None:
    for field in schema:
        inner = [field.type.field(index) for index in range(field.type.num_fields)]
        for each in itertools.chain([field], inner):
            if pa.types.is_decimal256(each.type):
                raise errors.Refusal(
                    "unsupported-column",
                    f"The column {field.name!r} has decimals of more than 38 digits. Write it with fewer, or as text.",
                    {"header": field.name, "type": str(each.type)},
                )
