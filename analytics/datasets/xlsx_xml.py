"""XML of workbooks, read by expat in small pieces; what no spreadsheet program writes is refused before it can do harm."""

from collections.abc import Callable, Iterator, Mapping
from xml.parsers import expat

from analytics import errors

DEEPEST = 64
# A tag or a value this long belongs to no cell.
LONGEST_TOKEN = 8 * 1024**2
FED_AT_ONCE = 64 * 1024

MOST_NAMES = 1000

Attributes = Mapping[str, str]
Start = Callable[[Attributes], None]
End = Callable[[], None]


def _pass_over(_: object = None) -> None:
    """For tags and text that nobody asked for."""


class Reader:
    """Feeds a part of a workbook to handlers, one for each tag, by its name without a prefix."""

    def __init__(
        self,
        starts: Mapping[str, Start],
        ends: Mapping[str, End] | None = None,
        text: Callable[[str], None] = _pass_over,
        *,
        part: str,
    ) -> None:
        self._part = part
        self._depth = 0
        self._starts, self._ends = dict(starts), dict(ends or {})
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._on_start
        self._parser.EndElementHandler = self._on_end
        self._parser.CharacterDataHandler = text
        # A document type is where entities are declared, those that read other files and those that multiply.
        self._parser.StartDoctypeDeclHandler = self._on_doctype

    def feed(self, pieces: Iterator[bytes]) -> Iterator[None]:
        """Parse piece after piece; after each the caller may take what its handlers got.

        Raises:
            errors.Refusal: `damaged-file`, `unsafe-workbook`.
        """
        fed = 0
        try:
            for piece in pieces:
                for offset in range(0, len(piece), FED_AT_ONCE):
                    part = piece[offset : offset + FED_AT_ONCE]
                    self._parser.Parse(part)
                    fed += len(part)
                    if fed - self._parser.CurrentByteIndex > LONGEST_TOKEN:
                        self._refuse(f"has a tag of more than {LONGEST_TOKEN:,} bytes")
                    yield
            self._parser.Parse(b"", True)
            yield
        except expat.ExpatError as error:
            raise errors.Refusal(
                "damaged-file", f"The workbook is damaged: its part {self._part} is no XML ({error}). Save it again."
            ) from error

    def _on_start(self, name: str, attributes: Attributes) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            self._refuse(f"nests its tags more than {DEEPEST} deep")
        (self._starts.get(name) or self._find(name, self._starts))(attributes)

    def _on_end(self, name: str) -> None:
        self._depth -= 1
        handler = self._ends.get(name)
        if handler is not None or (":" in name and (handler := self._ends.get(name.rpartition(":")[2])) is not None):
            handler()

    def _find(self, name: str, handlers: dict[str, Start]) -> Start:
        """The handler of a tag that was not seen before; few names occur, and a file of many is not remembered."""
        handler = handlers.get(name.rpartition(":")[2], _pass_over)
        if len(handlers) < MOST_NAMES:
            handlers[name] = handler
        return handler

    def _on_doctype(self, *_: object) -> None:
        self._refuse("declares a document type, which can hide entities")

    def _refuse(self, what: str) -> None:
        raise errors.Refusal(
            "unsafe-workbook",
            f"The workbook's part {self._part} {what}; no spreadsheet program writes that. Save the file anew, or as CSV.",
            {"part": self._part},
        )


def read_all(pieces: Iterator[bytes], starts: Mapping[str, Start], *, part: str) -> None:
    """Read a part of which only the tags matter."""
    for _ in Reader(starts, part=part).feed(pieces):
        pass


def attribute(attributes: Attributes, name: str) -> str | None:
    """An attribute by its name without prefix."""
    for key, value in attributes.items():
        if key == name or key.endswith(f":{name}"):
            return value
    return None
