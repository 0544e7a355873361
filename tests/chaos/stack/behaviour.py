"""What each type of probe does in a worker's child."""

import ctypes
import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Never

from sqlalchemy import text

from analytics import errors
from tests.chaos.stack.probes import Probe, ProbeType
from workers.running_job import RunningJob

CREDIT = text(
    "INSERT INTO account (organisation_id, balance) VALUES (:organisation, :n)"
    " ON CONFLICT (organisation_id) DO UPDATE SET balance = account.balance + :n"
)
LOG = text("INSERT INTO effect_log (job_id, organisation_id, attempt, n) VALUES (:job, :organisation, :attempt, :n)")
STEP_SECONDS = 0.1
HUGE_MESSAGE_BYTES = 50 * 1024 * 1024
DEAF_STEPS = 10**13
MEGABYTE = 1024 * 1024
# So large that it is never finished, and cannot be answered from statistics.
ENDLESS_QUERY = "SELECT count(*) FROM range(10000000) AS a(x), range(10000000) AS b(y) WHERE hash(x + y) % 7 = 3"


class PassingError(Exception):
    """An error that may pass by itself."""


class UnpicklableError(Exception):
    """An error that no other process can be told of: a lock belongs to its process."""

    def __init__(self) -> None:
        super().__init__("cannot be pickled")
        self.lock = threading.Lock()

    def __reduce__(self) -> Never:
        raise TypeError("cannot pickle this error")


def _credit(job: RunningJob, probe: Probe) -> None:
    with job.finish() as final:
        changed = {"job": job.id, "organisation": job.organisation_id, "attempt": job.attempt, "n": probe.n}
        final.session.execute(CREDIT, changed)
        final.session.execute(LOG, changed)


def _noop(job: RunningJob, _probe: Probe) -> None:
    with job.finish():
        pass


def _slow(job: RunningJob, probe: Probe) -> None:
    ends = time.monotonic() + probe.seconds
    while (left := ends - time.monotonic()) > 0:
        time.sleep(min(STEP_SECONDS, left))
        job.progress("sleep", round(probe.seconds - left), round(probe.seconds))
    _credit(job, probe)


def _gil(job: RunningJob, probe: Probe) -> None:
    # A library opened this way keeps the global lock during its calls, as a C extension that never lets go of it does.
    library = ctypes.PyDLL(None)
    ends = time.monotonic() + probe.seconds
    while (left := ends - time.monotonic()) > 0:
        library.usleep(round(left * 1_000_000))
    _credit(job, probe)


def _duckdb(job: RunningJob, probe: Probe) -> None:
    import duckdb  # noqa: PLC0415 - heavy

    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        connection.execute(ENDLESS_QUERY).fetchall()
    _credit(job, probe)


def _deaf(_job: RunningJob, _probe: Probe) -> None:
    sum(range(DEAF_STEPS))


def _transient(job: RunningJob, probe: Probe) -> None:
    if job.attempt <= probe.times:
        raise PassingError
    _credit(job, probe)


def _disk_full(job: RunningJob, probe: Probe) -> None:
    if job.attempt <= probe.times:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    _credit(job, probe)


def _permanent(_job: RunningJob, _probe: Probe) -> None:
    raise errors.Refusal("missing-columns", "A probe that is always refused.")


def _poison(_job: RunningJob, _probe: Probe) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _segv(_job: RunningJob, _probe: Probe) -> None:
    ctypes.string_at(0)


def _exit(_job: RunningJob, _probe: Probe) -> None:
    sys.exit(3)


def _raise_unpicklable(_job: RunningJob, _probe: Probe) -> None:
    raise UnpicklableError


def _raise_huge(_job: RunningJob, _probe: Probe) -> None:
    raise PassingError("x" * HUGE_MESSAGE_BYTES)


def _recurse(job: RunningJob, probe: Probe) -> None:
    _recurse(job, probe)


def _bomb(_job: RunningJob, probe: Probe) -> None:
    taken = [bytearray(os.urandom(4096)) * (MEGABYTE // 4096) for _ in range(probe.megabytes)]
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError(len(taken))


BEHAVIOUR: dict[ProbeType, Callable[[RunningJob, Probe], None]] = {
    ProbeType.NOOP: _noop,
    ProbeType.CREDIT: _credit,
    ProbeType.SLOW: _slow,
    ProbeType.GIL: _gil,
    ProbeType.DUCKDB: _duckdb,
    ProbeType.DEAF: _deaf,
    ProbeType.TRANSIENT: _transient,
    ProbeType.DISK_FULL: _disk_full,
    ProbeType.PERMANENT: _permanent,
    ProbeType.POISON: _poison,
    ProbeType.SEGV: _segv,
    ProbeType.EXIT: _exit,
    ProbeType.RAISE_UNPICKLABLE: _raise_unpicklable,
    ProbeType.RAISE_HUGE: _raise_huge,
    ProbeType.RECURSE: _recurse,
    ProbeType.BOMB: _bomb,
}
