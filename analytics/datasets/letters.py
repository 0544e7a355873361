"""Quick looks at all characters of a block's values at once; what they cannot rule out is looked at value by value."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

SPACE = 0x20
LAST_OF_ASCII = 0x7F
POINT, SLASH, ZERO, NINE, MINUS, COLON = (ord(character) for character in "./09-:")
# d.ddd is the shortest number with three decimals.
SHORTEST_OF_THREE_DECIMALS = 5
HOUR_ENDS = 13


@dataclass(frozen=True, slots=True)
class Letters:
    """The characters of an array of strings.

    Attributes:
        data: characters of all values, one after another, perhaps with others around them.
        starts, stops: where the values begin and end; those without a character are left out.
    """

    data: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int32]
    stops: npt.NDArray[np.int32]

    @property
    def written(self) -> npt.NDArray[np.uint8]:
        return self.data[self.starts[0] : self.stops[-1]] if len(self.starts) else self.data[:0]

    @property
    def lengths(self) -> npt.NDArray[np.int32]:
        return self.stops - self.starts

    def edges(self) -> tuple[bool, bool]:
        """Whether a value begins or ends with white space of ASCII, and whether one has other characters than ASCII's."""
        written = self.written
        if not written.size:
            return False, False
        wide = bool(written.max() > LAST_OF_ASCII)
        # Most columns have no white space anywhere, which is found out faster than what their values begin and end with.
        if written.min() > SPACE:
            return False, wide
        padded = self.data[self.starts].min() <= SPACE or self.data[self.stops - 1].min() <= SPACE
        return bool(padded), wide

    def any_between(self, first: str, last: str) -> bool:
        """Whether any character is one of these."""
        # Below the first one, subtracting wraps around to large numbers.
        return bool(((self.written - np.uint8(ord(first))) <= ord(last) - ord(first)).any())

    def any_is(self, word: str) -> bool:
        """Whether any value is this word of two letters."""
        short = self.starts[self.lengths == len(word)]
        return bool(((self.data[short] == ord(word[0])) & (self.data[short + 1] == ord(word[1]))).any())

    def may_be_numbers(self, *, point: bool) -> bool:
        """Whether all values are digits, signs and points, and neither begin nor end with a point."""
        written = self.written
        if not written.size:
            return True
        if written.min() < MINUS or written.max() > NINE or (written == SLASH).any():
            return False
        if not point:
            return not (written == POINT).any()
        return bool(self.data[self.starts].min() != POINT and not (self.data[self.starts] == POINT).any()) and bool(
            self.data[self.stops - 1].min() >= ZERO
        )

    def points(self) -> int:
        """How many points there are."""
        return int(np.count_nonzero(self.written == POINT))

    def any_thousandths(self) -> bool:
        """Whether a value has exactly three digits behind its last point, which may then separate thousands."""
        stops = self.stops[self.lengths >= SHORTEST_OF_THREE_DECIMALS]
        return bool((self.data[stops - 4] == POINT).any())

    def any_leading_zero(self) -> bool:
        """Whether a number begins with a zero that could be left out, or is minus zero."""
        long = self.lengths > 1
        first, second = self.data[self.starts[long]], self.data[self.starts[long] + 1]
        if bool(((first == ZERO) & (second != POINT)).any()):
            return True
        signed = self.starts[long][first == MINUS]
        stops = self.stops[long][first == MINUS]
        zero = self.data[signed + 1] == ZERO
        third = self.data[np.minimum(signed + 2, stops - 1)]
        return bool((zero & (third != POINT)).any() or (self.data[signed + 1] == POINT).any())

    def all_have_minutes(self) -> bool:
        """Whether every value is a day, or a time with minutes behind its hour."""
        timed = self.starts[self.lengths > HOUR_ENDS]
        return bool((self.data[timed + HOUR_ENDS] == COLON).all()) and not bool(
            ((self.lengths > len("2024-01-01")) & (self.lengths <= HOUR_ENDS)).any()
        )


def look(rows: pa.Table) -> tuple[set[str], set[str]]:
    """The columns of text that have values with white space of ASCII around them, and those with characters beyond it."""
    padded, wide = set(), set()
    for name in rows.column_names[1:]:
        for chunk in rows[name].chunks:
            # Of values that repeat it is enough to look at one.
            is_padded, is_wide = of(chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk).edges()
            padded |= {name} if is_padded else set()
            wide |= {name} if is_wide else set()
    return padded, wide


def of(text: pa.StringArray) -> Letters:
    """The characters of an array; nothing is copied."""
    _, offsets, data = text.buffers()
    ends = (
        np.frombuffer(offsets, np.int32)[text.offset : text.offset + len(text) + 1]
        if len(text)
        else np.zeros(1, np.int32)
    )
    characters = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    starts, stops = ends[:-1], ends[1:]
    filled = starts < stops
    if not filled.all():
        starts, stops = starts[filled], stops[filled]
    return Letters(characters, starts, stops)
