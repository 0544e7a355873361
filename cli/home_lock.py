"""One `reckoner up` per home: a lock that the kernel drops with the process that holds it, however that process ends."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

FILE_NAME = "up.lock"


class AlreadyLockedError(RuntimeError):
    """Another process has the home; `pid` is who, where that could be read."""

    def __init__(self, pid: int | None) -> None:
        super().__init__(f"another process (pid {pid or 'unknown'}) has this home")
        self.pid = pid


@contextlib.contextmanager
def hold(home: Path) -> Iterator[None]:
    """Have the home to oneself for the length of the block.

    The file stays: removing it would let two processes lock two files of one name.

    Raises:
        AlreadyLockedError: somebody else has it.
    """
    descriptor = os.open(home / FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            written = os.pread(descriptor, 32, 0).strip()
            raise AlreadyLockedError(int(written) if written.isdigit() else None) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
