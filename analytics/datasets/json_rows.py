"""JSON objects decoded with every digit of their numbers, and what of them is no row."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from analytics.datasets import cells, json_text

# Numbers with a fraction or an exponent are kept as they are written. Whole ones become integers, which lose nothing.
DECODER = msgspec.json.Decoder(float_hook=msgspec.Raw)
LONGEST_SHOWN = 10_000
OPEN, CLOSE, NEWLINE, RETURN = b"{}\n\r"

Row = dict[str, Any]


@dataclass(slots=True)
class Decoded:
    """Objects, the line or element number of each, and what was none."""

    rows: list[Row] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    rejects: list[dict[str, object]] = field(default_factory=list)
    blank: int = 0

    def add(self, value: object, number: int, text: bytes) -> None:
        if isinstance(value, dict):
            self.rows.append(value)
            self.numbers.append(number)
        else:
            self.refuse(text, number, "not an object")

    def refuse(self, text: bytes, number: int, reason: str, code: str = "bad-json") -> None:
        shown = text[:LONGEST_SHOWN].decode("utf-8", "replace").strip()
        self.rejects.append(cells.reject(number, code, reason, row=cells.record([shown])))


def decode_lines(data: bytes, first_line: int) -> Decoded:
    """An object on each line."""
    count = data.count(b"\n") + (not data.endswith(b"\n"))
    if (rows := _decode_all(data, count)) is not None:
        return Decoded(rows, list(range(first_line, first_line + count)))
    decoded = Decoded()
    for number, line in enumerate(data.split(b"\n")[:count], start=first_line):
        if line.strip(json_text.BLANK):
            _decode_one(decoded, line, number)
        else:
            decoded.blank += 1
    return decoded


def _decode_all(data: bytes, count: int) -> list[Row] | None:
    """All lines at once, where each has exactly one object."""
    characters = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(characters == NEWLINE)
    starts = np.concatenate(([0], ends + 1))[:count]
    # Between a line that ends with } and one that begins with { only whole objects can be divided.
    stops = np.concatenate((ends, [len(data)]))[:count] - 1
    stops -= characters[stops] == RETURN
    if (stops < starts).any() or (characters[starts] != OPEN).any() or (characters[stops] != CLOSE).any():
        return None
    try:
        rows = DECODER.decode_lines(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return rows if len(rows) == count else None


def decode_segment(segment: json_text.Segment, first_number: int) -> Decoded:
    """The elements of a part of an array or a sequence."""
    text = segment.data.strip(json_text.SEPARATORS)
    decoded = Decoded()
    if not text:
        return decoded
    try:
        values = DECODER.decode(b"[" + text + b"]")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        for number, element in enumerate(_elements(segment), start=first_number):
            _decode_one(decoded, element, number)
        return decoded
    if set(map(type, values)) == {dict}:
        return Decoded(values, list(range(first_number, first_number + len(values))))
    for number, value in enumerate(values, start=first_number):
        decoded.add(value, number, msgspec.json.encode(value))
    return decoded


def _elements(segment: json_text.Segment) -> Iterator[bytes]:
    """Each object with whatever stands before it that is no separator, so that nothing is lost."""
    start = 0
    for end in segment.ends.tolist():
        yield segment.data[start:end].strip(json_text.SEPARATORS)
        start = end
    if rest := segment.data[start:].strip(json_text.SEPARATORS):
        yield rest


def _decode_one(decoded: Decoded, text: bytes, number: int) -> None:
    """One object; what programs write against the standard (NaN) is understood, what is no text is not."""
    try:
        decoded.add(DECODER.decode(text), number, text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        _decode_leniently(decoded, text, number)


def _decode_leniently(decoded: Decoded, text: bytes, number: int) -> None:
    try:
        value = json.loads(text, parse_float=_raw, parse_int=_raw, parse_constant=lambda _: None)
    except UnicodeDecodeError:
        decoded.refuse(text, number, "not UTF-8", "bad-encoding")
        return
    except RecursionError:
        decoded.refuse(text, number, "nested too deeply")
        return
    except ValueError as error:
        decoded.refuse(text, number, str(error)[:200])
        return
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        decoded.refuse(text, number, "half a surrogate pair", "bad-encoding")
    except RecursionError:
        decoded.refuse(text, number, "nested too deeply")
    else:
        decoded.add(value, number, text)


def _raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


@dataclass(slots=True)
class Columns:
    """The columns that objects make together: a name for each value, `parent.child` for each value one level down."""

    most: int
    names: dict[str, None] = field(default_factory=dict)
    children: dict[str, dict[str, None]] = field(default_factory=dict)
    plain: set[str] = field(default_factory=set)
    count: int = 0

    def add(self, rows: Sequence[Row], *, nested: bool) -> None:
        """Learn the columns of some rows; `nested` says whether there may be objects in them."""
        shapes = dict.fromkeys(map(tuple, rows))
        for shape in shapes:
            self.names |= dict.fromkeys(shape)
            self.count = len(self.names) + sum(map(len, self.children.values()))
            if self.count > self.most:
                return
        unknown = set(self.names) - self.plain
        for row in rows:
            if not nested and not unknown:
                break
            self._look(row.items() if nested else [(name, row[name]) for name in unknown.intersection(row)])
            unknown -= self.plain
        self.count = len(self.names) + sum(map(len, self.children.values()))

    def _look(self, values: Iterable[tuple[str, Any]]) -> None:
        """See which values are objects with values of their own, and which are none."""
        for name, value in values:
            if type(value) is not dict:
                if value is not None:
                    self.plain.add(name)
            elif value and len(self.children.get(name, ())) <= self.most:
                self.children.setdefault(name, {}).update(dict.fromkeys(value))

    def paths(self) -> tuple[tuple[str, ...], ...]:
        """The way to each column's values, in the order of the file."""
        found: list[tuple[str, ...]] = []
        for name in self.names:
            children = self.children.get(name, {})
            if name in self.plain or not children:
                found.append((name,))
            found += [(name, child) for child in children]
        return tuple(found)


def values_at(rows: Sequence[Row], path: tuple[str, ...], *, has_children: bool) -> list[Any]:
    """What stands under a path in each row; an object that has columns of its own is no value."""
    name = path[0]
    values = [row.get(name) for row in rows]
    if len(path) == 2:
        child = path[1]
        return [value.get(child) if type(value) is dict else None for value in values]
    if has_children:
        return [None if type(value) is dict else value for value in values]
    return values
