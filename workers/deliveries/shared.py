"""What several receivers of one result have in common, made once: the rows of a filter, a file of a format, a picture.

It lies for a minute in files without a name, as `workers.kept_files` keeps them, under the result's own hash. Whatever is
taken from there is taken after a look whether the result is still kept: what was erased is not sent out of a file.
"""

import contextlib
import functools
import hashlib
import json
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from models import rendering_scratch, session, settings, shares
from models.base import Json
from models.result import StoredResult
from workers.kept_files import Reading, Shelf

if TYPE_CHECKING:
    from analytics.catalogue.filters import Filter
    from analytics.render.shares import Spool

SECONDS = 60.0
MOST_FILES = 256
# So many filters are served by one reading; each has a file open meanwhile.
MOST_TOGETHER = 100
_LENGTH = 8


class GoneError(Exception):
    """The result is not kept any more; a sentence."""


@dataclass(frozen=True, slots=True)
class Share:
    """The rows that a filter lets through: how many, and how long each of their chunks is."""

    row_count: int
    sizes: list[int]


@dataclass(frozen=True, slots=True)
class Source:
    """A stored result, as it is shared out.

    Attributes:
        whole: its header, by which filters are judged.
        chunks: reads it chunk by chunk.
    """

    job_id: uuid.UUID
    stored: StoredResult
    whole: Mapping[str, Any]
    chunks: Callable[[], Iterator[bytes]]

    def name(self, filter_: Json | None, what: str) -> str:
        """Return under which name something of a filter's rows is kept: nothing of another filter, and of no other result."""
        return f"{self.job_id}/{self.stored.sha256}/{_digest(filter_)}/{what}"


def share(source: Source, filter_: Json) -> Share:
    """Return what a filter lets through; what is due for others of this result is read along with it.

    Raises:
        GoneError: the result was removed.
        row_filters.UnfitError: the filter does not suit the rows.
    """
    with contextlib.closing(_rows(source, filter_)) as reading:
        return _index(reading)[0]


def pieces(source: Source, filter_: Json) -> Generator[bytes]:
    """Yield those rows as chunks; the exceptions are those of `share`."""
    with contextlib.closing(_rows(source, filter_)) as reading:
        found, at = _index(reading)
        for size in found.sizes:
            yield b"".join(reading.pieces(range(at, at + size)))
            at += size


def file(source: Source, filter_: Json | None, what: str, make: Callable[[Path], Path]) -> Reading:
    """Return a file made of a filter's rows, or of all; `make` makes it in a folder, unless it is there.

    Raises:
        GoneError: the result was removed.
    """
    _demand_kept(source)

    def made() -> BinaryIO:
        with rendering_scratch.folder() as folder:
            return make(folder).open("rb")

    return shelf().find_or_make(source.name(filter_, what), made)


def forget_removed() -> None:
    """Let go of everything whose result is not kept any more."""
    names = shelf().names()
    if not names:
        return
    ids = {uuid.UUID(name.partition("/")[0]) for name in names}
    with session.transaction() as db:
        kept = shares.results_kept(db, ids)
    shelf().drop(name for name in names if uuid.UUID(name.partition("/")[0]) not in kept)


@functools.cache
def _of_process(pid: int) -> tuple[Shelf, "_Turns"]:  # noqa: ARG001 - the pid is the cache's key: a descriptor is a process's own
    return Shelf(settings.load().rendered_bytes, seconds=SECONDS, most_files=MOST_FILES), _Turns()


def shelf() -> Shelf:
    return _of_process(os.getpid())[0]


class _Turns:
    """One at a time for each result: whoever waits finds what the one before has read for all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[uuid.UUID, tuple[threading.Lock, int]] = {}

    @contextlib.contextmanager
    def of(self, job_id: uuid.UUID) -> Iterator[None]:
        with self._lock:
            turn, count = self._waiting.get(job_id, (threading.Lock(), 0))
            self._waiting[job_id] = turn, count + 1
        try:
            with turn:
                yield
        finally:
            with self._lock:
                turn, count = self._waiting.pop(job_id)
                if count > 1:
                    self._waiting[job_id] = turn, count - 1


def _rows(source: Source, filter_: Json) -> Reading:
    _demand_kept(source)
    name = source.name(filter_, "rows")
    found = shelf().find(name)
    if found is not None:
        return found
    with _of_process(os.getpid())[1].of(source.job_id):
        return shelf().find(name) or _read_together(source, filter_)


def _read_together(source: Source, filter_: Json) -> Reading:
    """Read the result once, for this filter and for those that others wait with, and keep what each lets through."""
    from analytics.render import shares as sharing  # noqa: PLC0415 - heavy

    wanted = _wanted(source, filter_)
    own = None
    with rendering_scratch.folder() as folder:
        spools = sharing.share_out(source.chunks(), [node for _, node in wanted], source.whole, folder)
        for (name, _), spool in zip(wanted, spools, strict=True):
            reading = shelf().find_or_make(name, functools.partial(_packed, spool, folder))
            if own is None:
                own = reading
            else:
                reading.close()
    if own is None:
        raise AssertionError("nobody wanted anything")
    return own


def _wanted(source: Source, own: Json) -> "list[tuple[str, Filter]]":
    """Return names and filters of what is read together, the own one first; of others those that suit, and have no file yet."""
    from analytics.catalogue import row_filters  # noqa: PLC0415 - with what is heavy
    from analytics.render import parts  # noqa: PLC0415 - heavy

    found = {source.name(own, "rows"): parts.fitting(own, source.whole)}
    # Worst of all, every filter lets everything through.
    room = settings.load().rendered_bytes // max(1, source.stored.byte_count)
    most = max(1, min(MOST_TOGETHER, room))
    with session.transaction() as db:
        others = shares.filters_waiting(db, source.job_id)
    known = set(shelf().names())
    for other in others:
        name = source.name(other, "rows")
        if len(found) < most and name not in known and name not in found:
            with contextlib.suppress(row_filters.UnfitError):
                found[name] = parts.fitting(other, source.whole)
    return list(found.items())


def _packed(spool: "Spool", folder: Path) -> BinaryIO:
    """Write a share into one file: the length of the index, the index, the chunks."""
    # Each a file of its own: one that is written over would change under whoever has it open.
    with tempfile.TemporaryFile(dir=folder) as body:
        sizes = [body.write(piece) for piece in spool.pieces()]
        index = json.dumps({"row_count": spool.row_count, "sizes": sizes}).encode()
        packed = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - the shelf closes it
        packed.write(len(index).to_bytes(_LENGTH, "big") + index)
        body.seek(0)
        shutil.copyfileobj(body, packed)
    packed.flush()
    return packed


def _index(reading: Reading) -> tuple[Share, int]:
    """Return what is in a file, and where its chunks begin."""
    length = int.from_bytes(b"".join(reading.pieces(range(_LENGTH))), "big")
    end = _LENGTH + length
    return Share(**json.loads(b"".join(reading.pieces(range(_LENGTH, end))))), end


def _demand_kept(source: Source) -> None:
    with session.transaction() as db:
        kept = shares.results_kept(db, {source.job_id})
    if not kept:
        forget_removed()
        raise GoneError("The result is not kept any more.")


def _digest(filter_: Json | None) -> str:
    """Return what stands for a filter: the same for one that is written in another order, and for no other."""
    if filter_ is None:
        return "all"
    return hashlib.sha256(json.dumps(filter_, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
