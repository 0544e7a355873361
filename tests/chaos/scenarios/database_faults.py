"""PostgreSQL is away, held up by a lock, in conflict with itself, or has no more room for connections."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import Self

import httpx
import psycopg
from psycopg import sql

from models.failpoints import Point
from tests.chaos.harness import faults, looks
from tests.chaos.harness.ledger import Answer, Attempt, Ledger, Work, mixed
from tests.chaos.harness.running import ChaosStack, Organisation
from tests.chaos.harness.scenario import Run, scenario
from tests.chaos.stack.probes import ProbeType
from tests.client import wait_for

# What the web promises is five seconds; the machine of the tests is busy.
MOST_SECONDS_TO_REFUSE = 6.0
# After PostgreSQL is back a request may still be refused whose connection was opened while it was not.
SLACK_SECONDS = 6.0
MID_TRANSACTION = (Point.FINISH_BEFORE_COMMIT, Point.ACCEPT_BEFORE_COMMIT, Point.PUBLISH_BEFORE_SEND)

Row = tuple[object, ...]


# --- Away ---


@scenario("S22", "PostgreSQL is restarted, killed, or ends all sessions in the middle of transactions")
def interrupt_database(run: Run) -> None:
    turns = (_end_sessions, _restart, _end_sessions, _kill, _end_sessions)
    windows: list[tuple[float, float]] = []
    with run.load(mixed, rate=10) as ledger:
        for number in run.times(50):
            time.sleep(run.chance.uniform(0.1, 0.6))
            point = run.chance.choice(MID_TRANSACTION)
            faults.arm(run.stack, point, "pause 0.5")
            faults.wait_until_hit(run.stack, point)
            at = time.time()
            turns[number % len(turns)](run)
            assert run.stack.one("SELECT 1") == 1
            windows.append((at, time.time() + SLACK_SECONDS))
            run.recoveries.append(faults.seconds_to_first_done(run.stack, at))
    made = run.settle(ledger, within=180)
    assert set(made.statuses) == {"succeeded"}, made.statuses
    assert set(ledger.statuses()) <= {"200", "202", "409", "503"}, ledger.statuses()
    refused = [attempt for attempt in ledger.attempts if attempt.answer is not Answer.ACKED]
    without_reason = [attempt for attempt in refused if not _overlaps(attempt, windows)]
    assert not without_reason, f"refused while PostgreSQL was there: {without_reason}"
    assert max(attempt.seconds for attempt in ledger.attempts) <= MOST_SECONDS_TO_REFUSE
    run.note(f"{len(refused)} requests answered 503, the longest in {ledger.latencies()[-1]:.2f} s")


def _overlaps(attempt: Attempt, windows: list[tuple[float, float]]) -> bool:
    return any(start <= attempt.at + attempt.seconds and attempt.at <= end for start, end in windows)


def _end_sessions(run: Run) -> None:
    assert faults.terminate_backends(run.stack) > 0
    run.injected()


def _restart(run: Run) -> None:
    """The fast shutdown: sessions are cut off, everything committed is kept."""
    pid = run.stack.pids["postgres"]
    assert faults.send(pid, signal.SIGINT)
    run.injected()
    faults.wait_for_restart(run.stack, "postgres", pid)


def _kill(run: Run) -> None:
    hit = wait_for(lambda: faults.kill(run.stack, "postgres"), seconds=30)
    run.injected(kill=True)
    faults.wait_for_restart(run.stack, "postgres", hit.pid)


# --- Locked, and in conflict ---

SHORT_LOCK_SECONDS = 20.0
LONG_LOCK_SECONDS = 60.0
CONFLICT_SECONDS = 15.0
NOT_SERIALIZED = "could not serialize access"


@scenario("S23", "The table of jobs is locked for 20 s and for 60 s; deadlocks; transactions that cannot be serialized")
def conflict(run: Run) -> None:
    ledger = run.ledger()
    _lock_for_less_than_a_lease(run, ledger)
    held_up = _lock_for_more(run, ledger)
    _deadlock_often(run)
    _fail_to_serialize(run, ledger)
    made = run.settle(ledger, within=180)
    assert set(made.statuses) == {"succeeded"}, made.statuses
    assert ledger.latencies()[-1] <= MOST_SECONDS_TO_REFUSE, ledger.latencies()[-5:]
    taken_over = sum(looks.state_of(run.stack, job_id)["attempt"] > 1 for job_id in held_up)
    run.note(f"after the long lock {taken_over} of {len(held_up)} running jobs were taken over")
    run.note(f"longest request {ledger.latencies()[-1]:.2f} s")


def _lock_for_less_than_a_lease(run: Run, ledger: Ledger) -> None:
    """Nobody's lease may be lost: what works and says nothing meanwhile must come to its end in its first attempt."""
    ids = _start(run.stack, ledger, seconds=SHORT_LOCK_SECONDS + 10)
    with run.load(mixed, rate=6, ledger=ledger):
        with faults.locked(run.stack):
            run.injected()
            time.sleep(SHORT_LOCK_SECONDS)
        run.recoveries.append(faults.seconds_to_first_done(run.stack, time.time()))
    _wait_until_over(run.stack, ids, seconds=60)
    for job_id in ids:
        ended = looks.state_of(run.stack, job_id)
        assert (ended["status"], ended["attempt"]) == ("succeeded", 1), f"a lease was lost to a short lock: {ended}"


def _lock_for_more(run: Run, ledger: Ledger) -> list[str]:
    """No lease can be kept: whoever comes first when the lock is gone, the worker or the sweep, the effect is one."""
    held = LONG_LOCK_SECONDS if run.scale >= 1 else SHORT_LOCK_SECONDS * 2
    ids = _start(run.stack, ledger, seconds=held + 10)
    with run.load(mixed, rate=6, ledger=ledger):
        with faults.locked(run.stack):
            run.injected()
            time.sleep(held)
        run.recoveries.append(faults.seconds_to_first_done(run.stack, time.time()))
    return ids


def _start(stack: ChaosStack, ledger: Ledger, *, seconds: float) -> list[str]:
    ids = [ledger.submit(Work.probe(ProbeType.GIL, seconds=seconds, queue=queue)) for queue in ("reports", "imports")]
    wait_for(lambda: set(ids) <= {job.job_id for job in faults.running(stack)}, seconds=60)
    return ids


def _wait_until_over(stack: ChaosStack, ids: list[str], *, seconds: float) -> None:
    query = "SELECT count(*) FROM jobs WHERE id = ANY(%(ids)s::uuid[]) AND finished_at IS NOT NULL"
    wait_for(lambda: stack.one(query, {"ids": ids}) == len(ids), seconds=seconds, pause=0.2)


def _deadlock_often(run: Run) -> None:
    """Let jobs be the victims of deadlocks: each is started again, uncounted, and changes its account once."""
    ledger = run.ledger(organisations=1)
    first = ledger.submit(Work.probe(ProbeType.CREDIT))
    _wait_until_over(run.stack, [first], seconds=30)
    for _ in run.times(12):
        job_id, at = _deadlock(run.stack, ledger)
        run.injected()
        run.recoveries += faults.seconds_to_next_claim(run.stack, faults.Hit(at, 0, (job_id,)))
        _wait_until_over(run.stack, [job_id], seconds=30)
        ended = looks.state_of(run.stack, job_id)
        assert (ended["attempt"], ended["errors"], ended["crashes"]) == (2, 0, 0), ended
    run.settle(ledger)


def _deadlock(stack: ChaosStack, ledger: Ledger) -> tuple[str, float]:
    """Hold an account, wait until a job that it has locked wants it, and then want the job."""
    with contextlib.closing(stack.connect(autocommit=False)) as rival:
        # The one who waits longer than this looks whether it is in a deadlock, and is its victim: the job, after a second.
        rival.execute("SET deadlock_timeout = '60s'")
        rival.execute("UPDATE account SET balance = balance WHERE organisation_id = %s", [ledger.organisations[0].id])
        job_id = ledger.submit(Work.probe(ProbeType.CREDIT))
        waits = "SELECT 1 FROM pg_stat_activity WHERE %(me)s = ANY(pg_blocking_pids(pid))"
        wait_for(lambda: stack.one(waits, {"me": rival.info.backend_pid}), seconds=30, pause=0.01)
        rival.execute("SELECT 1 FROM jobs WHERE id = %s FOR UPDATE", [job_id])
        at = time.time()
        rival.rollback()
    return job_id, at


def _fail_to_serialize(run: Run, ledger: Ledger) -> None:
    """Give every session an isolation under which two jobs of one account cannot both commit what they began together."""
    before = _not_serialized(run.stack)
    with _isolated(run.stack, "repeatable read"), run.load(mixed, rate=16, threads=8, ledger=ledger):
        time.sleep(CONFLICT_SECONDS)
    failed = _not_serialized(run.stack) - before
    assert failed > 0, "nothing was in conflict"
    run.injections += failed
    run.note(f"{failed} transactions could not be serialized")


def _not_serialized(stack: ChaosStack) -> int:
    return stack.stack.log_path.read_text(encoding="utf-8", errors="replace").count(NOT_SERIALIZED)


@contextlib.contextmanager
def _isolated(stack: ChaosStack, level: str) -> Iterator[None]:
    """Let all sessions of the stack begin anew with another isolation, for the length of the block."""
    try:
        _execute(stack, sql.SQL("ALTER DATABASE reckoner SET default_transaction_isolation = {}").format(level))
        faults.terminate_backends(stack)
        yield
    finally:
        _execute(stack, sql.SQL("ALTER DATABASE reckoner RESET default_transaction_isolation"))
        faults.terminate_backends(stack)


def _execute(stack: ChaosStack, statement: sql.SQL | sql.Composed) -> None:
    with contextlib.closing(stack.connect()) as connection:
        connection.execute(statement)


# --- No more connections ---

# Longer than a lease.
CROWDED_SECONDS = 36.0
# Shorter than one.
ALONE_SECONDS = 12.0
ASKED = 12


class Crowd:
    """Takes every connection that PostgreSQL has left, and each one that becomes free."""

    def __init__(self, stack: ChaosStack) -> None:
        self._stack = stack
        self._over = threading.Event()
        self._full = threading.Event()
        self._held: list[psycopg.Connection[Row]] = []
        self._thread = threading.Thread(target=self._grab, name="crowd", daemon=True)

    def __enter__(self) -> Self:
        self._held.append(self._stack.connect())
        self._thread.start()
        assert self._full.wait(30), "PostgreSQL has more connections than we can take"
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for connection in self._held:
            connection.close()

    def __len__(self) -> int:
        return len(self._held)

    def end_sessions_of(self, application: str) -> int:
        """End the product's sessions whose name begins so, and take their places."""
        query = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE application_name LIKE %(name)s || '%%' AND pid <> pg_backend_pid()"
        )
        row = self._held[0].execute(query, {"name": application}).fetchone()
        return int(str(row[0])) if row else 0

    def _grab(self) -> None:
        while not self._over.is_set():
            try:
                self._held.append(self._stack.connect())
            except psycopg.OperationalError:
                self._full.set()
                self._over.wait(0.01)


@scenario("S24", "PostgreSQL has no connection left, for anybody")
def exhaust_connections(run: Run) -> None:
    ledger = run.ledger()
    ids = _start(run.stack, ledger, seconds=CROWDED_SECONDS + 2 * ALONE_SECONDS)
    web, stranger = faults.children_of(run.stack.pids["web"])[0], run.stack.new_organisation()
    with run.load(mixed, rate=6, ledger=ledger):
        with Crowd(run.stack) as crowd:
            run.injections += len(crowd)
            # The hearts have their connections; with nothing else left, they must keep the leases past their time.
            time.sleep(CROWDED_SECONDS)
            # Again and again, until the crowd was faster everywhere.
            wait_for(lambda: not crowd.end_sessions_of(f"reckoner process {web}"), seconds=30)
            _check_refusals(run, stranger)
            crowd.end_sessions_of("reckoner ")
            time.sleep(ALONE_SECONDS)
        run.recoveries.append(faults.seconds_to_first_done(run.stack, time.time()))
    made = run.settle(ledger, within=180)
    assert set(made.statuses) == {"succeeded"}, made.statuses
    for job_id in ids:
        ended = looks.state_of(run.stack, job_id)
        assert ended["attempt"] == 1, f"a lease was lost for want of a connection: {ended}"
    assert ledger.latencies()[-1] <= MOST_SECONDS_TO_REFUSE, ledger.latencies()[-5:]
    run.note(f"longest request {ledger.latencies()[-1]:.2f} s")


def _check_refusals(run: Run, organisation: Organisation) -> None:
    """More clients at once than one pool has connections are refused in time, and told when to come back."""
    answers: list[tuple[httpx.Response, float]] = []

    def ask() -> None:
        started = time.monotonic()
        answer = httpx.post(
            f"{run.stack.web_url}/v1/probes",
            json=Work.probe(ProbeType.CREDIT).body,
            headers={"Authorization": f"Bearer {organisation.api_key}"},
            timeout=30,
            trust_env=False,
        )
        answers.append((answer, time.monotonic() - started))

    asking = [threading.Thread(target=ask, daemon=True) for _ in range(ASKED)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert len(answers) == ASKED
    refused = [(answer, seconds) for answer, seconds in answers if answer.status_code == 503]
    # A session that ends elsewhere leaves its place for a moment, and some requests may find it.
    assert len(refused) > ASKED // 2, [answer.status_code for answer, _ in answers]
    for answer, _ in refused:
        assert "database-unavailable" in answer.json()["type"], answer.text
        assert answer.headers["Retry-After"], answer.headers
    longest = max(seconds for _, seconds in answers)
    assert longest <= MOST_SECONDS_TO_REFUSE, longest
    run.note(f"{len(refused)} of {ASKED} requests at once refused with 503, in {longest:.2f} s at most")
