"""The one shape in which every format of file is read: batches of text columns with the lines they stand on."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from analytics import result

LINE = "_line"
# Rows that were not taken: where they stand, what is wrong with which value, and the row itself to be mended.
REJECTS = pa.schema(
    [
        ("line", pa.int64()),
        ("column", pa.string()),
        ("code", pa.string()),
        ("value", pa.string()),
        ("row", pa.string()),
    ]
)


def text_column(position: int) -> str:
    """Name of a file's column in staged data, by its position from 0."""
    return f"c{position}"


@dataclass(frozen=True, slots=True)
class TextBatch:
    """Rows as they were written.

    Attributes:
        rows: in the reader's schema; a null word is null.
        rejects: rows whose shape is wrong, in the columns of `REJECTS`.
        blank: lines without any value, which are no rows.
    """

    rows: pa.Table
    rejects: pa.Table
    blank: int


@dataclass(frozen=True, slots=True)
class NumberCells:
    """The numbers of a column in a format that tells numbers from text.

    Attributes:
        only: whether all values of the column are such, so that none needs to be interpreted.
        ambiguous: where not: whether one of them would be another number if its point separated thousands.
    """

    only: bool
    ambiguous: bool = False


# Parses one part of a file. The parts are handed out one after another, but any thread may then do the work.
Parse = Callable[[], TextBatch]


class TextReader(Protocol):
    """A file being read.

    Attributes:
        headers: what the file calls its columns.
        schema: `_line` (the physical line, from 1) and then one column of text for each header, `c0`, `c1`, …; text that
            repeats is in dictionaries, which are several times cheaper to read, write and look at.
        facts: what was found out about the file, for people: its format, its encoding, its delimiter.
        warnings: what a person should know about how it was read; final once all was read.
        numbers: the columns (`c0`, …) with values that the format itself calls numbers, whose decimal sign is therefore
            the point whatever the text of the file uses; final once all was read.
    """

    @property
    def headers(self) -> tuple[str, ...]: ...

    @property
    def schema(self) -> pa.Schema: ...

    @property
    def facts(self) -> Mapping[str, str]: ...

    @property
    def warnings(self) -> tuple[result.ResultWarning, ...]: ...

    @property
    def numbers(self) -> Mapping[str, NumberCells]: ...

    def read(self) -> Iterator[Parse]: ...
