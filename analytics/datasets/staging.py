"""A file's rows in Parquet: the plain ones typed, the others as they were written.

Several threads parse and write, and memory stays bounded.
"""

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from analytics.datasets import batches, forms, letters, plain, profiling, wording

ROW_GROUP_ROWS = 128 * 1024
ROW_GROUP_BYTES = 32 * 1024**2
# Files of this size are small enough to rewrite when a few of their rows change, and large enough to scan well.
FILE_BYTES = 32 * 1024**2
JOINED = "file_row_number"

Settle = Callable[[batches.TextBatch], plain.PlainPlan | None]


@dataclass(frozen=True, slots=True)
class PlainRows:
    """The plain rows of a file, typed.

    Attributes:
        plan: their columns.
        files: Parquet files with the columns of the table that the file has; `lines`: for each, a file with the lines
            on which its rows stand.
        counts: values by column; `pointed`: those with a point, of canonical numbers.
    """

    plan: plain.PlainPlan
    files: tuple[Path, ...]
    lines: tuple[Path, ...]
    count: int
    counts: Mapping[str, int]
    pointed: Mapping[str, int]

    @property
    def local(self) -> frozenset[str]:
        """The columns of times that have yet to be moved from their zone into UTC."""
        return frozenset(column.name for column in self.plan.columns if column.form.type == forms.NAIVE)

    @property
    def relation(self) -> str:
        """SQL of the rows, without their lines."""
        return f"(SELECT NULL::BIGINT AS {batches.LINE}, * FROM {_relation(self.files)})"  # noqa: S608 - texts are quoted

    def fits(self, types: Mapping[str, profiling.ColumnType]) -> bool:
        """Whether the rows are typed as the table's columns are."""
        return all(types[column.name] == column.final for column in self.plan.columns)

    def add_to(self, profiles: Sequence[profiling.ColumnProfile]) -> tuple[profiling.ColumnProfile, ...]:
        """The profiles of all rows, given those of the rows kept as text; they too are in the order of the file."""
        return tuple(
            dataclasses.replace(
                profile,
                count=profile.count + self.counts[column.name],
                pointed=profile.pointed + self.pointed.get(column.name, 0),
                certain=self.pointed.get(column.name, 0),
                **{name: getattr(profile, name) + self.counts[column.name] for name in column.profile},
            )
            for profile, column in zip(profiles, self.plan.columns, strict=True)
        )

    @property
    def numbered(self) -> str:
        """SQL of the rows with their lines."""
        pairs = [
            f"SELECT l.{batches.LINE}, r.* EXCLUDE ({JOINED}) "  # noqa: S608 - texts are quoted
            f"FROM read_parquet({wording.quote_text(str(rows))}, {JOINED} = true) AS r "
            f"JOIN read_parquet({wording.quote_text(str(lines))}, {JOINED} = true) AS l ON r.{JOINED} = l.{JOINED}"
            for rows, lines in zip(self.files, self.lines, strict=True)
        ]
        return f"({' UNION ALL '.join(pairs)})"


@dataclass(frozen=True, slots=True)
class StagedText:
    """What a file was made of.

    Attributes:
        relation: SQL for the rows that are kept as text: `_line` and the text columns, in no order.
        misshapen: SQL for the rows that have no shape, as rejects.
        count: rows of every kind.
        blank: lines without any value, which are no rows.
        padded: columns with values that begin or end with white space of ASCII, perhaps more than have.
        wide: columns with characters outside ASCII, perhaps more than have. Both are of the rows kept as text.
        plain: the rows that are not kept as text.
    """

    relation: str
    misshapen: str
    count: int
    blank: int
    padded: frozenset[str]
    wide: frozenset[str]
    plain: PlainRows | None = None

    @property
    def cells(self) -> str:
        """SQL for the text of all rows; that of the plain ones is what it was once cleaned."""
        if self.plain is None or not self.plain.count:
            return self.relation
        names = ", ".join(column.cell for column in self.plain.plan.columns)
        cells = ", ".join(
            f"CAST({wording.quote_name(column.name)} AS VARCHAR) AS {column.cell}" for column in self.plain.plan.columns
        )
        return f"(SELECT {names} FROM {self.relation} UNION ALL SELECT {cells} FROM {self.plain.relation})"  # noqa: S608 - quoted


@dataclass(slots=True)
class _Seen:
    """What one thread has seen."""

    blank: int = 0
    padded: set[str] = field(default_factory=set)
    wide: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    pointed: Counter[str] = field(default_factory=Counter)


class _Rows:
    """Parquet files of one schema; a file that has grown large enough is followed by another."""

    def __init__(self, folder: Path, name: str, schema: pa.Schema, *, compression: str, sought: Sequence[str]) -> None:
        self.files: list[Path] = []
        self.count = 0
        self._folder = folder
        self._name = name
        self._schema = schema
        self._compression = compression
        self._sought = list(sought)
        self._held: list[pa.Table] = []
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._flush()
            if not self.files:
                # A relation of no rows needs a file as well.
                self._writer = self._open()
        self._close()

    def add(self, rows: pa.Table) -> bool:
        """Take rows; they are written once they make a row group. Whether the next ones should go into another file."""
        if rows.num_rows:
            # Even no rows of a block hold on to all its memory.
            self._held.append(rows)
            self.count += rows.num_rows
        enough = sum(table.num_rows for table in self._held) >= ROW_GROUP_ROWS
        if enough or sum(table.nbytes for table in self._held) >= ROW_GROUP_BYTES:
            self._flush()
        return self._writer is not None and self.files[-1].stat().st_size >= FILE_BYTES

    def next_file(self) -> None:
        self._flush()
        self._close()

    def _flush(self) -> None:
        rows = pa.concat_tables(self._held) if self._held else self._schema.empty_table()
        self._held = []
        if not rows.num_rows:
            return
        if self._writer is None:
            self._writer = self._open()
        self._writer.write_table(rows.unify_dictionaries(), row_group_size=2 * ROW_GROUP_ROWS)

    def _open(self) -> pq.ParquetWriter:
        path = self._folder / f"{self._name}-{len(self.files)}.parquet"
        self.files.append(path)
        numbered = batches.LINE in self._schema.names
        return pq.ParquetWriter(
            path,
            self._schema,
            compression=self._compression,
            write_statistics=self._sought or False,
            use_dictionary=[column.name for column in self._schema if _may_repeat(column)],
            # Lines follow each other, so next to nothing is left of them.
            column_encoding={batches.LINE: "DELTA_BINARY_PACKED"} if numbered else None,
            store_schema=False,
        )

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class _Pieces:
    """The parts of a file, given out to whichever thread asks next."""

    def __init__(self, parts: Iterator[batches.Parse]) -> None:
        self._parts = parts
        self._lock = threading.Lock()

    def take(self) -> batches.Parse | None:
        with self._lock:
            return next(self._parts, None)


@dataclass(slots=True)
class _Thread:
    """The files of one thread; threads share none, because a line says where a row stood."""

    plain: _Rows
    lines: _Rows
    text: _Rows
    misshapen: _Rows
    seen: _Seen = field(default_factory=_Seen)


def write(
    reader: batches.TextReader,
    folder: Path,
    *,
    threads: int,
    settle: Settle | None = None,
    count: Callable[[int], None] = lambda _: None,
) -> StagedText:
    """Read a file whole.

    `settle` finds out from the first part how plain rows are recognised; without it none is. `count` is told of rows as
    they are read, from any thread.
    """
    pieces = _Pieces(reader.read())
    first = piece() if (piece := pieces.take()) is not None else None
    plan = settle(first) if settle is not None and first is not None else None
    schema = reader.schema
    with ExitStack() as stack:
        workers = [_open_files(stack, folder, number, schema, plan) for number in range(threads)]
        if first is not None:
            _keep(workers[0], first, plan, engine=stack.enter_context(forms.Engine()))
            count(first.rows.num_rows)
            del first
        with futures.ThreadPoolExecutor(threads, thread_name_prefix="stage") as pool:
            for running in [pool.submit(_write_pieces, pieces, worker, plan, count) for worker in workers]:
                running.result()
    # What the blocks took is better used by those who look at the rows next.
    pa.default_memory_pool().release_unused()
    return _staged(workers, plan)


def _open_files(
    stack: ExitStack, folder: Path, number: int, schema: pa.Schema, plan: plain.PlainPlan | None
) -> _Thread:
    lines = pa.schema([schema.field(batches.LINE)])
    typed = plan.schema if plan else pa.schema([])

    def open_(name: str, schema: pa.Schema, *, compression: str = "lz4", sought: Sequence[str] = ()) -> _Rows:
        return stack.enter_context(_Rows(folder, name, schema, compression=compression, sought=sought))

    return _Thread(
        # These may become files of the table as they are.
        plain=open_(f"plain-{number}", typed, compression="snappy", sought=plan.sought if plan else ()),
        lines=open_(f"lines-{number}", lines),
        text=open_(f"text-{number}", schema),
        misshapen=open_(f"misshapen-{number}", batches.REJECTS),
    )


def _may_repeat(column: pa.Field) -> bool:
    """Whether it is worth while to look for values that occur more than once; of text the reader has done that."""
    is_time = pa.types.is_timestamp(column.type) or column.name == batches.LINE
    return not is_time and not pa.types.is_string(column.type)


def _write_pieces(pieces: _Pieces, worker: _Thread, plan: plain.PlainPlan | None, count: Callable[[int], None]) -> None:
    """Parse and write until no part is left."""
    with forms.Engine() as engine:
        while (parse := pieces.take()) is not None:
            batch = parse()
            _keep(worker, batch, plan, engine=engine)
            count(batch.rows.num_rows)


def _keep(worker: _Thread, batch: batches.TextBatch, plan: plain.PlainPlan | None, *, engine: forms.Engine) -> None:
    seen, text = worker.seen, batch.rows
    if plan is not None:
        block = plan.take(text, engine)
        text = block.odd
        seen.counts.update(block.counts)
        seen.pointed.update(block.pointed)
        worker.lines.add(block.lines)
        if worker.plain.add(block.rows):
            worker.plain.next_file()
            worker.lines.next_file()
    padded, wide = letters.look(text)
    seen.padded |= padded
    seen.wide |= wide
    seen.blank += batch.blank
    worker.text.add(text)
    worker.misshapen.add(batch.rejects)


def _staged(workers: Sequence[_Thread], plan: plain.PlainPlan | None) -> StagedText:
    found = None
    if plan is not None:
        found = PlainRows(
            plan=plan,
            files=tuple(file for worker in workers for file in worker.plain.files),
            lines=tuple(file for worker in workers for file in worker.lines.files),
            count=sum(worker.plain.count for worker in workers),
            counts=sum((worker.seen.counts for worker in workers), Counter()),
            pointed=sum((worker.seen.pointed for worker in workers), Counter()),
        )
    return StagedText(
        relation=_relation([file for worker in workers for file in worker.text.files]),
        misshapen=_relation([file for worker in workers for file in worker.misshapen.files]),
        count=sum(rows.count for worker in workers for rows in (worker.plain, worker.text, worker.misshapen)),
        blank=sum(worker.seen.blank for worker in workers),
        padded=frozenset().union(*(worker.seen.padded for worker in workers)),
        wide=frozenset().union(*(worker.seen.wide for worker in workers)),
        plain=found,
    )


def _relation(files: Sequence[Path]) -> str:
    names = ", ".join(wording.quote_text(str(file)) for file in files)
    return f"read_parquet([{names}])"
