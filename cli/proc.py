"""What the kernel tells of a process without its help, and a way to kill exactly that process. Linux only, like the supervisor."""

import dataclasses
import os
import signal
import time
from pathlib import Path
from typing import Self

_TICKS = os.sysconf("SC_CLK_TCK")
# Positions in /proc/PID/stat after the name, which is in brackets and may hold anything.
_PARENT, _STARTED = 1, 19


@dataclasses.dataclass(frozen=True, slots=True)
class Proc:
    """A running process. Its age goes by a clock that nobody sets."""

    pid: int
    parent: int
    started_ticks: int

    @classmethod
    def find(cls, pid: int | None, *, parent: int | None = None) -> Self | None:
        """Return the process of a number, if there is one, and if it is a child of `parent` where that is given."""
        if pid is None:
            return None
        try:
            stat = (Path("/proc") / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = stat.rpartition(")")[2].split()
        found = cls(pid, int(fields[_PARENT]), int(fields[_STARTED]))
        return found if parent is None or found.parent == parent else None

    @property
    def age(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self.started_ticks / _TICKS

    def turns(self) -> int | None:
        """Return how often its main thread has gone to sleep by itself. Who waits in a loop does, who is frozen does not."""
        try:
            status = (Path("/proc") / str(self.pid) / "status").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return None
        lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        return int(lines["voluntary_ctxt_switches"])

    def kill(self) -> bool:
        """Kill this process and no other that has its number by now; False: it has ended already."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            # The descriptor holds on to whoever has the number now; only then is it asked whether that is the same one.
            if type(self).find(self.pid, parent=self.parent) != self:
                return False
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True
