"""Everything that touches one table, at once: imports, gathering, sweeping, restores, and readers that hold on to versions."""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from models import lake, settings
from models.job_states import JobKind
from tests.integration.lake_hands import Hands, outcome
from workers.lake_jobs import compacting

SECONDS = 2.5
# On a busy machine it goes on until enough has met.
MOST_SECONDS = 30


@pytest.fixture(autouse=True)
def gather_from(database: settings.Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("COMPACT_FILES", "4")
    settings.load.cache_clear()
    yield
    monkeypatch.undo()
    settings.load.cache_clear()


class Together:
    """Threads that go on until the time is over and enough was done, and what went wrong in them."""

    def __init__(self, enough: Callable[[], bool]) -> None:
        self.errors: list[BaseException] = []
        self._enough = enough
        self._began = time.monotonic()

    def _goes_on(self) -> bool:
        seconds = time.monotonic() - self._began
        return not self.errors and (seconds < SECONDS or (seconds < MOST_SECONDS and not self._enough()))

    def run(self, *works: Callable[[], None]) -> None:
        threads = [threading.Thread(target=self._repeat, args=(work,), daemon=True) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _repeat(self, work: Callable[[], None]) -> None:
        try:
            while self._goes_on():
                work()
        except BaseException as error:  # noqa: BLE001 - a thread's error is the test's
            self.errors.append(error)


def test_nothing_is_lost_and_every_version_stays_what_it_was(orders: Hands) -> None:
    orders.write("first")
    written: list[str] = ["first"]
    gathered: list[int] = []
    seen: dict[int, list[tuple[str, ...]]] = {}

    def import_() -> None:
        name = f"{threading.get_ident()}-{time.monotonic_ns()}"
        while True:
            with contextlib.suppress(lake.LakeConflict):
                orders.write(name)
                written.append(name)
                return

    def gather() -> None:
        job = orders.accept(JobKind.COMPACTION)
        compacting.run(orders.claim(job))
        if outcome(job)["dataset_version"] is not None:
            gathered.append(outcome(job)["dataset_version"])

    def sweep() -> None:
        newest = orders.table.newest_version()
        assert newest is not None
        # Versions that nobody looks at here, and then what only they needed.
        orders.give_up(*(version for version in range(newest - 1) if version % 3 == 0))
        orders.sweep()
        time.sleep(0.05)

    def read() -> None:
        newest = orders.table.newest_version()
        assert newest is not None
        for version in (newest, random.randint(0, newest)):  # noqa: S311 - any will do
            if version % 3 == 0:
                continue
            rows = orders.rows(version)
            assert seen.setdefault(version, rows) == rows

    together = Together(lambda: bool(gathered) and len(seen) > 5)
    together.run(import_, import_, gather, sweep, read)
    assert together.errors == []
    assert [row[0] for row in orders.rows()] == sorted(written)
    assert gathered, "gathering must have succeeded beside the imports at least once"
    assert len(seen) > 5
    for version, rows in seen.items():
        assert orders.rows(version) == rows
        assert orders.versions_of(version).row_count == len(rows)
    # What is left is what the kept versions need.
    assert orders.sweep().files == 0
    named = {orders.table.path(address) for version in seen for address in orders.at(version).files}
    assert named <= orders.files()
