"""What each child of this worker is doing, in memory that the parent and its children share.

The database says which jobs are this worker's; only the child knows which of them it is still working at. The heart compares
the two: leases are renewed for what is really being worked at, and a child that works at what is no longer its own is ended.
"""

import functools
import mmap
import os
import struct
import uuid
from dataclasses import dataclass

from billiard import process

# pid, attempt, job id. A child writes its own entry only, and the parent believes what it has read twice.
_ENTRY = struct.Struct("=II16s")
ENTRIES = 512
NOTHING = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True)
class Work:
    """A child at work. Attempt 0: it is about to claim the job."""

    pid: int
    job_id: uuid.UUID
    attempt: int


class Workboard:
    """One entry for each place in the pool. Made before the first fork."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, ENTRIES * _ENTRY.size)

    def write(self, job_id: uuid.UUID, attempt: int) -> None:
        """Say what this child is working at."""
        _ENTRY.pack_into(self._memory, _place() * _ENTRY.size, os.getpid(), attempt, job_id.bytes)

    def wipe(self) -> None:
        """Say that this child is working at nothing."""
        self.write(NOTHING, 0)

    def read(self) -> dict[uuid.UUID, Work]:
        """Return what the children are working at, by job."""
        found: dict[uuid.UUID, Work] = {}
        for pid, attempt, raw in _ENTRY.iter_unpack(self._memory[:]):
            job_id = uuid.UUID(bytes=raw)
            if job_id != NOTHING:
                found[job_id] = Work(pid, job_id, attempt)
        return found

    def forget(self, pid: int) -> None:
        """Wipe the entry of a child that is gone."""
        for place in range(ENTRIES):
            if _ENTRY.unpack_from(self._memory, place * _ENTRY.size)[0] == pid:
                _ENTRY.pack_into(self._memory, place * _ENTRY.size, 0, 0, NOTHING.bytes)


def _place() -> int:
    """Return this child's place in the pool: a replacement takes the place of the one that died."""
    return int(process.current_process().index) % ENTRIES


@functools.cache
def board() -> Workboard:
    return Workboard()
