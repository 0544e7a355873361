"""Where a table's files lie: a folder, or an object store. What is placed is on disk before anything refers to it."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.fs import fs_handler
from pyarrow import fs

LOG = "_delta_log"
BLOCK = 8 * 1024**2


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that lies in a table's folder, whether or not a version names it."""

    path: str
    size: int
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Extent:
    """How large a Parquet file is."""

    size: int
    rows: int


class Storage(Protocol):
    """The files of one table, by their paths in it."""

    def place(self, source: Path, path: str) -> None:
        """Take over a local file under this path."""

    def name_again(self, path: str, second: str) -> None:
        """Give a file a second path, without copying it through this machine."""

    def discard(self, path: str) -> None:
        """Remove a path; that it is not there is no error."""

    def extent(self, path: str) -> Extent: ...

    def listing(self) -> list[Stored]:
        """Return every file of the table that is no part of its log, half-written ones among them."""

    def holds(self, paths: Collection[str]) -> bool:
        """Whether all these files are there."""

    def read(self, path: str) -> bytes: ...

    def fetch(self, path: str, target: Path) -> None:
        """Copy a file to this machine."""

    def sync_log(self) -> None:
        """Make the newest entry of the log survive a loss of power."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A table in a folder of this machine, or of a file system that all workers share."""

    root: Path

    def place(self, source: Path, path: str) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        _link_or_copy(source, self.root / path)
        _sync_folder(self.root)

    def name_again(self, path: str, second: str) -> None:
        _link_or_copy(self.root / path, self.root / second)
        _sync_folder(self.root)

    def discard(self, path: str) -> None:
        (self.root / path).unlink(missing_ok=True)

    def extent(self, path: str) -> Extent:
        file = self.root / path
        return Extent(file.stat().st_size, int(pq.read_metadata(file).num_rows))

    def listing(self) -> list[Stored]:
        if not self.root.is_dir():
            return []
        now = self._now()
        return list(self._entries(now))

    def holds(self, paths: Collection[str]) -> bool:
        return all((self.root / path).is_file() for path in paths)

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def fetch(self, path: str, target: Path) -> None:
        shutil.copyfile(self.root / path, target)

    def sync_log(self) -> None:
        log = self.root / LOG
        _sync_file(max(log.glob("*.json")))
        _sync_folder(log)

    def _entries(self, now: float) -> Iterator[Stored]:
        for entry in os.scandir(self.root):
            # A running job may discard what it has placed while this looks.
            with contextlib.suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False):
                    stat = entry.stat(follow_symlinks=False)
                    yield Stored(entry.name, stat.st_size, now - stat.st_mtime)

    def _now(self) -> float:
        """The time by the clock that dates the folder's files, which may not be that of this machine."""
        with tempfile.NamedTemporaryFile(dir=self.root, prefix=".now-") as mark:
            return Path(mark.name).stat().st_mtime


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """A table in an object store, where a file is there whole or not at all."""

    uri: str
    options: Mapping[str, str] | None

    def place(self, source: Path, path: str) -> None:
        stream = self._handler().open_output_stream(path, None)
        with source.open("rb") as file:
            while piece := file.read(BLOCK):
                stream.write(piece)
        stream.close()

    def name_again(self, path: str, second: str) -> None:
        self._handler().copy_file(path, second)

    def discard(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._handler().delete_file(path)

    def extent(self, path: str) -> Extent:
        with self._open(path) as file:
            return Extent(int(file.size()), int(pq.read_metadata(file).num_rows))

    def listing(self) -> list[Stored]:
        now = datetime.now(UTC)
        return [
            Stored(info.path, int(info.size), (now - info.mtime).total_seconds())
            for info in self._handler().get_file_info_selector("", True, False)
            if info.type == fs.FileType.File
        ]

    def holds(self, paths: Collection[str]) -> bool:
        return not set(paths) - {stored.path for stored in self.listing()}

    def read(self, path: str) -> bytes:
        with self._open(path) as file:
            return bytes(file.read())

    def fetch(self, path: str, target: Path) -> None:
        with self._open(path) as file, target.open("wb") as written:
            while piece := file.read(BLOCK):
                written.write(piece)

    def sync_log(self) -> None:
        """An object is durable once it is written."""

    def _open(self, path: str) -> Any:
        return pa.PythonFile(self._handler().open_input_file(path), mode="r")

    def _handler(self) -> Any:
        # The handler below PyArrow's file system: PyArrow hands it buffers, and it wants bytes.
        options = dict(self.options) if self.options else None
        return fs_handler.DeltaStorageHandler(self.uri, options)._handler  # noqa: SLF001 - see above


def of(uri: str, options: Mapping[str, str] | None) -> Storage:
    return ObjectStore(uri, options) if "://" in uri else Folder(Path(uri))


def _link_or_copy(source: Path, target: Path) -> None:
    """The same bytes under another name, on disk before anything refers to them."""
    try:
        target.hardlink_to(source)
    except FileNotFoundError:
        raise
    except OSError:
        # Another file system, or one without links. A copy that is cut short never gets the target's name.
        partial = target.with_suffix(".partial")
        shutil.copyfile(source, partial)
        _sync_file(partial)
        partial.rename(target)
    else:
        _sync_file(target)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
