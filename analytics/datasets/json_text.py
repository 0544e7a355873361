"""JSON text without loading it: where the objects of a list begin and end, found over blocks with numpy."""

import enum
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import numpy as np

from analytics import errors
from analytics.datasets import source

LONGEST_OBJECT = 4 * 1024**2
SEPARATORS = b" \t\r\n,"
BLANK = b" \t\r\n"
_STEP = np.zeros(256, np.int8)
_STEP[list(b"{[")] = 1
_STEP[list(b"}]")] = -1


class Shape(enum.StrEnum):
    """How the objects of a file stand in it."""

    LINES = "lines"  # one on each line
    ARRAY = "array"  # in one array, perhaps inside an object
    SEQUENCE = "sequence"  # one after another, over several lines each


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a file's objects stand.

    Attributes:
        start: bytes of the first block before the first object.
    """

    shape: Shape
    start: int = 0


@dataclass(frozen=True, slots=True)
class Segment:
    """Some whole objects; `ends` are the places in `data` after each."""

    data: bytes
    ends: np.ndarray
    damaged: bool


@dataclass(slots=True)
class _Found:
    """Brackets outside strings, and the depth after each."""

    places: np.ndarray
    steps: np.ndarray
    depths: np.ndarray


def scan(data: bytes) -> _Found:
    """The brackets of text that begins outside any string."""
    characters = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(characters == ord('"'))
    quotes = quotes[~_is_escaped(characters, quotes)]
    steps = _STEP[characters]
    places = np.flatnonzero(steps)
    outside = np.searchsorted(quotes, places) % 2 == 0
    places = places[outside]
    steps = steps[places]
    return _Found(places, steps, np.cumsum(steps, dtype=np.int64))


def _is_escaped(characters: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Whether an odd number of backslashes stands before each place."""
    slashes = np.flatnonzero(characters == ord("\\"))
    if not slashes.size:
        return np.zeros(len(places), dtype=bool)
    # A run of backslashes begins where the one before is not a neighbour.
    begins = np.concatenate(([True], np.diff(slashes) > 1))
    first_of_run = slashes[np.maximum.accumulate(np.where(begins, np.arange(len(slashes)), 0))]
    before = np.searchsorted(slashes, places) - 1
    touches = (before >= 0) & (slashes[before] == places - 1)
    escaped: np.ndarray = touches & ((places - first_of_run[before]) % 2 == 1)
    return escaped


def find_layout(first: bytes, *, is_all: bool, lines: bool) -> Layout:
    """How the objects stand, from the first block; `is_all` says that there is no other, `lines` that it is NDJSON.

    Raises:
        errors.Refusal: `not-json`.
    """
    text = first.lstrip(BLANK)
    indent = len(first) - len(text)
    if text.startswith(b"["):
        return Layout(Shape.ARRAY, indent + 1)
    if lines:
        return Layout(Shape.LINES)
    found = scan(first)
    closings = found.places[found.depths == 0]
    if closings.size and (first[closings[0] + 1 :].strip(BLANK) or not is_all):
        several_lines = b"\n" in first[indent : closings[0]]
        return Layout(Shape.SEQUENCE) if several_lines else Layout(Shape.LINES)
    # One object alone: a list may be inside it.
    for place in found.places[(found.depths == 2) & (found.steps == 1)].tolist():
        if first[place : place + 1] == b"[" and first[place + 1 :].lstrip(BLANK)[:1] == b"{":
            return Layout(Shape.ARRAY, place + 1)
    if not closings.size and not is_all:
        refuse("An object of the file is longer than any row can be.")
    return Layout(Shape.SEQUENCE)


def refuse(what: str) -> None:
    raise errors.Refusal(
        "not-json",
        f"{what} Send an array of objects, an object with one such array, or an object on each line (NDJSON).",
    )


@dataclass(slots=True)
class ArrayEnd:
    """What stands around the array, for a last look at it."""

    prefix: bytes = b""
    suffix: bytearray = field(default_factory=bytearray)

    def check(self) -> None:
        """See that the array was the only list in its file.

        Raises:
            errors.Refusal: `not-json`, `ambiguous-list`.
        """
        if not self.prefix.strip(BLANK):
            if self.suffix.strip(BLANK):
                refuse("After the end of the array there is more.")
            return
        try:
            around = msgspec.json.decode(self.prefix + b"null" + bytes(self.suffix))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise errors.Refusal(
                "not-json", f"What stands around the array of objects is no JSON: {error}. Send the array alone."
            ) from error
        others = [name for name, value in around.items() if isinstance(value, list) and value and _is_row(value[0])]
        if others:
            raise errors.Refusal(
                "ambiguous-list",
                f"The file has several arrays of objects, {others[0]!r} among them. Send only the one that is meant.",
                {"arrays": others},
            )


def _is_row(value: object) -> bool:
    return isinstance(value, dict)


def segments(first: source.Block, blocks: Iterator[source.Block], layout: Layout) -> Iterator[Segment]:
    """The objects of an array or a sequence, some at a time.

    Raises:
        errors.Refusal: `not-json`, `truncated-file`, `ambiguous-list`.
    """
    end = ArrayEnd(first.data[: layout.start - 1]) if layout.shape is Shape.ARRAY else None
    held, damaged = first.data[layout.start :], first.damaged
    for block in itertools.chain([source.Block(b"", damaged=False)], blocks):
        held, damaged = held + block.data, damaged or block.damaged
        found = scan(held)
        close = _close(found)
        inside = found.places if close is None else found.places[found.places < close]
        last = len(inside)
        ends = inside[(found.depths[:last] == 0) & (found.steps[:last] == -1)] + 1
        cut = close if close is not None else int(ends[-1]) if ends.size else 0
        if cut:
            yield Segment(held[:cut], ends, damaged)
        if close is not None:
            _finish(end, held[close + 1 :], blocks)
            return
        held, damaged = held[cut:], damaged and not cut
        if len(held) > LONGEST_OBJECT + source.BLOCK_BYTES:
            refuse(f"An object of the file is longer than {LONGEST_OBJECT:,} bytes.")
    if end is not None or held.strip(SEPARATORS):
        raise errors.Refusal(
            "truncated-file", "The JSON ends in the middle; the file was cut short. Export or send it again."
        )


def _close(found: _Found) -> int | None:
    """Where the array ends that the text stands in."""
    below = np.flatnonzero(found.depths < 0)
    return int(found.places[below[0]]) if below.size else None


def _finish(end: ArrayEnd | None, rest: bytes, blocks: Iterator[source.Block]) -> None:
    if end is None:
        refuse("A bracket is closed that was never opened.")
        return
    end.suffix += rest
    for block in blocks:
        end.suffix += block.data
        if len(end.suffix) > LONGEST_OBJECT:
            refuse("After the end of the array there is more.")
    end.check()


def cut_segment(segment: Segment, *, rows: int, size: int) -> Iterator[Segment]:
    """The same objects in segments of at most so many, and of about so many bytes."""
    start, index, ends = 0, 0, segment.ends
    while index < len(ends):
        by_size = int(np.searchsorted(ends, start + size, side="right"))
        stop = min(index + rows, max(by_size, index + 1), len(ends))
        if int(ends[index]) - start > LONGEST_OBJECT:
            refuse(f"An object of the file is longer than {LONGEST_OBJECT:,} bytes.")
        cut = int(ends[stop - 1]) if stop < len(ends) else len(segment.data)
        yield Segment(segment.data[start:cut], ends[index:stop] - start, segment.damaged)
        start, index = cut, stop
    if not len(ends) and segment.data.strip(SEPARATORS):
        yield segment
