"""The rows of a sheet, one after another, with values of the types that the cells have."""

from collections.abc import Iterator, Mapping, Sequence
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
        self._sheet = sheet
        self._kinds = kinds
        self._ready: list[Row] = []
        self._columns: dict[str, int] = {}
        self._number = 0
        self._values: list[Value] = []
        self._column = -1
        self._type = "n"
        self._style = 0
        self._text: list[str] = []
        self._takes = False
        self._spoken = False
        self._formula = False
        self._has_value = False
        self._length = 0
        self.read_bytes = 0

    def __iter__(self) -> Iterator[Row]:
        part = self._sheet.part
        reader = xlsx_xml.Reader(self._on_start, self._on_end, self._on_text, part=part)
        for _ in reader.feed(self._counted(self._book.pieces(part))):
            if self._ready:
                ready, self._ready = self._ready, []
                yield from ready

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.read_bytes += len(piece)
            yield piece

    def _on_start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "c":
            self._start_cell(attributes)
        elif name in ("v", "t"):
            self._takes = not self._spoken
            self._has_value = True
        elif name == "row":
            given = attributes.get("r")
            self._number = int(given) if given and given.isdecimal() and len(given) < 10 else self._number + 1
            self._values, self._column = [], -1
        elif name == "f":
            self._formula = True
        elif name == "rPh":
            self._spoken = True

    def _on_end(self, name: str) -> None:
        if name == "c":
            self._end_cell()
        elif name in ("v", "t"):
            self._takes = False
        elif name == "row":
            if self._values:
                self._ready.append(Row(self._number, self._values))
        elif name == "rPh":
            self._spoken = False

    def _on_text(self, text: str) -> None:
        if self._takes:
            self._text.append(text)
            self._length += len(text)
            if self._length > LONGEST_CELL:
                raise errors.Refusal(
                    "unsafe-workbook",
                    f"A cell in row {self._number} has more than {LONGEST_CELL:,} characters; no program writes that.",
                    {"part": self._sheet.part, "row": self._number},
                )

    def _start_cell(self, attributes: Mapping[str, str]) -> None:
        place = attributes.get("r")
        self._column = self._column + 1 if place is None else self._column_of(place)
        self._type = attributes.get("t", "n")
        style = attributes.get("s")
        self._style = int(style) if style and style.isdecimal() and len(style) < 8 else 0
        self._text = []
        self._length = 0
        self._formula = self._has_value = False

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
        value = self._value() if self._has_value else Fault(NO_VALUE) if self._formula else None
        if value is None:
            return
        missing = self._column - len(self._values)
        if missing > 0:
            if self._column >= limits.MAX_COLUMNS:
                limits.check_columns(self._column + 1)
            self._values.extend([None] * missing)
        elif missing < 0:
            self._values[self._column] = value
            return
        self._values.append(value)

    def _value(self) -> Value:
        text = "".join(self._text)
        kind = self._type
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
        kind = self._kinds[self._style] if self._style < len(self._kinds) else None
        if kind is None and text.isdecimal() and text.isascii():
            return text.encode()
        try:
            number = float(text)
        except ValueError:
            return Fault(text)
        if kind is not None:
            return xlsx_values.moment(number, kind, from_1904=self._book.from_1904) or number
        return number
