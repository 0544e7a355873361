"""The bytes of a file as UTF-8: decompressed, decoded and guarded against bombs, one block after another."""

import codecs
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from analytics import errors

GZIP_MAGIC = b"\x1f\x8b"
BLOCK_BYTES = 8 * 1024**2
COMPRESSED_BYTES = 1024**2
LONGEST_LINE = 64 * 1024**2
REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()

Progress = Callable[[int, int | None], None]

# What files that are not text begin with. Their formats are named, so that the answer can say what was sent.
OTHER_FORMATS = {
    b"PK\x03\x04": "zip or XLSX",
    b"PAR1": "Parquet",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"%PDF": "PDF",
    b"\xd0\xcf\x11\xe0": "XLS",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "7z",
}
SUPPORTED = ("CSV", "TSV", "gzip of either")


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a compressed file may expand: a ratio that is looked at from `ratio_from` bytes on, and a size."""

    max_bytes: int = 256 * 1024**3
    max_ratio: int = 200
    ratio_from: int = 64 * 1024**2


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

    def __init__(self, path: Path, *, limits: Limits, progress: Progress) -> None:
        self._path = path
        self._limits = limits
        self._progress = progress
        self.encoding = "ascii"
        self.compression: str | None = None

    def blocks(self) -> Iterator[Block]:
        """Blocks that end with a line, the last one perhaps not.

        Raises:
            errors.Refusal: `empty-file`, `not-csv`, `unsupported-format`, `truncated-file`, `damaged-file`, `bomb`.
        """
        blocks = _in_blocks(self._raw())
        first = next(blocks, b"")
        if not first:
            raise errors.Refusal("empty-file", "The file is empty.")
        refuse_other_formats(first)
        encoding = _encoding_by_mark(first)
        if encoding.startswith("utf-16"):
            self.encoding = "utf-16"
            yield from _from_utf16(first, blocks, encoding)
            return
        first = first.removeprefix(codecs.BOM_UTF8)
        if encoding == "utf-8-sig":
            self.encoding = "utf-8"
        # A Macintosh of old ends lines with CR alone.
        only_cr = b"\n" not in first and b"\r" in first
        for block in _at_lines(first, blocks, b"\r" if only_cr else b"\n"):
            yield self._decoded(block.replace(b"\r", b"\n") if only_cr else block)

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

    def _raw(self) -> Iterator[bytes]:
        total = self._path.stat().st_size
        with self._path.open("rb") as file:
            if file.read(2) == GZIP_MAGIC:
                self.compression = "gzip"
            file.seek(0)
            pieces = iter(lambda: file.read(COMPRESSED_BYTES), b"")
            expanded = _gunzip(pieces, self._limits) if self.compression else pieces
            for piece in expanded:
                self._progress(min(file.tell(), total), total)
                yield piece


def refuse_other_formats(head: bytes) -> None:
    """Say what a file is that is neither CSV nor TSV, where its first bytes tell."""
    for magic, name in OTHER_FORMATS.items():
        if head.startswith(magic):
            _refuse_format(name)
    start = head.lstrip()[:64].lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        _refuse_format("HTML or XML")
    if start.startswith((b'{"', b"{ ", b"{\n", b"[{", b"[\n", b"[ {")):
        _refuse_format("JSON")


def _refuse_format(name: str) -> None:
    raise errors.Refusal(
        "unsupported-format",
        f"The file is {name}; what can be imported is {', '.join(SUPPORTED)}.",
        {"format": name, "supported": list(SUPPORTED)},
    )


def _gunzip(pieces: Iterator[bytes], limits: Limits) -> Iterator[bytes]:
    """Every member of a gzip file, in pieces of bounded size however far it expands."""
    inflater = zlib.decompressobj(wbits=31)
    read = written = 0
    for piece in pieces:
        read += len(piece)
        rest = piece
        while rest:
            if inflater.eof:
                if not rest.strip(b"\0"):
                    break  # Tapes and some uploads pad the end with zeros.
                inflater = zlib.decompressobj(wbits=31)
            try:
                out = inflater.decompress(rest, BLOCK_BYTES)
            except zlib.error as error:
                raise errors.Refusal("damaged-file", f"The gzip file is damaged: {error}.") from error
            written += len(out)
            _check_expansion(read, written, limits)
            rest = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            if out:
                yield out
            if not out and not rest:
                break
    if not inflater.eof:
        raise errors.Refusal(
            "truncated-file", "The gzip file ends before its end mark; it was cut short. Send it again."
        )


def _check_expansion(read: int, written: int, limits: Limits) -> None:
    if written > limits.max_bytes or (written > limits.ratio_from and written > read * limits.max_ratio):
        raise errors.Refusal(
            "bomb",
            f"The file expands from {read:,} to more than {written:,} bytes, which no table does. Send it uncompressed.",
            {"compressed": read, "expanded": written},
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


def _encoding_by_mark(head: bytes) -> str:
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


def _from_utf16(first: bytes, blocks: Iterator[bytes], encoding: str) -> Iterator[Block]:
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")

    def utf8() -> Iterator[bytes]:
        yield decoder.decode(first).encode()
        for block in blocks:
            yield decoder.decode(block).encode()
        yield decoder.decode(b"", final=True).encode()

    for block in _at_lines(b"", utf8(), b"\n"):
        if b"\0" in block:
            raise errors.Refusal("not-csv", "The file has NUL characters, so it is not text. Send it as CSV in UTF-8.")
        yield Block(block, REPLACEMENT in block)


def _at_lines(first: bytes, blocks: Iterator[bytes], end: bytes) -> Iterator[bytes]:
    """The same bytes in blocks that end with a line, so that no character is split."""
    held = first
    for block in blocks:
        cut = held.rfind(end) + 1
        if cut:
            yield held[:cut]
        held = held[cut:] + block
        if len(held) > LONGEST_LINE:
            raise errors.Refusal(
                "not-csv", f"A line of the file is longer than {LONGEST_LINE:,} bytes, so it is no table."
            )
    if held:
        yield held
