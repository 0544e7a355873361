"""The content of a file as UTF-8: decoded and cut where a line or an object ends, one block after another."""

import codecs
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from analytics import errors
from analytics.datasets import packing

BLOCK_BYTES = 8 * 1024**2
LONGEST_LINE = 16 * 1024**2
LONE_RETURN = re.compile(rb"\r(?!\n)")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()

# Named so by those who start an import.
Limits = packing.Limits
Progress = packing.Progress


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines of UTF-8.

    Attributes:
        damaged: bytes that mean nothing in the file's encoding were replaced in it by U+FFFD.
    """

    data: bytes
    damaged: bool


class TextSource:
    """The decoded blocks of one file; `encoding` is final once all blocks were read."""

    def __init__(
        self, packed: packing.Packed, *, progress: Progress, end: bytes = b"\n", longest: int = LONGEST_LINE
    ) -> None:
        """Blocks are cut after the byte `end`, which has to come at least every `longest` bytes."""
        self._packed = packed
        self._progress = progress
        self._end = end
        self._longest = longest
        self.encoding = "ascii"

    @property
    def compression(self) -> str | None:
        return self._packed.compression

    def blocks(self) -> Iterator[Block]:
        """Blocks that end with a line, the last one perhaps not.

        Raises:
            errors.Refusal: `empty-file`, `not-csv`, `truncated-file`, `damaged-file`, `bomb`.
        """
        blocks = _in_blocks(self._packed.pieces(self._progress))
        first = next(blocks, b"")
        if not first:
            raise errors.Refusal("empty-file", "The file is empty.")
        encoding = encoding_by_mark(first)
        if encoding.startswith("utf-16"):
            self.encoding = "utf-16"
            yield from self._from_utf16(first, blocks, encoding)
            return
        first = first.removeprefix(codecs.BOM_UTF8)
        if encoding == "utf-8-sig":
            self.encoding = "utf-8"
        for block in self._cut(self._lines(itertools.chain([first], blocks))):
            yield self._decoded(block)

    def _decoded(self, data: bytes) -> Block:
        if b"\0" in data:
            raise errors.Refusal("not-csv", "The file has NUL bytes, so it is not text. Send it as CSV in UTF-8.")
        if data.isascii():
            return Block(data, damaged=False)
        if self.encoding != "windows-1252":
            try:
                data.decode("utf-8")
            except UnicodeDecodeError:
                # Where more characters are explained by UTF-8 than are not, the others are damage, not another encoding.
                if self.encoding == "utf-8" or _mostly_utf8(data):
                    self.encoding = "utf-8"
                    return Block(data.decode("utf-8", "replace").encode(), damaged=True)
            else:
                self.encoding = "utf-8"
                return Block(data, damaged=False)
        # All before was ASCII, which Windows-1252 contains, so the whole file is read alike.
        self.encoding = "windows-1252"
        text = data.decode("cp1252", "replace")
        return Block(text.encode(), "\N{REPLACEMENT CHARACTER}" in text)

    def _from_utf16(self, first: bytes, blocks: Iterator[bytes], encoding: str) -> Iterator[Block]:
        decoder = codecs.getincrementaldecoder(encoding)(errors="replace")

        def utf8() -> Iterator[bytes]:
            for block in itertools.chain([first], blocks):
                yield decoder.decode(block).encode()
            yield decoder.decode(b"", final=True).encode()

        for block in self._cut(self._lines(utf8())):
            if b"\0" in block:
                raise errors.Refusal(
                    "not-csv", "The file has NUL characters, so it is not text. Send it as CSV in UTF-8."
                )
            yield Block(block, REPLACEMENT in block)

    def _lines(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Blocks of text whose lines all end with LF or CRLF; a Macintosh ends them with CR alone."""
        if self._end != b"\n":
            yield from blocks
            return
        held = b""
        for block in blocks:
            whole = held + block
            # Whether an LF follows the last CR is seen with the next block.
            held = whole[-1:] if whole.endswith(b"\r") else b""
            text = whole[: len(whole) - len(held)]
            # The longer search takes longer, and most files need none.
            has_lone = b"\r" in text and text.count(b"\r") != text.count(b"\r\n")
            yield LONE_RETURN.sub(b"\n", text) if has_lone else text
        if held:
            yield b"\n"

    def _cut(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """The same bytes in blocks that end with a line, so that no character is split."""
        held = b""
        for block in blocks:
            cut = held.rfind(self._end) + 1
            if cut:
                yield held[:cut]
            held = held[cut:] + block
            if len(held) > self._longest + BLOCK_BYTES:
                self._refuse_long()
        if held:
            yield held

    def _refuse_long(self) -> None:
        if self._end == b"}":
            raise errors.Refusal(
                "not-json", f"An object of the file is longer than {self._longest:,} bytes; no row is."
            )
        raise errors.Refusal(
            "not-csv", f"A line of the file is longer than {self._longest:,} bytes, so it is no table."
        )


def _in_blocks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= BLOCK_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def encoding_by_mark(head: bytes) -> str:
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # Without a mark, Latin text in UTF-16 has a zero in every other byte.
    sample = head[:4096]
    if len(sample) >= 4 and sample[1::2].count(0) > len(sample) * 0.4 and 0 not in sample[::2]:
        return "utf-16-le"
    if len(sample) >= 4 and sample[::2].count(0) > len(sample) * 0.4 and 0 not in sample[1::2]:
        return "utf-16-be"
    return "utf-8"


def _mostly_utf8(data: bytes) -> bool:
    text = data.decode("utf-8", "replace")
    damaged = text.count("\N{REPLACEMENT CHARACTER}")
    beyond_ascii = len(text) - len(text.encode("ascii", "ignore"))
    return beyond_ascii >= 2 * damaged
