"""The files of a version as files of this machine. Those of an object store are fetched once and kept for a while.

A file of the lake never changes under its name, so a copy is as good as the file for as long as it lies there.
"""

import os
import time
import uuid
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

from models import settings
from models.lake import LakeFile, LakeSnapshot, LakeTable

# So many are fetched at once; more would only share the same network.
FETCHERS = 4
# What nobody has asked for during so long goes, whether or not the room is needed.
UNUSED_SECONDS = 24 * 3600


class CutShort(OSError):  # noqa: N818 - the name says what happened
    """A file of the lake came with another size than the log gives it."""


def local_files(
    table: LakeTable, snapshot: LakeSnapshot, *, only: tuple[LakeFile, ...] | None = None
) -> tuple[str, ...]:
    """Return local paths of a version's files, in their order, or of some of them.

    They may be relied upon for as long as any job may run.

    Raises:
        CutShort: the object store has sent less than it should, or more.
    """
    wanted = snapshot.contents if only is None else only
    if table.is_local:
        return tuple(file.address for file in wanted)
    folder = _folder_of(table)
    folder.mkdir(parents=True, exist_ok=True)
    _make_room(sum(file.size for file in wanted))
    with futures.ThreadPoolExecutor(FETCHERS) as pool:
        return tuple(pool.map(lambda file: str(_fetched(table, file, folder)), wanted))


def _folder_of(table: LakeTable) -> Path:
    organisation, dataset = table.uri.rstrip("/").split("/")[-2:]
    return settings.load().lake_cache_folder / organisation / dataset


def _fetched(table: LakeTable, file: LakeFile, folder: Path) -> Path:
    path = table.path(file.address)
    kept = folder / path
    try:
        # From now on it is in use again.
        os.utime(kept)
    except FileNotFoundError:
        _fetch(table, file, kept)
    return kept


def _fetch(table: LakeTable, file: LakeFile, kept: Path) -> None:
    """Fetch a file whole or not at all; two processes that do it at once do no harm."""
    partial = kept.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        table.storage.fetch(table.path(file.address), partial)
        size = partial.stat().st_size
        if size != file.size:
            raise CutShort(f"{file.address} has {file.size} bytes, and {size} came")
        partial.replace(kept)
    finally:
        partial.unlink(missing_ok=True)


def _make_room(needed: int) -> None:
    """Remove what is not used any more: by anything at all, or, where room is short, by any job that may still run."""
    configured = settings.load()
    now = time.time()
    found = sorted(_kept(configured.lake_cache_folder), key=lambda one: one[1])
    excess = sum(size for _, _, size in found) + needed - configured.lake_cache_bytes
    for path, used_at, size in found:
        unused = now - used_at
        if unused > UNUSED_SECONDS or (excess > 0 and unused > configured.longest_limit_seconds):
            path.unlink(missing_ok=True)
            excess -= size


def _kept(folder: Path) -> Iterator[tuple[Path, float, int]]:
    for path in folder.glob("*/*/*"):
        try:
            stat = path.stat()
        except FileNotFoundError:
            # Another process has removed it.
            continue
        yield path, stat.st_mtime, stat.st_size
