"""NDJSON and JSON arrays: read twice, once for the columns that the objects have together and once for their values."""

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from analytics import errors, result
from analytics.datasets import batches, cells, json_rows, json_text, limits, packing, source

# Decoded objects take many times the room of their text.
DECODED_AT_ONCE = 1024**2
NOTHING = frozenset({type(None)})
NUL = "\0"

# Some objects as they are written, and the number of the first.
Part = tuple[json_text.Segment, int]


class JsonReader:
    """Reads one file of objects; opening it reads it once, for the columns."""

    def __init__(
        self, packed: packing.Packed, *, lines: bool, null_words: Sequence[str], progress: packing.Progress
    ) -> None:
        """`lines` says that the file was declared to be NDJSON."""
        self._packed = packed
        self._lines = lines
        self._progress = progress
        self._null_words = pa.array(sorted(null_words), pa.string())
        self._tally = cells.NumberTally()
        self._layout = json_text.Layout(json_text.Shape.LINES)
        self._encoding = "ascii"
        self._columns = json_rows.Columns(limits.MAX_COLUMNS)
        self._find_columns()
        self._paths = self._columns.paths()
        self._names = [batches.text_column(position) for position in range(len(self._paths))]

    @property
    def headers(self) -> tuple[str, ...]:
        return tuple(".".join(path) for path in self._paths)

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(batches.LINE, pa.int64()), *((name, pa.string()) for name in self._names)])

    @property
    def facts(self) -> Mapping[str, str]:
        is_lines = self._layout.shape is json_text.Shape.LINES
        found = {"format": "ndjson" if is_lines else "json", "encoding": self._encoding}
        found |= {} if is_lines else {"line": "number of the object in the file"}
        return found | ({"compression": self._packed.compression} if self._packed.compression else {})

    @property
    def warnings(self) -> tuple[result.ResultWarning, ...]:
        return ()

    @property
    def numbers(self) -> Mapping[str, batches.NumberCells]:
        return self._tally.found()

    def read(self) -> Iterator[batches.Parse]:
        rows = cells.rows_at_once(len(self._paths))
        # The second half of the way: opening was the first.
        made = 0
        for segment, number in self._parts(lambda done, total: self._progress((done + (total or 0)) // 2, total), rows):
            made += len(segment.ends) * len(self._paths)
            limits.check_cells(made, self._packed.size)
            yield functools.partial(self._parse, segment, number)

    def _find_columns(self) -> None:
        objects = False
        for segment, number in self._parts(lambda done, total: self._progress(done // 2, total), 2**31):
            decoded = self._decode(segment, number)
            if not decoded.rows:
                continue
            objects = True
            nested = segment.data.count(b"{") > len(decoded.rows)
            self._columns.add(decoded.rows, nested=nested)
            self._check_columns()
        if not objects:
            json_text.refuse("There is no object in the file.")

    def _check_columns(self) -> None:
        limits.check_columns(self._columns.count)
        for name in self._columns.names:
            limits.check_header(name)

    def _decode(self, segment: json_text.Segment, number: int) -> json_rows.Decoded:
        if self._layout.shape is json_text.Shape.LINES:
            return json_rows.decode_lines(segment.data, number)
        return json_rows.decode_segment(segment, number)

    def _parts(self, progress: packing.Progress, rows: int) -> Iterator[Part]:
        """The objects in parts of at most so many."""
        text = self._source(progress, b"\n" if self._lines else b"}")
        blocks = text.blocks()
        first = next(blocks)
        if not first.data.strip():
            raise errors.Refusal("empty-file", "The file has only blank lines.")
        second = next(blocks, None)
        self._layout = json_text.find_layout(first.data, is_all=second is None, lines=self._lines)
        if self._layout.shape is json_text.Shape.LINES and not self._lines:
            # Lines are cut where they end, which a bracket need not be.
            text = self._source(progress, b"\n")
            blocks = text.blocks()
            first, second = next(blocks), next(blocks, None)
        rest = blocks if second is None else itertools.chain([second], blocks)
        number = 1
        for segment in self._segments(first, rest):
            for part in json_text.cut_segment(segment, rows=rows, size=DECODED_AT_ONCE):
                yield part, number
                number += max(len(part.ends), 1)
        self._encoding = text.encoding

    def _source(self, progress: packing.Progress, end: bytes) -> source.TextSource:
        return source.TextSource(self._packed, progress=progress, end=end, longest=json_text.LONGEST_OBJECT)

    def _segments(self, first: source.Block, rest: Iterator[source.Block]) -> Iterator[json_text.Segment]:
        if self._layout.shape is not json_text.Shape.LINES:
            yield from json_text.segments(first, rest, self._layout)
            return
        for block in itertools.chain([first], rest):
            ends = np.flatnonzero(np.frombuffer(block.data, np.uint8) == json_rows.NEWLINE) + 1
            if not block.data.endswith(b"\n"):
                ends = np.append(ends, len(block.data))
            yield json_text.Segment(block.data, ends, block.damaged)

    def _parse(self, segment: json_text.Segment, number: int) -> batches.TextBatch:
        decoded = self._decode(segment, number)
        columns: dict[str, pa.Array] = {batches.LINE: pa.array(decoded.numbers, pa.int64())}
        for name, path in zip(self._names, self._paths, strict=True):
            has_children = path[0] in self._columns.children
            values = json_rows.values_at(decoded.rows, path, has_children=has_children)
            columns[name] = self._text(name, values)
        rows, blank = cells.without_blank(pa.table(columns, schema=self.schema))
        rejects = decoded.rejects
        for mark, code, possible in (
            (source.REPLACEMENT.decode(), "bad-encoding", segment.damaged),
            (NUL, "bad-encoding", b"\\u0000" in segment.data),
        ):
            if possible:
                rows, more = cells.take_out(rows, mark, code=code, headers=self.headers)
                rejects = rejects + more
        return batches.TextBatch(rows, cells.rejects_table(rejects), blank + decoded.blank)

    def _text(self, name: str, values: list[Any]) -> pa.Array:
        types = set(map(type, values)) - NOTHING
        if not types:
            return pa.nulls(len(values), pa.string())
        if types == {str}:
            self._tally.add(name, numeric=False, other=True)
            return cells.without_null_words(pa.array(values, pa.string()), self._null_words)
        if types <= {int, msgspec.Raw}:
            self._tally.add(name, numeric=True, other=False)
            return _number_text(values)
        numbers = [value for value in values if type(value) in (int, msgspec.Raw)]
        texts = pa.array([str(value) if type(value) is int else _plain(value) for value in values], pa.string())
        ambiguous = bool(numbers) and cells.has_ambiguous(_number_text(numbers))
        self._tally.add(name, numeric=bool(numbers), other=True, ambiguous=ambiguous)
        return cells.without_null_words(texts, self._null_words)


def _number_text(values: list[Any]) -> pa.Array:
    """Numbers with all the digits they were written with."""
    if set(map(type, values)) <= {int, type(None)}:
        try:
            return pa.array(values, pa.int64()).cast(pa.string())
        except (pa.ArrowInvalid, OverflowError):
            return pa.array([value if value is None else str(value) for value in values], pa.string())
    written = [bytes(value) if type(value) is msgspec.Raw else value for value in values]
    text = pa.array([str(value).encode() if type(value) is int else value for value in written], pa.binary())
    return cells.without_exponents(text.cast(pa.string()))


def _plain(value: Any) -> str | None:
    if value is None or type(value) is str:
        return value
    if type(value) is msgspec.Raw:
        return cells.written_out(bytes(value).decode())
    # Booleans, and what is nested deeper than a column can say.
    return msgspec.json.encode(value).decode()
