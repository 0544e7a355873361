"""Chaos runs on one machine take turns: two that ran side by side would measure each other."""

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

# So many at once disturb each other no more than their faults do.
PLACES = 2
PAUSE_SECONDS = 1.0


@contextlib.contextmanager
def taken(say: Callable[[str], None]) -> Iterator[None]:
    """Wait for one of the places; it is free again at the end, or when this process dies."""
    folder = Path(tempfile.gettempdir()) / f"reckoner-chaos-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context((folder / f"turn-{place}").open("w")) for place in range(PLACES)]
        if not any(_try(file.fileno()) for file in files):
            say("waiting for another chaos run on this machine to end")
            while not any(_try(file.fileno()) for file in files):
                time.sleep(PAUSE_SECONDS)
        yield


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
