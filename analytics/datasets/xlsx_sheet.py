"""The rows of a sheet, one after another, with values of the types that the cells have."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analytics import errors
from analytics.datasets import limits, xlsx_book, xlsx_values, xlsx_xml

WIDEST = 16_384
LONGEST_CELL = 1024**2
NO_VALUE = "formula without a value"


class Fault(str):
    """What stands in a cell instead of a value: an error of a formula."""

    __slots__ = ()


# int: the number of a shared text; float, bytes: a number, and a whole one as it is written; str: text, dates, times.
Value = int | float | bytes | str | bool | None


@dataclass(frozen=True, slots=True)
class Row:
    """A row that has any cell; `number` is its number in the sheet, and `values` begin with column A."""

    number: int
    values: list[Value]


class SheetRows:
    """Reads one sheet."""

    def __init__(self, book: xlsx_book.Book, sheet: xlsx_book.Sheet, kinds: Sequence[str | None]) -> None:
        self._book = book
        self._part = sheet.part
        # By what the cells say: a style is a number, written.
        self._kinds = {str(style): kind for style, kind in enumerate(kinds) if kind is not None}
        self._ready: list[Row] = []
        self._columns: dict[str, int] = {}
        self._number = 0
        self._values: list[Value] = []
        self._column = -1
        self._cell: xlsx_xml.Attributes = {}
        self._text = ""
        self._takes = self._spoken = False
        self._formula = self._has_value = False
        self.read_bytes = 0

    def __iter__(self) -> Iterator[Row]:
        value = self._start_value
        starts = {"c": self._start_cell, "v": value, "t": value, "row": self._start_row}
        starts |= {"f": self._start_formula, "rPh": self._start_spoken}
        ends = {"c": self._end_cell, "v": self._end_value, "t": self._end_value}
        ends |= {"row": self._end_row, "rPh": self._end_spoken}
        reader = xlsx_xml.Reader(starts, ends, self._on_text, part=self._part)
        for _ in reader.feed(self._counted(self._book.pieces(self._part))):
            if self._ready:
                ready, self._ready = self._ready, []
                yield from ready

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.read_bytes += len(piece)
            yield piece

    def _start_row(self, attributes: xlsx_xml.Attributes) -> None:
        given = attributes.get("r")
        self._number = int(given) if given and given.isdecimal() and len(given) < 10 else self._number + 1
        self._values, self._column = [], -1

    def _end_row(self) -> None:
        if self._values:
            self._ready.append(Row(self._number, self._values))

    def _start_cell(self, attributes: xlsx_xml.Attributes) -> None:
        self._cell = attributes
        self._text = ""
        self._formula = self._has_value = False

    def _start_value(self, _: xlsx_xml.Attributes) -> None:
        self._takes = not self._spoken
        self._has_value = True

    def _end_value(self) -> None:
        self._takes = False

    def _start_formula(self, _: xlsx_xml.Attributes) -> None:
        self._formula = True

    def _start_spoken(self, _: xlsx_xml.Attributes) -> None:
        self._spoken = True

    def _end_spoken(self) -> None:
        self._spoken = False

    def _on_text(self, text: str) -> None:
        if self._takes:
            self._text += text
            if len(self._text) > LONGEST_CELL:
                raise errors.Refusal(
                    "unsafe-workbook",
                    f"A cell in row {self._number} has more than {LONGEST_CELL:,} characters; no program writes that.",
                    {"part": self._part, "row": self._number},
                )

    def _column_of(self, place: str) -> int:
        letters = place.rstrip("0123456789")
        column = self._columns.get(letters)
        if column is None:
            column = 0
            for letter in letters[:4]:
                column = column * 26 + ord(letter.upper()) - 64
            column -= 1
            if not 0 <= column < WIDEST or len(letters) > 3:
                raise errors.Refusal("damaged-file", f"The workbook has a cell at {place[:20]!r}. Save it again.")
            self._columns[letters] = column
        return column

    def _end_cell(self) -> None:
        place = self._cell.get("r")
        self._column = column = self._column + 1 if place is None else self._column_of(place)
        value = self._value() if self._has_value else Fault(NO_VALUE) if self._formula else None
        if value is None:
            return
        missing = column - len(self._values)
        if missing:
            # A cell that comes twice, or late, is where it says that it is.
            limits.check_columns(column + 1)
            self._values.extend([None] * (missing + 1))
            self._values[column] = value
        else:
            self._values.append(value)

    def _value(self) -> Value:
        text, kind = self._text, self._cell.get("t", "n")
        if kind == "s":
            return int(text) if text.isdecimal() and len(text) < 10 else Fault(text)
        if kind == "n":
            return self._number_value(text)
        if kind == "b":
            return text.strip() in ("1", "true")
        if kind == "e":
            return None if text == "#N/A" else Fault(text)
        # Text of a formula, text in the cell itself, and dates in ISO 8601.
        return xlsx_values.unescape(text) or None

    def _number_value(self, text: str) -> Value:
        if not text:
            return None
        style = self._kinds.get(self._cell.get("s", "0"))
        if style is None and text.isdecimal() and text.isascii():
            return text.encode()
        try:
            number = float(text)
        except ValueError:
            return Fault(text)
        if style is None:
            return number
        return xlsx_values.moment(number, style, from_1904=self._book.from_1904) or number
