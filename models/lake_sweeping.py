"""Removes the files of a table that no version needs any more: those of versions that are gone, and what dead jobs left."""

from collections.abc import Collection
from dataclasses import dataclass

from models.lake import LakeTable, maker_of
from models.lake_retention import Keep
from models.lake_storage import Stored


@dataclass(frozen=True, slots=True)
class Rubbish:
    """Files that no kept version names and no unfinished job has placed."""

    files: tuple[Stored, ...]

    @property
    def bytes(self) -> int:
        """How much they hold. A file with two names counts under each."""
        return sum(file.size for file in self.files)


def find(table: LakeTable, listing: Collection[Stored], keep: Keep, *, young_seconds: float) -> Rubbish:
    """Find what can be removed.

    Args:
        table: the table.
        listing: what lay in its folder, looked at before `keep` was asked for.
        keep: what has to stay.
        young_seconds: files younger than this stay, whoever placed them.
    """
    idle = [file for file in listing if file.age_seconds >= young_seconds and _is_left_alone(file, keep.busy)]
    if not idle:
        return Rubbish(())
    needed = _needed(table, keep)
    return Rubbish(tuple(file for file in idle if file.path not in needed))


def remove(table: LakeTable, rubbish: Rubbish) -> None:
    for file in rubbish.files:
        table.storage.discard(file.path)


def _is_left_alone(file: Stored, busy: Collection[str]) -> bool:
    """Whether no job that may still commit has placed it. What has no maker's name is not ours to remove."""
    maker = maker_of(file.path)
    return maker is not None and maker not in busy


def _needed(table: LakeTable, keep: Keep) -> frozenset[str]:
    """The files of every kept version. What the database has not noted yet counts as kept."""
    newest = table.newest_version()
    if newest is None:
        return frozenset()
    oldest = max(keep.leaving, default=-1) + 1
    # From here on all versions are kept, and the log tells their files in one go.
    paths = set(table.paths_named(since=min(oldest, newest)))
    for version in keep.versions:
        if version < oldest:
            paths |= table.paths_at(version)
    return frozenset(paths)
