"""Where results are rendered: all in it is named after its process, so that what a killed one left is known and removed."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from models import settings

# What has no process's name was made by another release.
FOREIGN_SECONDS = 3600.0


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Make an empty folder, which is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=parent(), prefix=prefix()) as made:
        yield Path(made)


def parent() -> Path:
    made = settings.load().rendering_folder
    made.mkdir(mode=0o700, parents=True, exist_ok=True)
    return made


def prefix() -> str:
    """Return how the names of this process begin."""
    return f"{os.getpid()}-"


def remove_of_the_dead(alive: Collection[int]) -> None:
    """Remove what processes of this machine have left that are not alive any more."""
    for path in parent().iterdir():
        pid = path.name.partition("-")[0]
        with contextlib.suppress(OSError):
            is_dead = (
                int(pid) not in alive if pid.isdecimal() else time.time() - path.lstat().st_mtime > FOREIGN_SECONDS
            )
            if is_dead:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
