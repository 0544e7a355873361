"""Imports of a million lines, killed at random moments of their lives and around their commit, alone and against each other.

A reader looks at the table all the while: it is as it was before the import or as it is after it, and never in between.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from typing import Self

import duckdb

from models import lake
from models.failpoints import Point
from tests.chaos.harness import faults, looks
from tests.chaos.harness.faults import Hit
from tests.chaos.harness.ledger import Ledger, Work
from tests.chaos.harness.running import ChaosStack, Organisation
from tests.chaos.harness.scenario import Run, scenario
from tests.client import Json, wait_for

LINES = 1_000_000
LEAST_LINES = 20_000
UPLOAD_SECONDS = 120.0
HEADER = "order_id,line_no,customer_id,ordered_at,product,quantity,unit_price\n"
LINE = "{order},1,customer-{customer},2024-03-{day:02}T12:00:00Z,Product {product},{quantity},9.50\n"
# Every third line of the second file is another than in the first, and every tenth is new.
CHANGED_EACH = 3
NEW_EACH = 10
COMMIT_POINTS = (
    Point.LAKE_BEFORE_COMMIT,
    Point.LAKE_AFTER_COMMIT,
    Point.FINISH_BEFORE_COMMIT,
    Point.FINISH_AFTER_COMMIT,
)
# So many kills at random moments come before one at a step of the commit.
RANDOM_IN_A_ROW = 4
LOOK_SECONDS = 0.1

Print = tuple[int, int] | None
"""What a reader sees of a table: how many lines, and the sum of their quantities. None: there is no table."""


@dataclass(frozen=True, slots=True)
class File:
    """A file, what a table is that it makes or changes, and the counts its import must end with."""

    content: bytes
    after: Print
    counts: Json


def _lines(first: int, last: int, *, changed: bool = False) -> Iterator[tuple[int, int]]:
    """Order numbers and quantities."""
    for order in range(first, last):
        yield order, order % 7 + 1 + (changed and order % CHANGED_EACH == 0)


def _file(lines: list[tuple[int, int]], counts: Json, *, on: Print = None) -> File:
    """Write lines that are all new; `on` is the table they join."""
    rows = (
        LINE.format(order=order, customer=order % 50_000, day=order % 28 + 1, product=order % 100, quantity=quantity)
        for order, quantity in lines
    )
    count, total = on or (0, 0)
    after = (count + len(lines), total + sum(quantity for _, quantity in lines))
    return File((HEADER + "".join(rows)).encode(), after, {"read": len(lines), "rejected": 0} | counts)


def _first(lines: int) -> File:
    return _file(list(_lines(0, lines)), {"inserted": lines, "updated": 0, "unchanged": 0})


def _second(lines: int) -> File:
    """The lines of the first file, of which some are changed, and some that are new."""
    total, changed = lines + lines // NEW_EACH, -(-lines // CHANGED_EACH)
    counts = {"inserted": total - lines, "updated": changed, "unchanged": lines - changed}
    return _file(list(_lines(0, total, changed=True)), counts)


@dataclass
class Reader:
    """Looks at a table again and again, as a report would, and notes each different sight in the order they came."""

    stack: ChaosStack
    organisation: Organisation
    seen: list[Print] = field(default_factory=list)
    looks: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _failures: list[BaseException] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._failures:
            raise self._failures[0]

    def look(self) -> Print:
        location = str(self.stack.settings.lake_location)
        table = lake.open_table(location, organisation_id=str(self.organisation.id), dataset="order_lines")
        version = table.snapshot()
        if version is None:
            return None
        query = f"SELECT count(*), sum(quantity)::BIGINT FROM read_parquet({list(version.files)})"
        with contextlib.closing(duckdb.connect(config={"threads": 1})) as connection:
            count, total = connection.execute(query).fetchone() or (0, 0)
        return int(count), int(total)

    def _run(self) -> None:
        try:
            while not self._stop.wait(LOOK_SECONDS):
                sight = self.look()
                self.looks += 1
                if not self.seen or self.seen[-1] != sight:
                    self.seen.append(sight)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._failures.append(error)


@scenario("IMPORTKILL", "`kill -9` at a random moment of an import of a million lines, or at a step of its commit")
def kill_imports(run: Run) -> None:
    lines = max(LEAST_LINES, round(LINES * min(1.0, run.scale)))
    first, second = _first(lines), _second(lines)
    # An organisation whose imports nobody disturbs says how long a life is.
    # The first imports of a worker wait for what it has yet to load; the second ones say how long a life is.
    lives = [_lives(run, (first, second)) for _ in range(2)][-1]
    run.note(f"{lines:,} lines, undisturbed in {lives[0]:.1f} s, and {lives[1]:.1f} s into themselves")
    looks_taken, rounds, target = 0, 0, len(run.times(50))
    moments: list[float] = []
    while run.kills < target:
        assert rounds < target, f"{run.kills} kills in {rounds} rounds: the imports are faster than their killer"
        rounds += 1
        organisation = run.stack.new_organisation()
        book = Ledger(run.stack, run.folder / f"import-{rounds}", [organisation], request_seconds=UPLOAD_SECONDS)
        before: Print = None
        for file, life in zip((first, second), lives, strict=True):
            with Reader(run.stack, organisation) as reader:
                moments += _killed_once(run, book, file, life)
            _check_sights(reader, before, file.after)
            looks_taken += reader.looks
            before = file.after
        run.settle(book, within=240)
    run.note(f"{2 * rounds} imports; a reader looked {looks_taken:,} times: before or after, never between")
    run.note("killed after " + ", ".join(f"{moment:.0%}" for moment in sorted(moments)) + " of a life")


def _lives(run: Run, files: tuple[File, ...]) -> list[float]:
    """Import undisturbed, in an organisation of its own, and return how many seconds a worker took for each file."""
    folder = run.folder / f"undisturbed-{len(run.settled)}"
    ledger = Ledger(run.stack, folder, [run.stack.new_organisation()], request_seconds=UPLOAD_SECONDS)
    lives = [_undisturbed(run, ledger, file) for file in files]
    run.settle(ledger)
    return lives


def _undisturbed(run: Run, ledger: Ledger, file: File) -> float:
    job_id = ledger.submit(Work.import_("order_lines", file.content))
    _wait_for_end(run.stack, job_id)
    _check_end(run.stack, job_id, file, attempts=1)
    query = "SELECT extract(epoch FROM finished_at - started_at)::float8 FROM jobs WHERE id = %(id)s"
    return float(run.stack.one(query, {"id": job_id}))


def _killed_once(run: Run, ledger: Ledger, file: File, life: float) -> list[float]:
    """Import, killed once on the way; returns after which part of its life, where that was left to chance."""
    at_a_step = run.kills % (RANDOM_IN_A_ROW + 1) == RANDOM_IN_A_ROW
    if at_a_step:
        point = COMMIT_POINTS[run.kills // (RANDOM_IN_A_ROW + 1) % len(COMMIT_POINTS)]
        faults.arm(run.stack, point, "kill")
        job_id = ledger.submit(Work.import_("order_lines", file.content))
        pid = faults.wait_until_hit(run.stack, point, seconds=UPLOAD_SECONDS)
        run.hit(Hit(time.time(), pid, (job_id,)))
        # What was committed before the process died needs no second attempt.
        attempts = 1 if point is Point.FINISH_AFTER_COMMIT else 2
        moments: list[float] = []
    else:
        job_id = ledger.submit(Work.import_("order_lines", file.content))
        moment = run.chance.uniform(0.0, 1.0)
        hit = _kill_after(run, job_id, moment * life)
        attempts, moments = (2, [moment]) if hit else (1, [])
    _wait_for_end(run.stack, job_id)
    _check_end(run.stack, job_id, file, attempts=attempts)
    return moments


def _kill_after(run: Run, job_id: str, seconds: float) -> bool:
    """Kill the child that runs the job so long after its claim. False: the job was faster than its like."""
    query = "SELECT extract(epoch FROM now() - started_at)::float8 FROM jobs WHERE id = %(id)s AND status <> 'queued'"
    running_for = float(wait_for(lambda: run.stack.one(query, {"id": job_id}), seconds=UPLOAD_SECONDS, pause=0.01))
    time.sleep(max(0.0, seconds - running_for))
    victims = [job for job in faults.running(run.stack) if job.job_id == job_id]
    return bool(victims) and run.hit(faults.kill_running_child(run.stack, run.chance)) is not None


def _wait_for_end(stack: ChaosStack, job_id: str) -> None:
    query = "SELECT 1 FROM jobs WHERE id = %(id)s AND finished_at IS NOT NULL"
    wait_for(lambda: stack.one(query, {"id": job_id}), seconds=UPLOAD_SECONDS)


def _check_end(stack: ChaosStack, job_id: str, file: File, *, attempts: int) -> None:
    """Succeeded, once, with the counts that it has undisturbed."""
    ended = looks.state_of(stack, job_id)
    assert (ended["status"], ended["attempt"]) == ("succeeded", attempts), ended
    counts = stack.one("SELECT outcome->'rows' FROM jobs WHERE id = %(id)s", {"id": job_id})
    assert counts == file.counts, (counts, file.counts)
    successes = "SELECT count(*) FROM job_events WHERE job_id = %(id)s AND to_status = 'succeeded'"
    assert stack.one(successes, {"id": job_id}) == 1


def _check_sights(reader: Reader, before: Print, after: Print) -> None:
    assert reader.seen, "the reader never looked"
    assert reader.seen in ([before], [before, after], [after]), (reader.seen, before, after)
    assert reader.look() == after


@scenario("IMPORTRACE", "The same file twice at once, then two files at once into one table, with `kill -9` in between")
def race_imports(run: Run) -> None:
    lines = max(LEAST_LINES, round(LINES * min(1.0, run.scale)) // 5)
    counts = {"inserted": lines, "updated": 0, "unchanged": 0}
    first = _first(lines)
    beside = [_file(list(_lines(number * lines, (number + 1) * lines)), counts) for number in (1, 2)]
    everything = _file(list(_lines(0, 3 * lines)), {}).after
    for number in run.times(20):
        organisation = run.stack.new_organisation()
        book = Ledger(run.stack, run.folder / f"race-{number}", [organisation], request_seconds=UPLOAD_SECONDS)
        with Reader(run.stack, organisation) as reader:
            twice = _at_once(run, book, [first, first])
            assert sorted(ended["inserted"] for ended in twice) == [0, lines], twice
            assert sorted(ended["unchanged"] for ended in twice) == [0, lines], twice
            both = _at_once(run, book, beside)
            assert both == [file.counts for file in beside], both
        assert reader.look() == everything
        # Whichever of the two came first, each of them came whole.
        allowed = {None, first.after, everything, *(_sum(first.after, file.after) for file in beside)}
        assert set(reader.seen) <= allowed, (reader.seen, allowed)
        run.settle(book, within=240)
    run.note(f"{lines:,} lines a file")


def _sum(one: Print, other: Print) -> Print:
    if one is None or other is None:
        return one or other
    return one[0] + other[0], one[1] + other[1]


def _at_once(run: Run, ledger: Ledger, files: list[File]) -> list[Json]:
    """Import these files at the same time, kill one of the children, and return the counts of each."""
    with futures.ThreadPoolExecutor(len(files)) as pool:
        jobs = list(pool.map(lambda file: ledger.submit(Work.import_("order_lines", file.content)), files))
    time.sleep(run.chance.uniform(0.0, 1.0))
    # Where both are done already there is nobody to kill, and they have raced all the same.
    run.hit(faults.kill_running_child(run.stack, run.chance))
    for job_id in jobs:
        _wait_for_end(run.stack, job_id)
        assert looks.state_of(run.stack, job_id)["status"] == "succeeded"
    query = "SELECT outcome->'rows' FROM jobs WHERE id = %(id)s"
    return [run.stack.one(query, {"id": job_id}) for job_id in jobs]
