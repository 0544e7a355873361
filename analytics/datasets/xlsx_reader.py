"""XLSX: one sheet of a workbook as a table, in bounded memory."""

import collections
import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analytics import errors, result
from analytics.datasets import (
    batches,
    cells,
    footers,
    headings,
    limits,
    packing,
    repeated_headers,
    xlsx_book,
    xlsx_sheet,
)

NOTHING = frozenset({type(None)})
NUMBERS = frozenset((float, bytes))


class XlsxReader:
    """Reads one sheet once; opening it reads what comes before the rows."""

    def __init__(
        self,
        packed: packing.Packed,
        *,
        sheet: str | None,
        null_words: Sequence[str],
        progress: packing.Progress,
        scratch: Path | None,
    ) -> None:
        self._packed = packed
        self._progress = progress
        self._null_words = pa.array(sorted(null_words), pa.string())
        self._spooled = packing.spool(packed, scratch) if packed.compression else None
        self._book = xlsx_book.Book(packing.open_zip(self._spooled or packed.path), packed.limits)
        self._kinds = self._book.formats()
        self._texts = self._book.texts()
        self._tally = cells.NumberTally()
        self._sheet = self._choose(sheet)
        self._rows = xlsx_sheet.SheetRows(self._book, self._sheet, self._kinds)
        self._unread = iter(self._rows)
        self._headers, self._passed_over = self._read_header()
        limits.check_columns(len(self._headers))
        for header in self._headers:
            limits.check_header(header)
        self._names = [batches.text_column(position) for position in range(len(self._headers))]

    @property
    def headers(self) -> tuple[str, ...]:
        return self._headers

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(batches.LINE, pa.int64()), *((name, pa.string()) for name in self._names)])

    @property
    def facts(self) -> Mapping[str, str]:
        found = {"format": "xlsx", "sheet": self._sheet.name, "line": "row of the sheet"}
        found |= {"dates": "counted from 1904"} if self._book.from_1904 else {}
        return found | ({"compression": self._packed.compression} if self._packed.compression else {})

    @property
    def warnings(self) -> tuple[result.ResultWarning, ...]:
        found = []
        if self._passed_over:
            found.append(result.ResultWarning("title-lines", self._passed_over))
        others = [sheet.name for sheet in self._book.sheets if sheet.visible and sheet != self._sheet]
        if others:
            names = ", ".join(map(repr, others[:20]))
            detail = f"Only the sheet {self._sheet.name!r} was read. The workbook has also {names}; see `sheet`."
            found.append(result.ResultWarning("other-sheets", detail))
        return tuple(found)

    @property
    def numbers(self) -> Mapping[str, batches.NumberCells]:
        return self._tally.found()

    def read(self) -> Iterator[batches.Parse]:
        # Cells that are objects of Python take some ten times the room that they take in columns.
        size = max(cells.FEWEST_ROWS, cells.rows_at_once(len(self._headers)) // 8)
        waiting: list[xlsx_sheet.Row] = []
        for row in self._unread:
            waiting.append(row)
            # The last rows stay together, so that footers are seen as what they are.
            if len(waiting) >= size + footers.LOOKED_AT:
                yield functools.partial(self._parse, waiting[:size], is_last=False)
                waiting = waiting[size:]
                self._report()
        self._progress(self._packed.size, self._packed.size)
        self._book.close()
        if self._spooled is not None:
            self._spooled.close()
        if waiting:
            yield functools.partial(self._parse, waiting, is_last=True)

    def _report(self) -> None:
        share = min(1.0, self._rows.read_bytes / max(self._book.size_of(self._sheet.part), 1))
        self._progress(int(self._packed.size * share), self._packed.size)

    def _choose(self, name: str | None) -> xlsx_book.Sheet:
        """The sheet that was asked for, or the first visible one that has a table."""
        sheets = self._book.sheets
        if name is not None:
            found = next((sheet for sheet in sheets if sheet.name.strip().lower() == name.strip().lower()), None)
            if found is None:
                self._refuse_sheet(f"The workbook has no sheet called {name!r}.")
            return found or sheets[0]
        visible = [sheet for sheet in sheets if sheet.visible]
        for widest in (2, 1):
            for sheet in visible:
                rows = itertools.islice(xlsx_sheet.SheetRows(self._book, sheet, self._kinds), headings.LOOKED_AT)
                if sum(sum(value is not None for value in row.values) >= widest for row in rows) > 1:
                    return sheet
        self._refuse_sheet("The workbook has no visible sheet with a table.")
        return sheets[0]

    def _refuse_sheet(self, what: str) -> None:
        names = [sheet.name for sheet in self._book.sheets]
        listed = ", ".join(map(repr, names[:50])) or "none"
        raise errors.Refusal("unknown-sheet", f"{what} Its sheets are: {listed}.", {"sheets": names[:500]})

    def _read_header(self) -> tuple[tuple[str, ...], str | None]:
        """The headers, and what stands above them."""
        first = list(itertools.islice(self._unread, headings.LOOKED_AT))
        shown = [self._shown(row.values) for row in first]
        if not any(value.strip() for record in shown for value in record):
            raise errors.Refusal("empty-file", f"The sheet {self._sheet.name!r} is empty.", {"sheet": self._sheet.name})
        position = headings.find(shown)
        self._unread = itertools.chain(first[position + 1 :], self._unread)
        titles = [record for record in shown[:position] if any(value.strip() for value in record)]
        headers = [value.strip() for value in shown[position]]
        while headers and not headers[-1]:
            headers.pop()
        self._header_row = first[position].values[: len(headers)] if repeated_headers.may_be_repeated(headers) else None
        return tuple(headers), headings.describe(titles) if titles else None

    def _shown(self, values: Sequence[xlsx_sheet.Value]) -> list[str]:
        return [value or "" for value in self._mixed(values)]

    def _parse(self, rows: list[xlsx_sheet.Row], *, is_last: bool) -> batches.TextBatch:
        rejects: list[dict[str, object]] = []
        width = len(self._names)
        if is_last:
            rows, rejects = self._without_footers(rows)
        fitting = [row for row in rows if not self._is_header(row, rejects) and self._fits(row, rejects)]
        padded = [row.values + [None] * (width - len(row.values)) for row in fitting]
        by_column = zip(*padded, strict=True) if padded else itertools.repeat((), width)
        columns = {batches.LINE: pa.array([row.number for row in fitting], pa.int64())}
        columns |= {name: self._text(name, list(values)) for name, values in zip(self._names, by_column, strict=False)}
        table, blank = cells.without_blank(pa.table(columns, schema=self.schema))
        table, more = cells.take_out(table, "\0", code="bad-encoding", headers=self._headers)
        rejects += more
        return batches.TextBatch(table, cells.rejects_table(rejects), blank)

    def _without_footers(self, rows: list[xlsx_sheet.Row]) -> tuple[list[xlsx_sheet.Row], list[dict[str, object]]]:
        """The last rows of the sheet without those that say something about the table, which are rejects."""
        width = len(self._names)
        last = rows[: -footers.LOOKED_AT - 1 : -1]
        records = [self._filled_up(self._shown(row.values)) for row in last]

        def usual(likely: int) -> Sequence[int]:
            above = [row.values for row in rows[:-likely]]
            filled = collections.Counter(at for values in above for at, value in enumerate(values) if value is not None)
            return footers.usual_columns([filled[at] for at in range(width)], len(above))

        found = footers.count(records, width, usual=usual)
        rejects = [
            cells.reject(row.number, footers.CODE, None, row=cells.record(record))
            for row, record in zip(last[:found], records, strict=False)
        ]
        return rows[: len(rows) - found], rejects

    def _filled_up(self, shown: list[str]) -> list[str]:
        """A record with as many values as there are headers, or with more if it has more."""
        width = len(self._names)
        return shown + [""] * (width - len(shown)) if any(shown[width:]) else (shown + [""] * width)[:width]

    def _is_header(self, row: xlsx_sheet.Row, rejects: list[dict[str, object]]) -> bool:
        """Whether a row has the headers once more; it becomes a reject."""
        width = len(self._names)
        if row.values[:width] != self._header_row or any(value is not None for value in row.values[width:]):
            return False
        record = cells.record(self._headers)
        rejects.append(cells.reject(row.number, repeated_headers.CODE, None, row=record))
        return True

    def _fits(self, row: xlsx_sheet.Row, rejects: list[dict[str, object]]) -> bool:
        """Whether a row has no more values than there are headers, and values only; otherwise it becomes a reject."""
        width = len(self._names)
        while len(row.values) > width and row.values[-1] is None:
            row.values.pop()
        fault = next((at for at, value in enumerate(row.values) if type(value) is xlsx_sheet.Fault), None)
        if len(row.values) <= width and fault is None:
            return True
        shown = self._shown(row.values)
        record = cells.record([*shown, *[""] * (width - len(shown))])
        if len(row.values) > width:
            what = f"{len(shown)} instead of {width}"
            rejects.append(cells.reject(row.number, footers.MISSHAPEN, what, row=record))
        elif fault is not None:
            value = str(row.values[fault])
            rejects.append(cells.reject(row.number, "formula-error", value, row=record, column=self._headers[fault]))
        return False

    def _text(self, name: str, values: list[xlsx_sheet.Value]) -> pa.Array:
        types = set(map(type, values)) - NOTHING
        if not types:
            return pa.nulls(len(values), pa.string())
        if types <= NUMBERS:
            self._tally.add(name, numeric=True, other=False)
            return _number_text(values)
        if types == {int}:
            self._tally.add(name, numeric=False, other=True)
            text = self._shared(values)
        else:
            numbers = [value for value in values if type(value) in NUMBERS]
            ambiguous = bool(numbers) and cells.has_ambiguous(_number_text(numbers))
            self._tally.add(name, numeric=bool(numbers), other=True, ambiguous=ambiguous)
            text = pa.array(self._mixed(values), pa.string())
        return cells.without_null_words(text, self._null_words)

    def _shared(self, values: Sequence[xlsx_sheet.Value]) -> pa.Array:
        """Shared texts of a column that has nothing else."""
        missing = np.fromiter((value is None for value in values), bool, len(values))
        numbers = np.fromiter((value or 0 for value in values), np.int64, len(values))
        if numbers.size and numbers.max() >= len(self._texts):
            raise errors.Refusal(
                "damaged-file", "The workbook's cells point at texts that it does not have. Save it again."
            )
        texts = self._texts.take(numbers) if len(self._texts) else pa.nulls(len(values), pa.string())
        return pc.if_else(pa.array(missing), pa.scalar(None, pa.string()), texts) if missing.any() else texts

    def _mixed(self, values: Sequence[xlsx_sheet.Value]) -> list[str | None]:
        """The text of each value, whatever its type."""
        shared = [value for value in values if type(value) is int]
        texts = iter(self._shared(shared).to_pylist() if shared else ())
        written: list[str | None] = []
        for value in values:
            if value is None or isinstance(value, str):
                written.append(value)
            elif isinstance(value, bool):
                written.append("true" if value else "false")
            elif isinstance(value, int):
                written.append(next(texts))
            else:
                written.append(value.decode() if isinstance(value, bytes) else cells.shortest(value))
        return written


def _number_text(values: Sequence[xlsx_sheet.Value]) -> pa.Array:
    written = [cells.shortest(value).encode() if isinstance(value, float) else value for value in values]
    return pa.array(written, pa.binary()).cast(pa.string())
