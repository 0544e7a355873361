"""Where the records of delimited text end: after which line ends no quote is open."""

import bisect

import numpy as np
import numpy.typing as npt

QUOTE, LINE_END, RETURN = ord('"'), ord("\n"), ord("\r")
WORD = 64
# So little that what is made of it stays near the processor.
AT_ONCE = 256 * 1024
ZERO, ONE = np.uint64(0), np.uint64(1)

Words = npt.NDArray[np.uint64]


def count_lines(data: bytes) -> int:
    """Return how many line ends some text has; where they are many, sooner than `bytes.count`."""
    return int(np.count_nonzero(np.frombuffer(data, dtype=np.uint8) == LINE_END))


def last_end(data: bytes, delimiter: str) -> int:
    """Return how much of some text is whole records; it begins with one."""
    found = _Quotes(data, delimiter)
    end = data.rfind(b"\n") + 1
    spans = found.spans()
    if spans is None:
        return _last_even(data, end, is_odd=(found.count - data.count(b'"', end)) % 2 == 1)
    opened = [span[0] for span in spans]
    while end:
        place = bisect.bisect_left(opened, end - 1) - 1
        if place < 0 or spans[place][1] < end - 1:
            return end
        end = data.rfind(b"\n", 0, opened[place]) + 1
    return 0


def is_open(data: bytes, delimiter: str) -> bool:
    """Tell whether a quote is never closed in these records: what comes after them is not to come into it."""
    found = _Quotes(data, delimiter)
    spans = found.spans()
    return found.count % 2 == 1 if spans is None else bool(spans) and spans[-1][1] == len(data)


def _last_even(data: bytes, end: int, *, is_odd: bool) -> int:
    """Return the last line end, from this one on backwards, that has an even number of quotes before it."""
    while end and is_odd:
        # After the last quote no line end is in another state than this one.
        previous = data.rfind(b"\n", 0, data.rfind(b'"', 0, end)) + 1
        is_odd ^= data.count(b'"', previous, end) % 2 == 1
        end = previous
    return end


class _Quotes:
    """The quotes of some text, and what stands beside them.

    Text is long and full of quotes, so it is looked at sixty-four bytes at a time, as bits of one number.
    """

    def __init__(self, data: bytes, delimiter: str) -> None:
        self._text = np.frombuffer(data, dtype=np.uint8)
        self._delimiter = ord(delimiter)
        size = len(data) // WORD + 1  # with a place for the end of the text
        self._quotes: Words = np.zeros(size, dtype="<u8")
        self._beside: Words = np.zeros(size, dtype="<u8")
        for start in range(0, len(data), AT_ONCE):
            part = self._text[start : start + AT_ONCE]
            _pack(part == QUOTE, self._quotes, start)
            _pack(self._is_beside(part), self._beside, start)
        self.count = int(np.bitwise_count(self._quotes).sum())

    def spans(self) -> list[tuple[int, int]] | None:
        """Return where each quoted value begins and ends; None: every second quote closes what the one before has opened.

        That is so unless quotes are text, as in `27" wide`, or are missing; then they have to be looked at one by one.
        """
        if not self.count or self._take_turns():
            return None
        quotes = np.flatnonzero(self._text == QUOTE)
        opens = (quotes == 0) | self._is_beside(self._text[quotes - 1])
        followed = np.append(np.diff(quotes) == 1, np.False_)
        return _one_by_one(quotes.tolist(), opens.tolist(), followed.tolist(), size=len(self._text))

    def _is_beside(self, text: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """Which bytes may stand before a quote that opens, and after one that closes."""
        beside: npt.NDArray[np.bool_] = text == self._delimiter
        beside |= text == LINE_END
        beside |= text == RETURN
        return beside

    def _take_turns(self) -> bool:
        """Whether each quote that would open a value begins one, and each that would close it ends it, or is one of two."""
        inside = _parity(self._quotes)
        around: Words = self._beside | self._quotes
        # The beginning of the text begins a value as well, and its end ends one.
        may_open = _later(around)
        may_open[0] |= ONE
        around[-1] |= ONE << np.uint64(len(self._text) % WORD)
        may_close = _earlier(around)
        return not np.any(self._quotes & ((inside & ~may_open) | (~inside & ~may_close)))


def _pack(flags: npt.NDArray[np.bool_], words: Words, start: int) -> None:
    """Write flags into words as bits, the first one into the lowest; `start` is the place of the first."""
    packed = np.packbits(flags, bitorder="little")
    words.view(np.uint8)[start // 8 : start // 8 + len(packed)] = packed


def _parity(bits: Words) -> Words:
    """Return at each place whether the bits up to and with it are odd in number."""
    found = bits.copy()
    for shift in (1, 2, 4, 8, 16, 32):
        found ^= found << np.uint64(shift)
    is_odd = np.bitwise_xor.accumulate(found >> np.uint64(WORD - 1))
    found[1:] ^= np.where(is_odd[:-1] == ONE, ~ZERO, ZERO)
    return found


def _later(bits: Words) -> Words:
    """Move every bit one place on."""
    moved = bits << ONE
    moved[1:] |= bits[:-1] >> np.uint64(WORD - 1)
    return moved


def _earlier(bits: Words) -> Words:
    """Move every bit one place back."""
    moved = bits >> ONE
    moved[:-1] |= bits[1:] << np.uint64(WORD - 1)
    return moved


def _one_by_one(quotes: list[int], opens: list[bool], followed: list[bool], *, size: int) -> list[tuple[int, int]]:
    """Return the quoted values as a reader sees them; one that is never closed ends with the text."""
    spans: list[tuple[int, int]] = []
    place, opened = 0, -1
    while place < len(quotes):
        if opened < 0:
            if opens[place]:
                opened = quotes[place]
        elif followed[place]:
            # Two of them are one that is text.
            place += 1
        else:
            spans.append((opened, quotes[place]))
            opened = -1
        place += 1
    if opened >= 0:
        spans.append((opened, size))
    return spans
