"""Results that were rendered into files, kept for a few minutes: whoever reads a part will want the next one.

The files have no names: they are gone when this process lets go of them, however it ends, and nobody else can open them.
They go after `SECONDS` without use, and earlier where they take more room than there is for them.
"""

import functools
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from models import settings

SECONDS = 300.0
MOST_FILES = 64
READ_BYTES = 64 * 1024


@dataclass(eq=False, slots=True)
class _Kept:
    file: BinaryIO
    size: int
    used_at: float
    readers: int = 0


@dataclass(eq=False, slots=True)
class Reading:
    """A rendered file in the hands of one reader, who closes it in the end."""

    _kept: _Kept
    _shelf: "Shelf"
    _is_closed: bool = False

    @property
    def size(self) -> int:
        return self._kept.size

    def pieces(self, part: range) -> Iterator[bytes]:
        """Yield some of its bytes. Several may read at once: none moves the place where another reads."""
        at = part.start
        while at < part.stop:
            piece = os.pread(self._kept.file.fileno(), min(READ_BYTES, part.stop - at), at)
            if not piece:
                raise OSError(f"a rendered file ends at {at} and not at {self.size}")
            yield piece
            at += len(piece)

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._shelf.give_back(self._kept)


@dataclass(slots=True)
class Shelf:
    """The rendered files of a process."""

    room: int
    seconds: float = SECONDS
    most_files: int = MOST_FILES
    _files: dict[str, _Kept] = field(default_factory=dict)
    _being_made: dict[str, threading.Lock] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _timer: threading.Timer | None = None

    def find(self, name: str) -> Reading | None:
        """Return a file that is there."""
        with self._lock:
            found = self._files.get(name)
            return self._lend(found) if found is not None else None

    def find_or_make(self, name: str, make: Callable[[], BinaryIO]) -> Reading:
        """Return a file; of those who want the same at once, one makes it and the others wait."""
        with self._lock:
            turn = self._being_made.setdefault(name, threading.Lock())
        try:
            with turn:
                return self.find(name) or self._keep(name, make())
        finally:
            with self._lock:
                if not turn.locked():
                    self._being_made.pop(name, None)

    def give_back(self, kept: _Kept) -> None:
        with self._lock:
            kept.readers -= 1
            kept.used_at = time.monotonic()
            if kept.readers == 0 and kept not in self._files.values():
                kept.file.close()
        self.tidy()

    def tidy(self) -> None:
        """Let go of what has not been used for long, and of what has been used least lately where there is too little room."""
        with self._lock:
            now = time.monotonic()
            count, size = len(self._files), sum(kept.size for kept in self._files.values())
            for name, kept in sorted(self._files.items(), key=lambda item: item[1].used_at):
                crowded = count > self.most_files or size > self.room
                if kept.readers == 0 and (crowded or now - kept.used_at >= self.seconds):
                    del self._files[name]
                    kept.file.close()
                    count, size = count - 1, size - kept.size
            self._look_again()

    def names(self) -> list[str]:
        """Return what is there."""
        with self._lock:
            return list(self._files)

    def drop(self, names: Iterable[str]) -> None:
        """Let go of files that nobody may have any more; whoever reads one at this moment lets go of it in the end."""
        with self._lock:
            for name in names:
                kept = self._files.pop(name, None)
                if kept is not None and kept.readers == 0:
                    kept.file.close()

    def clear(self) -> None:
        """Let go of all that nobody reads; readers let go of theirs themselves."""
        with self._lock:
            for kept in self._files.values():
                if kept.readers == 0:
                    kept.file.close()
            self._files = {}
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _keep(self, name: str, file: BinaryIO) -> Reading:
        kept = _Kept(file, os.fstat(file.fileno()).st_size, time.monotonic())
        with self._lock:
            # Two may have made the same after all; the readers of the one that goes let go of it themselves.
            earlier = self._files.get(name)
            if earlier is not None and earlier.readers == 0:
                earlier.file.close()
            self._files[name] = kept
            reading = self._lend(kept)
        self.tidy()
        return reading

    def _lend(self, kept: _Kept) -> Reading:
        kept.readers += 1
        kept.used_at = time.monotonic()
        return Reading(kept, self)

    def _look_again(self) -> None:
        """See to it that a file goes in time although nobody asks for another."""
        if self._files and self._timer is None:
            self._timer = threading.Timer(self.seconds, self._timed)
            self._timer.daemon = True
            self._timer.start()

    def _timed(self) -> None:
        with self._lock:
            self._timer = None
        self.tidy()


@functools.cache
def _shelf_of_process(pid: int) -> Shelf:  # noqa: ARG001 - the pid is the cache's key: a descriptor is a process's own
    return Shelf(settings.load().rendered_bytes)


def shelf() -> Shelf:
    return _shelf_of_process(os.getpid())
