"""The log of a table, entry by entry, where the Delta library would read more of it, or tell less."""

import json
from collections.abc import Iterator
from typing import Any

from models.lake_storage import LOG, Storage


def files_added(storage: Storage, version: int) -> Iterator[str]:
    """The files that joined the table in a version."""
    return (action["add"]["path"] for action in _entry(storage, version) if "add" in action)


def commit_info(storage: Storage, version: int) -> dict[str, Any]:
    """What the commit of a version said of itself.

    Not by `DeltaTable.history`: that reads all of the log, and from its end, whichever version is open.
    """
    said = [action["commitInfo"] for action in _entry(storage, version) if "commitInfo" in action]
    return dict(said[0]) if said else {}


def checkpointed(storage: Storage) -> int | None:
    """The newest version that can be opened without reading the entries before it; None: there is none yet."""
    try:
        return int(json.loads(storage.read(f"{LOG}/_last_checkpoint"))["version"])
    except FileNotFoundError:
        return None


def _entry(storage: Storage, version: int) -> Iterator[dict[str, Any]]:
    return map(json.loads, storage.read(f"{LOG}/{version:020}.json").splitlines())
