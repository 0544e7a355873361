"""How far an import is: which phase, how many rows, and how long the rest may take."""

import enum
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

LOOK_SECONDS = 0.5
# An estimate from less than this says nothing.
LEAST_SECONDS = 1.0
LEAST_SHARE = 0.02


class Phase(enum.StrEnum):
    READ = "read"  # counted in bytes of the file, because nobody knows its rows before its end
    CLEAN = "clean"
    MERGE = "merge"
    WRITE = "write"


# How the time of an import is usually spent; reading a file is most of it.
SHARES = {Phase.READ: 0.70, Phase.CLEAN: 0.05, Phase.MERGE: 0.10, Phase.WRITE: 0.15}


@dataclass(frozen=True, slots=True)
class Step:
    """What is known at one moment.

    Attributes:
        done: bytes of the file in the phase `read`, rows in the others; `total`: of how many, where that is known.
        rows: rows read so far; from the end of reading on, all there are.
        seconds_left: an estimate from the time that was needed so far; None while it would be a guess.
    """

    phase: Phase
    done: int
    total: int | None
    rows: int
    seconds_left: float | None


class Steps:
    """Follows one import and reports; `report` may raise to stop it, and is called from several threads, one at a time."""

    def __init__(self, report: Callable[[Step], None]) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._begun = time.monotonic()
        self._phase = Phase.READ
        self._rows = 0
        self._error: Exception | None = None

    def restart(self) -> None:
        """The file is read again from its beginning."""
        self._rows = 0

    def count(self, rows: int) -> None:
        """So many rows more have been read."""
        with self._lock:
            self._rows += rows

    def read(self, done: int, total: int | None) -> None:
        """So many bytes of the file have been read."""
        self._phase = Phase.READ
        self._say(done, total)

    def enter(self, phase: Phase) -> None:
        """A phase begins that works on all rows."""
        self._phase = phase
        self._say(0, self._rows)

    @contextmanager
    def watching(self, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Report how far the queries of a connection are while they run; stop them if the report says so."""
        connection.execute("SET enable_progress_bar = true")
        connection.execute("SET enable_progress_bar_print = false")
        ended = threading.Event()
        watch = threading.Thread(target=self._watch, args=(connection, ended), name="progress", daemon=True)
        watch.start()
        try:
            yield
        finally:
            ended.set()
            watch.join()
            if self._error is not None:
                # The query was interrupted for this reason, and no other matters.
                raise self._error

    def _watch(self, connection: duckdb.DuckDBPyConnection, ended: threading.Event) -> None:
        phase, most = self._phase, 0.0
        while not ended.wait(LOOK_SECONDS):
            if phase is not self._phase:
                phase, most = self._phase, 0.0
            # A phase may take several queries, of which each begins anew.
            most = max(most, connection.query_progress() / 100)
            try:
                self._say(int(self._rows * min(most, 1)), self._rows)
            except Exception as error:  # noqa: BLE001 - it is raised again where the caller sees it
                self._error = error
                connection.interrupt()
                return

    def _say(self, done: int, total: int | None) -> None:
        before = itertools.takewhile(lambda phase: phase is not self._phase, SHARES)
        share = sum(SHARES[phase] for phase in before) + SHARES[self._phase] * (done / total if total else 0)
        elapsed = time.monotonic() - self._begun
        is_known = elapsed >= LEAST_SECONDS and share >= LEAST_SHARE and total is not None
        left = elapsed * (1 - share) / share if is_known else None
        self._report(Step(self._phase, done, total, self._rows, left))
