"""CSV and its relatives: parses blocks with Arrow, and knows on which line each row stands."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from analytics import errors, result
from analytics.datasets import batches, cells, csv_head, footers, records, repeated_headers, source, text_formulas

HEAD_BYTES = 256 * 1024
# A quote that is opened and not closed within so much is taken to be one that is never closed.
LONGEST_RECORD = 16 * 1024**2
# Lines that are no rows take far more room as objects than as text.
MOST_LINES = 128 * 1024
# A last block that is smaller is parsed together with the one before, so that footers are seen as what they are.
SMALL_TAIL = 64 * 1024
# A column of which a value occurs more than this often among the first rows, on average, is read with a dictionary.
REPEATS = 4
REPEATING = pa.dictionary(pa.int32(), pa.string())
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclass(slots=True)
class _Misfits:
    """Rows of a block that Arrow found to have the wrong number of columns, sorted out."""

    rejects: list[dict[str, object]] = field(default_factory=list)
    mended: list[tuple[int, list[str]]] = field(default_factory=list)
    blank: int = 0


class DelimitedReader:
    """Reads one file once; opening it reads the header."""

    def __init__(self, text: source.TextSource, *, delimiter: str | None, null_words: Sequence[str]) -> None:
        self._text = text
        self._blocks = text.blocks()
        self._null_words = frozenset(null_words)
        first = next(self._blocks)
        head = first.data[:HEAD_BYTES].decode("utf-8", "ignore")
        if not head.strip():
            raise errors.Refusal("empty-file", "The file has only blank lines.")
        _refuse_control_characters(head)
        found = csv_head.read(head, delimiter)
        self._delimiter, self._headers, self._passed_over = found.delimiter, found.headers, found.passed_over
        offset = _offset_of_line(first.data, found.lines)
        self._first = source.Block(first.data[offset:], first.damaged)
        self._first_line = found.lines + 1
        self._names = [batches.text_column(position) for position in range(len(self._headers))]
        self._types: dict[str, pa.DataType] = dict.fromkeys(self._names, pa.string())
        table, misfits = self._read_head()
        self._types |= self._repeating(table)
        # Where it is the file's habit to end its rows with a delimiter; of a single row it may as well mean a shifted one.
        padded = sum(self._padding(row.text) is not None for row in misfits)
        self._is_padded = padded > table.num_rows

    @property
    def headers(self) -> tuple[str, ...]:
        return self._headers

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(batches.LINE, pa.int64()), *self._types.items()])

    @property
    def facts(self) -> Mapping[str, str]:
        found = {"format": "csv", "encoding": self._text.encoding, "delimiter": self._delimiter}
        return found | ({"compression": self._text.compression} if self._text.compression else {})

    @property
    def warnings(self) -> tuple[result.ResultWarning, ...]:
        return (result.ResultWarning("title-lines", self._passed_over),) if self._passed_over else ()

    @property
    def numbers(self) -> Mapping[str, batches.NumberCells]:
        return {}

    def read(self) -> Iterator[batches.Parse]:
        line = self._first_line
        for block, is_last in self._tailed():
            yield functools.partial(self._parse, block, line, is_last=is_last)
            line += records.count_lines(block.data)

    def _tailed(self) -> Iterator[tuple[source.Block, bool]]:
        """Blocks of a bounded number of lines, and whether each is the last."""
        held: source.Block | None = None
        for block in self._records():
            if held is not None and len(block.data) < SMALL_TAIL and not records.is_open(held.data, self._delimiter):
                held = source.Block(held.data + block.data, held.damaged or block.damaged)
                continue
            for part in _parts(held, self._delimiter):
                yield part, False
            held = block
        last = source.Block(b"", damaged=False)
        for part in _parts(held, self._delimiter):
            if last.data:
                yield last, False
            last = part
        yield last, True

    def _records(self) -> Iterator[source.Block]:
        """Blocks cut where a record ends."""
        held = self._first
        for block in self._blocks:
            cut = records.last_end(held.data, self._delimiter)
            if not cut and len(held.data) > LONGEST_RECORD:
                # The quote that its first line opens is never closed, so that line is for itself.
                cut = held.data.find(b"\n") + 1
            if cut:
                yield source.Block(held.data[:cut], held.damaged)
            held = source.Block(held.data[cut:] + block.data, held.damaged or block.damaged)
        while held.data:
            is_open = records.is_open(held.data, self._delimiter)
            cut = records.last_end(held.data, self._delimiter) if is_open else len(held.data)
            cut = cut or held.data.find(b"\n") + 1 or len(held.data)
            yield source.Block(held.data[:cut], held.damaged)
            held = source.Block(held.data[cut:], held.damaged)

    def _read_head(self) -> tuple[pa.Table, list[pa_csv.InvalidRow]]:
        head = self._first.data[:HEAD_BYTES]
        is_all = len(head) == len(self._first.data)
        return self._read_table(
            head
            if is_all and not records.is_open(head, self._delimiter)
            else head[: records.last_end(head, self._delimiter)]
        )

    def _repeating(self, table: pa.Table) -> dict[str, pa.DataType]:
        """The type of the columns whose values repeat, as far as the first rows show."""
        distinct = ((name, len(table[name].unique())) for name in self._names)
        return {name: REPEATING for name, count in distinct if count * REPEATS < table.num_rows}

    def _read_table(self, data: bytes) -> tuple[pa.Table, list[pa_csv.InvalidRow]]:
        """The rows that fit the header, and those that do not."""
        invalid: list[pa_csv.InvalidRow] = []

        def keep(row: pa_csv.InvalidRow) -> str:
            invalid.append(row)
            return "skip"

        if not data:
            return pa.schema(list(self._types.items())).empty_table(), invalid
        table = pa_csv.read_csv(
            pa.py_buffer(data),
            # One thread numbers the rows that do not fit; other threads are busy with other blocks.
            read_options=pa_csv.ReadOptions(column_names=self._names, use_threads=False, block_size=len(data) + 1),
            parse_options=pa_csv.ParseOptions(
                delimiter=self._delimiter,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=keep,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=self._types,
                null_values=sorted(self._null_words),
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                check_utf8=False,
            ),
        )
        return table, invalid

    def _parse(self, block: source.Block, first_line: int, *, is_last: bool) -> batches.TextBatch:
        table, invalid = self._read_table(block.data)
        valid_lines, invalid_lines = _lines(table, invalid, block.data, first_line)
        misfits = self._sort_out(invalid, invalid_lines)
        rows = table.add_column(0, batches.LINE, pa.array(valid_lines))
        if misfits.mended:
            rows = pa.concat_tables([_decoded(rows), self._mended_table(misfits.mended)])
        if text_formulas.may_be_in(block.data):
            rows = text_formulas.read(rows, self._null_words)
        rows, blank = cells.without_blank(rows)
        if block.damaged:
            rows, damaged = cells.take_out(_decoded(rows), REPLACEMENT, code="bad-encoding", headers=self._headers)
            misfits.rejects += damaged
        rows, repeated = repeated_headers.take_out(rows, self._headers, self._null_words)
        rejects = misfits.rejects
        if is_last:
            rows, rejects = footers.take_out(rows, rejects, columns=len(self._headers))
        rejected = pa.concat_tables([cells.rejects_table(rejects), repeated])
        return batches.TextBatch(rows.cast(self.schema), rejected, blank + misfits.blank)

    def _sort_out(self, invalid: Sequence[pa_csv.InvalidRow], lines: np.ndarray) -> _Misfits:
        misfits = _Misfits()
        for row, line in zip(invalid, lines.tolist(), strict=True):
            if not row.text.strip():
                misfits.blank += 1
            elif (values := self._mend(row.text)) is not None:
                misfits.mended.append((line, values))
            else:
                what = f"{row.actual_columns} instead of {row.expected_columns}"
                misfits.rejects.append(cells.reject(line, footers.MISSHAPEN, what, row=self._with_commas(row.text)))
        return misfits

    def _with_commas(self, text: str) -> str:
        """The same record with the delimiter that the records of all other rejects have."""
        values = csv_head.read_record(text, self._delimiter) if self._delimiter != "," else []
        return cells.record(values) if values else text

    def _mend(self, text: str) -> list[str] | None:
        """The values of a row that was quoted as a whole, or that ends with empty values as the others do."""
        values = csv_head.read_record(text, self._delimiter)
        if len(values) == 1 and len(self._headers) > 1:
            values = csv_head.read_record(values[0], self._delimiter)
        if self._is_padded:
            values = self._padding(text) or values
        return values if len(values) == len(self._headers) else None

    def _padding(self, text: str) -> list[str] | None:
        """The values of a row without those at its end that are empty and too many; None: it has none such, or others as well."""
        values = csv_head.read_record(text, self._delimiter)
        too_many = values[len(self._headers) :]
        is_padded = bool(too_many) and not any(value.strip() for value in too_many)
        return values[: len(self._headers)] if is_padded else None

    def _mended_table(self, mended: Sequence[tuple[int, list[str]]]) -> pa.Table:
        columns = {batches.LINE: pa.array([line for line, _ in mended], pa.int64())}
        for position, name in enumerate(self._names):
            values = (values[position] for _, values in mended)
            columns[name] = pa.array([None if value in self._null_words else value for value in values], pa.string())
        return pa.table(columns)


def _refuse_control_characters(head: str) -> None:
    if "\0" in head or sum(character < " " and character not in "\t\r\n\f" for character in head) > len(head) / 100:
        raise errors.Refusal("not-csv", "The file is not text: it is full of control characters. Send CSV in UTF-8.")


def _offset_of_line(data: bytes, lines: int) -> int:
    offset = 0
    for _ in range(lines):
        end = data.find(b"\n", offset)
        if end < 0:
            return len(data)
        offset = end + 1
    return offset


def _parts(block: source.Block | None, delimiter: str) -> Iterator[source.Block]:
    """A block as it is, or in parts that have not too many lines."""
    data = block.data if block is not None else b""
    damaged = block is not None and block.damaged
    lines = records.count_lines(data)
    size = len(data) * MOST_LINES // lines if lines > MOST_LINES else len(data)
    start = 0
    while start < len(data):
        rest = len(data) - start
        cut = (records.last_end(data[start : start + size], delimiter) or rest) if rest > size else rest
        yield source.Block(data[start : start + cut], damaged)
        start += cut


def _lines(
    table: pa.Table, invalid: Sequence[pa_csv.InvalidRow], data: bytes, first_line: int
) -> tuple[np.ndarray, np.ndarray]:
    """The lines that valid and invalid rows begin on."""
    total = table.num_rows + len(invalid)
    is_valid = np.ones(total, dtype=bool)
    is_valid[[row.number - 1 for row in invalid]] = False
    lines = first_line + np.arange(total, dtype=np.int64)
    if records.count_lines(data) + (not data.endswith(b"\n")) != total:
        inside = np.zeros(total, dtype=np.int64)
        inside[is_valid] = sum(
            pc.fill_null(pc.count_substring(column, "\n"), 0).to_numpy() for column in _decoded(table).columns
        )
        inside[~is_valid] = [row.text.count("\n") for row in invalid]
        lines[1:] += np.cumsum(inside)[:-1]
    return lines[is_valid], lines[~is_valid]


def _decoded(table: pa.Table) -> pa.Table:
    """The same text without dictionaries."""
    return table.cast(pa.schema([(field.name, _decoded_type(field.type)) for field in table.schema]))


def _decoded_type(column: pa.DataType) -> pa.DataType:
    return column.value_type if pa.types.is_dictionary(column) else column
