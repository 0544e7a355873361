"""Upkeep runs several times at once, dies at every step, and races with what it rescues."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy
from sqlalchemy import text
from sqlalchemy.orm import Session

from models import transitions
from models.failpoints import Point
from models.job import Job
from models.job_states import Reason
from tests.chaos.harness import faults, slots
from tests.chaos.harness.faults import Hit
from tests.chaos.harness.ledger import Work, mixed
from tests.chaos.harness.running import ENVIRONMENT, WORKERS_APP, ChaosStack, Organisation
from tests.chaos.harness.scenario import Run, scenario
from tests.chaos.stack.probes import ProbeType
from tests.client import ROOT, wait_for

BEATS = (2, 5)
POINTS = (
    Point.BURY_BEFORE_COMMIT,
    Point.BURY_AFTER_COMMIT,
    Point.PUBLISH_BEFORE_MARK,
    Point.PUBLISH_BEFORE_SEND,
    Point.PUBLISH_AFTER_SEND,
)
# Five programs that start at once on two busy cores.
START_SECONDS = 150.0
SWEEPERS = 2
LOCKED_ROWS = 10_000
LEASE_OF_LOCKED_SECONDS = 5
MOST_SECONDS_BEHIND_LOCKED = 10.0
RACES = 1_000
ENOUGH_RACES = 50
BATCH = 200
LONGEST_HESITATION = 0.003


def _environment(stack: ChaosStack) -> dict[str, str]:
    return {**os.environ, **ENVIRONMENT, "RECKONER_HOME": str(stack.home)}


# --- Beats ---


@contextlib.contextmanager
def _more_beats(stack: ChaosStack, number: int) -> Iterator[list["subprocess.Popen[bytes]"]]:
    beats = [_start_beat(stack) for _ in range(number)]
    try:
        yield beats
    finally:
        for beat in beats:
            beat.kill()
            beat.wait()


def _start_beat(stack: ChaosStack) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "celery", "-A", WORKERS_APP, "beat", "--scheduler", "workers.beat:Scheduler"]
    with (stack.home / "more-beats.log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, env=_environment(stack), stdout=log, stderr=log)


@scenario("S31", "Two beats, then five, some of them killed")
def many_beats(run: Run) -> None:
    beats_seen = "SELECT count(*) FROM heartbeats WHERE kind = 'beat' AND beat_at > now() - interval '10 s'"
    due = slots.make(run.stack)
    with run.load(mixed, rate=12) as ledger:
        for number in BEATS:
            with _more_beats(run.stack, number - 1) as beats:
                wait_for(lambda want=number: run.stack.one(beats_seen) >= want, seconds=START_SECONDS)  # type: ignore[misc]
                run.injected()
                if number == max(BEATS):
                    due.fall_due()
                for _ in run.strikes(10, lambda: faults.kill_running_child(run.stack, run.chance)):
                    _kill_a_beat(run, beats)
    made = run.settle(ledger)
    assert made.statuses == {"succeeded": made.acked}, made.statuses
    query = "SELECT count(*) FROM jobs WHERE id = ANY(%(ids)s::uuid[]) AND attempt <> crashes + 1"
    assert run.stack.one(query, {"ids": ledger.job_ids}) == 0, "a job was started more often than it lost its process"
    due.take_account()
    run.note(f"{due.expected} slots of schedules fell due meanwhile: one report each")


def _kill_a_beat(run: Run, beats: list["subprocess.Popen[bytes]"]) -> None:
    """Kill one of the beats, and start another where the supervisor does not."""
    if run.chance.random() < 0.5:
        run.hit(faults.kill(run.stack, "beat"))
        return
    victim = beats.pop(run.chance.randrange(len(beats)))
    victim.kill()
    victim.wait()
    run.injected(kill=True)
    beats.append(_start_beat(run.stack))


# --- Sweeps ---


@dataclass(frozen=True, slots=True)
class Sweepers:
    """Sweeps beside the stack's own, each with failpoints of its own."""

    folder: Path

    def arm(self, point: Point) -> None:
        for number in range(SWEEPERS):
            path = self.folder / str(number) / point.value
            unfinished = path.with_name(f".{point.value}")
            unfinished.write_text("kill", encoding="ascii")
            unfinished.rename(path)

    def struck(self, point: Point) -> bool:
        return not any((self.folder / str(number) / point.value).exists() for number in range(SWEEPERS))


@contextlib.contextmanager
def _sweepers(stack: ChaosStack, folder: Path) -> Iterator[Sweepers]:
    for number in range(SWEEPERS):
        (folder / str(number)).mkdir(parents=True)
    command = [sys.executable, "-m", "tests.chaos.stack.sweepers", str(folder.resolve()), str(SWEEPERS)]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=_environment(stack), stdout=log, stderr=log)
    try:
        yield Sweepers(folder)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@scenario(
    "S32",
    "Two sweeps without a pause beside the stack's own, each killed at every step, with 10,000 locked rows in front",
)
def kill_sweeps(run: Run) -> None:
    def slow(_: object) -> Work:
        return Work.probe(ProbeType.SLOW, n=7, seconds=1.5)

    with _sweepers(run.stack, run.folder / "sweepers") as sweepers, run.load(slow, rate=5) as ledger:
        for _ in run.times(8):
            for point in POINTS:
                sweepers.arm(point)
                wait_for(lambda point=point: _give_work(run) and sweepers.struck(point), seconds=90, pause=0.3)  # type: ignore[misc]
                run.stack.points[point.value] += SWEEPERS
                for _sweeper in range(SWEEPERS):
                    run.injected(kill=True)
        _rescue_behind_locked_rows(run)
    made = run.settle(ledger)
    assert made.statuses == {"succeeded": made.acked}, made.statuses
    run.note(f"{SWEEPERS} sweepers, each killed {len(run.times(8))} times at each of {len(POINTS)} steps")


def _give_work(run: Run) -> bool:
    """Take the leases of jobs from under the hands of their workers, which are well. Each job loses one at most."""
    expired = run.stack.rows(
        "UPDATE jobs SET lease_until = now() - interval '1 ms' WHERE id IN (SELECT id FROM jobs"
        " WHERE status = 'running' AND type = 'slow' AND crashes = 0 LIMIT 2 FOR UPDATE SKIP LOCKED) RETURNING id"
    )
    run.injections += len(expired)
    return True


def _rescue_behind_locked_rows(run: Run) -> None:
    """Ten thousand rows whose lease ended earlier are locked by somebody: the next one must not wait for them."""
    organisation = run.stack.new_organisation()
    with contextlib.closing(run.stack.connect(autocommit=False)) as connection:
        connection.execute(
            "INSERT INTO jobs (id, organisation_id, kind, type, status, reason, queue, params, attempt, worker_id, lease_until)"
            " SELECT gen_random_uuid(), %(id)s, 'probe', 'noop', 'running', 'claimed', 'reports', '{}', 1,"
            " gen_random_uuid(), clock_timestamp() + make_interval(secs => %(lease)s)"
            " FROM generate_series(1, %(rows)s)",
            {"id": organisation.id, "rows": LOCKED_ROWS, "lease": LEASE_OF_LOCKED_SECONDS},
        )
        connection.commit()
        locked = connection.execute(
            "SELECT id FROM jobs WHERE organisation_id = %(id)s AND status = 'running' FOR UPDATE",
            {"id": organisation.id},
        )
        assert locked.rowcount == LOCKED_ROWS, f"only {locked.rowcount} rows were locked in time"
        time.sleep(LEASE_OF_LOCKED_SECONDS)
        hit = wait_for(lambda: _expire_one(run.stack), seconds=30)
        seconds = max(faults.seconds_to_next_claim(run.stack, hit))
        connection.execute("DELETE FROM jobs WHERE organisation_id = %(id)s", {"id": organisation.id})
        connection.commit()
    assert seconds <= MOST_SECONDS_BEHIND_LOCKED, f"a job waited {seconds:.1f} s behind locked rows"
    run.recoveries.append(seconds)
    run.note(f"a job behind {LOCKED_ROWS:,} locked ones was started again after {seconds:.1f} s")


def _expire_one(stack: ChaosStack) -> Hit | None:
    rows = stack.rows(
        "UPDATE jobs SET lease_until = now() - interval '1 ms' WHERE id IN ("
        " SELECT id FROM jobs WHERE status = 'running' AND type = 'slow' AND crashes = 0 LIMIT 1 FOR UPDATE SKIP LOCKED)"
        " RETURNING id::text, worker_pid, extract(epoch FROM clock_timestamp())::float8"
    )
    return Hit(float(rows[0][2]), int(rows[0][1]), (str(rows[0][0]),)) if rows else None


# --- Races ---

EFFECT = text("INSERT INTO effect_log (job_id, organisation_id, attempt, n) VALUES (:job, :organisation, :attempt, 1)")


@scenario("S33", "A sweep and the end of the same job, at the same moment, a thousand times")
def race(run: Run) -> None:
    organisation = run.stack.new_organisation()
    engine = sqlalchemy.create_engine(run.stack.settings.sqlalchemy_url, pool_size=4)
    won: Counter[str] = Counter()
    finished: list[uuid.UUID] = []
    every: list[uuid.UUID] = []
    try:
        with run.load(mixed, rate=4) as ledger, ThreadPoolExecutor(2) as threads:
            for number in run.times(RACES):
                job = _expired_job(engine, organisation)
                sweep = _sweep_by_lock if number % 2 else _sweep_by_what_was_read
                ended, swept = _at_once(run, threads, lambda job=job: _finish(engine, job), sweep(engine, job))  # type: ignore[misc]
                assert not (ended and swept), f"{job.id} was finished and given up"
                won["the job" if ended else "this sweep" if swept else "another sweep"] += 1
                every.append(job.id)
                finished += [job.id] if ended else []
                run.injected()
    finally:
        engine.dispose()
    # First these: the accounts want a stack at rest.
    _check_races(run.stack, every, finished)
    run.settle(ledger)
    if len(every) >= ENOUGH_RACES:
        assert min(won["the job"], won["this sweep"]) >= len(every) / 10, f"this was hardly a race: {won}"
    run.note("won by " + ", ".join(f"{name}: {count}" for name, count in sorted(won.items())))


def _expired_job(engine: sqlalchemy.Engine, organisation: Organisation) -> Job:
    """Make a job that runs, and whose lease is over."""
    new = transitions.NewJob(
        organisation_id=organisation.id, kind="probe", type="credit", params={"type": "credit", "n": 1}, queue="reports"
    )
    with Session(engine, expire_on_commit=False) as db, db.begin():
        accepted = transitions.accept(db, new)
        job = transitions.claim(db, accepted.id, worker_id=uuid.uuid4(), pid=1, lease_seconds=0)
        assert job is not None
        return job


def _at_once(
    run: Run, threads: ThreadPoolExecutor, one: Callable[[], bool], other: Callable[[], bool]
) -> tuple[bool, bool]:
    barrier = threading.Barrier(2, timeout=30)

    def at_barrier(what: Callable[[], bool], hesitation: float) -> bool:
        barrier.wait()
        time.sleep(hesitation)
        return what()

    hesitations = [run.chance.uniform(0, LONGEST_HESITATION) for _ in range(2)]
    futures = [threads.submit(at_barrier, what, each) for what, each in zip((one, other), hesitations, strict=True)]
    first, second = (future.result(60) for future in futures)
    return first, second


def _finish(engine: sqlalchemy.Engine, job: Job) -> bool:
    """End the job as its worker would: effect and success in one transaction."""
    with Session(engine) as db:
        if not transitions.hold(db, job.id, job.attempt):
            return False
        db.execute(EFFECT, {"job": job.id, "organisation": job.organisation_id, "attempt": job.attempt})
        if (
            transitions.succeed(db, job.id, attempt=job.attempt, outcome=None, keep_result=None, max_in_flight=1)
            is None
        ):
            return False
        db.commit()
    return True


def _sweep_by_lock(engine: sqlalchemy.Engine, job: Job) -> Callable[[], bool]:
    """Sweep as the product does: lock what has expired, then decide."""

    def sweep() -> bool:
        with Session(engine) as db, db.begin():
            given_up = [
                each.id
                for each in transitions.lock_expired(db, BATCH)
                if transitions.give_up_lost(db, each, reason=Reason.LEASE_EXPIRED) is not None
            ]
        return job.id in given_up

    return sweep


def _sweep_by_what_was_read(engine: sqlalchemy.Engine, job: Job) -> Callable[[], bool]:
    """Decide by what was read before, without a lock: the change itself must refuse."""

    def sweep() -> bool:
        with Session(engine) as db, db.begin():
            return transitions.give_up_lost(db, job, reason=Reason.LEASE_EXPIRED) is not None

    return sweep


def _check_races(stack: ChaosStack, every: Sequence[uuid.UUID], finished: Sequence[uuid.UUID]) -> None:
    """Every job has ended, with one effect; what was finished in its first attempt has stayed so."""
    open_ = "SELECT count(*) FROM jobs WHERE id = ANY(%(ids)s) AND status <> 'succeeded'"
    wait_for(lambda: stack.one(open_, {"ids": list(every)}) == 0, seconds=120)
    single = "SELECT count(*) FROM (SELECT FROM effect_log WHERE job_id = ANY(%(ids)s) GROUP BY job_id HAVING count(*) = 1) AS x"
    assert stack.one(single, {"ids": list(every)}) == len(every), "a job had no effect, or two"
    kept = "SELECT count(*) FROM jobs WHERE id = ANY(%(ids)s) AND attempt = 1 AND crashes = 0 AND status = 'succeeded'"
    assert stack.one(kept, {"ids": list(finished)}) == len(finished), "a finished job was changed"
