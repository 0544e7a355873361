"""Where the records of delimited text end: after which line ends no quote is open."""

import bisect

import numpy as np

QUOTE = ord('"')


def last_end(data: bytes, delimiter: str) -> int:
    """Return how much of some text is whole records; it begins with one."""
    spans = _spans(data, delimiter)
    end = data.rfind(b"\n") + 1
    if spans is None:
        return _last_even(data, end)
    opened = [span[0] for span in spans]
    while end:
        place = bisect.bisect_left(opened, end - 1) - 1
        if place < 0 or spans[place][1] < end - 1:
            return end
        end = data.rfind(b"\n", 0, opened[place]) + 1
    return 0


def is_open(data: bytes, delimiter: str) -> bool:
    """Tell whether a quote is never closed in these records: what comes after them is not to come into it."""
    spans = _spans(data, delimiter)
    return data.count(b'"') % 2 == 1 if spans is None else bool(spans) and spans[-1][1] == len(data)


def _last_even(data: bytes, end: int) -> int:
    """Return the last line end that has an even number of quotes before it."""
    odd = data.count(b'"', 0, end) % 2 == 1
    while end and odd:
        # After the last quote no line end is in another state than this one.
        previous = data.rfind(b"\n", 0, data.rfind(b'"', 0, end)) + 1
        odd ^= data.count(b'"', previous, end) % 2 == 1
        end = previous
    return end


def _spans(data: bytes, delimiter: str) -> list[tuple[int, int]] | None:
    """Return where each quoted value begins and ends; None: every second quote closes what the one before has opened.

    That is so unless quotes are text, as in `27" wide`, or are missing; then they have to be looked at one by one.
    """
    text = np.frombuffer(data, dtype=np.uint8)
    quotes = np.flatnonzero(text == QUOTE)
    if not len(quotes):
        return None
    beside = np.zeros(256, dtype=bool)
    beside[[ord(delimiter), ord("\n"), ord("\r")]] = True
    opens = beside[text[quotes - 1]]
    opens[0] |= quotes[0] == 0
    closes = beside[text[np.minimum(quotes + 1, len(text) - 1)]]
    closes[-1] |= quotes[-1] == len(text) - 1
    follows = np.zeros(len(quotes), dtype=bool)
    follows[1:] = np.diff(quotes) == 1
    followed = np.zeros(len(quotes), dtype=bool)
    followed[:-1] = follows[1:]
    if np.all((opens | follows)[::2]) and np.all((closes | followed)[1::2]):
        return None
    return _one_by_one(quotes.tolist(), opens.tolist(), followed.tolist(), size=len(data))


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
