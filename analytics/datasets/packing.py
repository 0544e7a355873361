"""Undoes the compression of a file, piece by piece: gzip, zstd, or zip with one member, with limits against bombs."""

import struct
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

import pyarrow as pa

from analytics import errors

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# A frame that decoders pass over; some tools write one first.
ZSTD_SKIPPABLE = b"\x2a\x4d\x18"
ZIP_MAGIC = b"PK\x03\x04"
EMPTY_ZIP_MAGIC = b"PK\x05\x06"
PIECE_BYTES = 1024**2
HEAD_BYTES = 64 * 1024
# The list of a zip's members is read whole, so its length is looked at before.
MOST_MEMBERS_BYTES = 4 * 1024**2
END_OF_ZIP = struct.Struct("<4s4H2LH")
END_OF_ZIP64 = struct.Struct("<4sQ2H2L4Q")
LISTED_MEMBERS = 20
ENCRYPTED = 0x1

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a compressed file may expand: a ratio that is looked at from `ratio_from` bytes on, and a size."""

    max_bytes: int = 256 * 1024**3
    max_ratio: int = 200
    ratio_from: int = 64 * 1024**2

    def check(self, read: int, written: int) -> None:
        """Stop where too much came out of what was read.

        Raises:
            errors.Refusal: `bomb`.
        """
        if written > self.max_bytes or (written > self.ratio_from and written > read * self.max_ratio):
            raise errors.Refusal(
                "bomb",
                f"The file expands from {read:,} to more than {written:,} bytes, which no table does. "
                "Send it uncompressed.",
                {"compressed": read, "expanded": written},
            )


class Packed:
    """One file whose content may be read several times, each time from its beginning.

    Attributes:
        compression: what was undone, if anything.
    """

    def __init__(self, path: Path, *, limits: Limits) -> None:
        self.path = path
        self.limits = limits
        self.size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(4)
        self.compression = _compression(start)
        self._member: str | None = None
        if self.compression == "zip":
            with open_zip(path) as archive:
                if is_package(archive):
                    self.compression = None
                else:
                    self._member = _only_member(archive)

    def head(self) -> bytes:
        """The first bytes of the content."""
        head = b""
        for piece in self.pieces(lambda _done, _total: None):
            head += piece[:HEAD_BYTES]
            if len(head) >= HEAD_BYTES:
                break
        return head[:HEAD_BYTES]

    def pieces(self, progress: Progress) -> Iterator[bytes]:
        """The content in pieces of bounded size, however far it expands.

        Raises:
            errors.Refusal: `truncated-file`, `damaged-file`, `bomb`.
        """
        with self.path.open("rb") as file:
            for piece in self._expanded(file):
                progress(min(file.tell(), self.size), self.size)
                yield piece
            progress(self.size, self.size)

    def _expanded(self, file: BinaryIO) -> Iterator[bytes]:
        match self.compression:
            case "gzip":
                return _gunzip(file, self.limits)
            case "zstd":
                return _unzstd(file, self.limits)
            case "zip":
                return self._unzip(file)
            case _:
                return iter(lambda: file.read(PIECE_BYTES), b"")

    def _unzip(self, file: BinaryIO) -> Iterator[bytes]:
        with open_zip(file) as archive:
            info = archive.getinfo(self._member or "")
            yield from read_member(archive, info, self.limits)


def spool(packed: Packed, folder: Path | None) -> IO[bytes]:
    """The content in a file of its own, for formats that are not read from front to back; it goes with its last user."""
    file = tempfile.NamedTemporaryFile(dir=folder, delete=False)  # noqa: SIM115 - the reader that gets it keeps it open
    # Who refuses the file on the way leaves it to the garbage collector, which takes things apart in any order and late,
    # when its folder may be gone.
    weakref.finalize(file, _discard, file.file, Path(file.name))
    for piece in packed.pieces(lambda _done, _total: None):
        file.write(piece)
    file.flush()
    file.seek(0)
    return file


def _discard(file: IO[bytes], path: Path) -> None:
    file.close()
    path.unlink(missing_ok=True)


def open_zip(source: Path | IO[bytes]) -> zipfile.ZipFile:
    """A zip whose list of members is of reasonable length.

    Raises:
        errors.Refusal: `damaged-file` or `bomb`.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            _check_directory(file)
    else:
        _check_directory(source)
    try:
        return zipfile.ZipFile(source)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, struct.error, OSError) as error:
        raise errors.Refusal(
            "damaged-file", f"The zip file is damaged or cut short: {error}. Make it again.", {"reason": str(error)}
        ) from error


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: Limits) -> Iterator[bytes]:
    """One member's content.

    Raises:
        errors.Refusal: `damaged-file`, `bomb`, or `unsupported-format` where it is encrypted or packed unusually.
    """
    if info.flag_bits & ENCRYPTED:
        raise errors.Refusal(
            "unsupported-format",
            "The zip file is protected by a password. Send the file inside it as it is.",
            {"format": "encrypted zip"},
        )
    written = 0
    try:
        with archive.open(info) as member:
            while piece := member.read(PIECE_BYTES):
                written += len(piece)
                limits.check(info.compress_size, written)
                yield piece
    except NotImplementedError as error:
        raise errors.Refusal(
            "unsupported-format",
            f"The zip file is packed in a way that is not read ({error}). Compress the file with gzip instead.",
            {"format": "zip"},
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OSError) as error:
        raise errors.Refusal(
            "damaged-file", f"The zip file is damaged: {error}. Make it again.", {"reason": str(error)}
        ) from error


def is_package(archive: zipfile.ZipFile) -> bool:
    """Whether a zip is an office document rather than a parcel."""
    return "[Content_Types].xml" in archive.NameToInfo or "mimetype" in archive.NameToInfo


def _compression(start: bytes) -> str | None:
    if start.startswith(GZIP_MAGIC):
        return "gzip"
    if start.startswith(ZSTD_MAGIC) or (start[1:4] == ZSTD_SKIPPABLE and start[0] >> 4 == 5):
        return "zstd"
    return "zip" if start in (ZIP_MAGIC, EMPTY_ZIP_MAGIC) else None


def _only_member(archive: zipfile.ZipFile) -> str:
    names = [
        info.filename
        for info in archive.infolist()
        if not info.is_dir() and not info.filename.startswith("__MACOSX/") and not info.filename.endswith(".DS_Store")
    ]
    if len(names) == 1:
        return names[0]
    if not names:
        raise errors.Refusal("empty-file", "The zip file has no file in it.")
    listed = ", ".join(repr(name[:100]) for name in names[:LISTED_MEMBERS])
    raise errors.Refusal(
        "several-members",
        f"The zip file has {len(names)} files in it: {listed}. Send one of them.",
        {"members": [name[:200] for name in names[:200]]},
    )


def _check_directory(file: IO[bytes]) -> None:
    """Look where the list of members is said to end, as Python's zipfile does, before that reads it."""
    size = file.seek(0, 2)
    start = max(0, size - END_OF_ZIP.size - 0xFFFF - 76)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(EMPTY_ZIP_MAGIC)
    if at < 0 or at + END_OF_ZIP.size > len(tail):
        raise errors.Refusal(
            "truncated-file", "The zip file ends before its list of members; it was cut short. Send it again."
        )
    length = END_OF_ZIP.unpack_from(tail, at)[5]
    before = at - 20 - END_OF_ZIP64.size
    if length == 0xFFFFFFFF and before >= 0 and tail[before : before + 4] == b"PK\x06\x06":
        length = END_OF_ZIP64.unpack_from(tail, before)[8]
    if min(length, size) > MOST_MEMBERS_BYTES:
        raise errors.Refusal(
            "bomb",
            f"The zip file lists its members in {length:,} bytes, which no export does. Send one file.",
            {"directory_bytes": length},
        )
    file.seek(0)


def _gunzip(file: BinaryIO, limits: Limits) -> Iterator[bytes]:
    """Every member of a gzip file, in pieces of bounded size however far it expands."""
    inflater = zlib.decompressobj(wbits=31)
    read = written = 0
    while piece := file.read(PIECE_BYTES):
        read += len(piece)
        rest = piece
        while rest:
            if inflater.eof:
                if not rest.strip(b"\0"):
                    break  # Tapes and some uploads pad the end with zeros.
                inflater = zlib.decompressobj(wbits=31)
            try:
                out = inflater.decompress(rest, PIECE_BYTES)
            except zlib.error as error:
                raise errors.Refusal("damaged-file", f"The gzip file is damaged: {error}.") from error
            written += len(out)
            limits.check(read, written)
            rest = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            if out:
                yield out
            if not out and not rest:
                break
    if not inflater.eof:
        raise errors.Refusal(
            "truncated-file", "The gzip file ends before its end mark; it was cut short. Send it again."
        )


def _unzstd(file: BinaryIO, limits: Limits) -> Iterator[bytes]:
    """All frames of a zstd file. One that asks for a window of more than 128 MB is refused by the library."""
    written = 0
    try:
        with pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd") as stream:
            while piece := stream.read(PIECE_BYTES):
                written += len(piece)
                limits.check(max(file.tell(), 1), written)
                yield piece
    except OSError as error:
        reason = str(error)
        if "Truncated" in reason:
            raise errors.Refusal(
                "truncated-file", "The zstd file ends before its end mark; it was cut short. Send it again."
            ) from error
        if "too much memory" in reason:
            raise errors.Refusal(
                "bomb", "The zstd file asks for more than 128 MB to be unpacked. Compress it without --long or --ultra."
            ) from error
        raise errors.Refusal("damaged-file", f"The zstd file is damaged: {reason}.") from error
