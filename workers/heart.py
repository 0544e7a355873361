"""The worker's heart: a thread of the parent process that keeps the leases of all jobs its children work at.

The parent does it because a child may hold the GIL for minutes in C code. The same thread sees within a second that a child
has died, that a job was cancelled, that a lease went to another worker, and that this worker has stopped taking work.
"""

import os
import signal
import threading
import time
import uuid
from typing import Any

import psutil
import structlog
from celery import bootsteps
from celery.worker import state

from models import admission, heartbeat, liveness, session, settings, tally, transitions
from models.job import Job
from models.job_states import JobKind, JobStatus, Reason
from workers import broker, errors, identity, interrupts, job_problems, publisher, rescue, workboard
from workers.workboard import Work

TICK_SECONDS = 1.0
SIGN_OF_LIFE_SECONDS = 5.0
# What is seen once may be a moment between two writes; what is seen this often is so.
TIMES_SEEN = 2
# Of the looks at each sign of life: a quarter of a minute.
STALLS_SEEN = 3
# After a warm shutdown that did not come about.
LAST_WORDS_SECONDS = 10.0

log = structlog.get_logger(__name__)


class Heart(bootsteps.Step):
    """Starts the thread before the pool exists. It is never stopped: leases must be kept until the last child is done."""

    label = "Heart"

    def __init__(self, worker: Any, **_: Any) -> None:
        self._worker = worker
        self._board = workboard.board()
        self._last_sign = 0.0
        self._work_taken = 0
        self._still = threading.Lock()
        self._idle_claims: dict[uuid.UUID, int] = {}
        self._strays: dict[Work, int] = {}
        self._told_to_stop: dict[Work, float] = {}
        self._stalls_seen = 0
        self._ending_since: float | None = None

    def create(self, worker: Any) -> None:  # noqa: ARG002 - Celery's signature
        # A child forked in the middle of a beat would inherit whatever lock the thread holds at that moment (an import's,
        # a connection pool's), held by nobody, and wait for it for ever. So no fork happens during a beat.
        os.register_at_fork(
            before=self._still.acquire, after_in_parent=self._still.release, after_in_child=self._still.release
        )
        threading.Thread(target=self._run, name="heart", daemon=True).start()

    def _run(self) -> None:
        while True:
            started = time.monotonic()
            with self._still:
                self._beat()
            time.sleep(max(0.0, TICK_SECONDS - (time.monotonic() - started)))

    def _beat(self) -> None:
        try:
            self._tick()
        except errors.DATABASE_AWAY as error:
            # Leases go on running out meanwhile; the fence in the final transaction protects the data.
            log.warning("heart could not reach the database", error=type(error).__name__)

    def _tick(self) -> None:
        work = self._board.read()
        # Each statement is a transaction of its own: on a slow network every trip saved is time left on the leases.
        with session.statement() as db:
            transitions.renew(db, identity.worker_id(), list(work), lease_seconds=settings.load().lease_seconds)
            jobs = {job.id: job for job in transitions.running_of(db, identity.worker_id())}
        for job in jobs.values():
            self._look_after(job, work.get(job.id))
        self._end_strays({at for at in work.values() if at.attempt and not _is_at(at, jobs.get(at.job_id))})
        self._idle_claims = {job_id: seen for job_id, seen in self._idle_claims.items() if job_id in jobs}
        self._told_to_stop = {at: when for at, when in self._told_to_stop.items() if at in work.values()}
        if time.monotonic() - self._last_sign >= SIGN_OF_LIFE_SECONDS:
            self._give_sign_of_life()

    def _look_after(self, job: Job, at: Work | None) -> None:
        """Bury a job whose child is gone, give back one whose child has left it, and end one that is cancelled."""
        if job.worker_pid is None or not _is_our_child(job.worker_pid):
            if job.worker_pid is not None:
                self._board.forget(job.worker_pid)
            bury_lost(job)
        elif at is None:
            # Its child could not write how it ended, or has not yet said what it is working at.
            self._idle_claims[job.id] = self._idle_claims.get(job.id, 0) + 1
            if self._idle_claims[job.id] > TIMES_SEEN:
                give_back(job)
        elif job.cancel_requested_at is not None and _is_at(at, job) and _may_be_stopped(job):
            self._end_cancelled(job, at)

    def _end_cancelled(self, job: Job, at: Work) -> None:
        """Ask a child to stop, and after the grace kill it; unless it is finishing the job this moment."""
        asked = self._told_to_stop.setdefault(at, time.monotonic())
        patient = time.monotonic() - asked < settings.load().cancel_grace_seconds
        with session.transaction() as db:
            if transitions.hold_unless_finishing(db, job) is None:
                return
            log.info("ending a cancelled job", job_id=str(job.id), attempt=job.attempt, by_force=not patient)
            _signal(at.pid, interrupts.CANCEL if patient else signal.SIGKILL)

    def _end_strays(self, strays: set[Work]) -> None:
        """Kill children that go on with what is no longer theirs: cancelled, given up, or claimed by another worker."""
        self._strays = {at: self._strays.get(at, 0) + 1 for at in strays}
        for at, seen in self._strays.items():
            if seen > TIMES_SEEN:
                log.warning("ending a child whose lease is lost", job_id=str(at.job_id), attempt=at.attempt, pid=at.pid)
                _signal(at.pid, signal.SIGKILL)
                self._board.forget(at.pid)
                with session.transaction() as db:
                    tally.add(db, tally.Count.LEASES_LOST, "heart")

    def _give_sign_of_life(self) -> None:
        taken = state.all_total_count[0]
        with session.statement() as db:
            heartbeat.beat(db, self._process(), took_work=taken != self._work_taken)
        self._work_taken = taken
        self._last_sign = time.monotonic()
        self._end_if_stalled()

    def _process(self) -> heartbeat.Process:
        return identity.as_process(
            heartbeat.ProcessKind.WORKER,
            self._worker.hostname,
            queues=tuple(sorted(self._worker.app.amqp.queues.consume_from)),
            slots=self._worker.concurrency or 1,
        )

    def _end_if_stalled(self) -> None:
        """End this worker if there is work it does not take: whatever holds it up, its successor starts without it.

        A warm shutdown first, so that the other children come to the end of their jobs; a worker that does not even hear that
        is killed once none of them is at work any more.
        """
        if self._ending_since is None:
            found = _own_stall()
            # While the broker is away there is nothing to take, and after that Celery is given time to come back to it.
            ready = state.should_stop is None and broker.ping()
            self._stalls_seen = self._stalls_seen + 1 if found is not None and ready else 0
            if found is None or self._stalls_seen <= STALLS_SEEN:
                return
            log.critical("ending this worker", why=found.sentence)
            with session.transaction() as db:
                tally.add(db, tally.Count.STALLED_WORKERS, "heart")
            self._ending_since = time.monotonic()
            _signal(os.getpid(), signal.SIGTERM)
        elif time.monotonic() - self._ending_since > LAST_WORDS_SECONDS and not self._board.read():
            _signal(os.getpid(), signal.SIGKILL)


def _own_stall() -> liveness.Stalled | None:
    with session.statement() as db:
        stalled = liveness.stalled_workers(
            db, stall_seconds=settings.load().stall_seconds, silent_seconds=liveness.silence_seconds()
        )
    return next((worker for worker in stalled if worker.id == identity.worker_id()), None)


def bury_lost(seen: Job) -> None:
    """Bury a job whose child died, and publish it again at once where it is to be run again."""
    with session.transaction() as db:
        job = transitions.hold_unless_finishing(db, seen)
        if job is None:
            return
        rescue.bury(db, job, reason=Reason.WORKER_LOST)
        due = admission.admit_again(db, [job.id])
    publisher.send_all(due)
    if not due:
        # It has ended, or pauses: there is room for another.
        publisher.publish([publisher.Lane(job.organisation_id, job.queue)])


def give_back(seen: Job) -> None:
    """Queue a job again whose child lives but has left it: the database was away when it wanted to say how it ended."""
    with session.transaction() as db:
        job = transitions.hold_unless_finishing(db, seen)
        status = transitions.release(db, job, error=job_problems.database_away()) if job is not None else None
    if status is JobStatus.QUEUED:
        log.warning("gave back a job that nobody works at", job_id=str(seen.id), attempt=seen.attempt)


def _may_be_stopped(job: Job) -> bool:
    """Whether a job may be ended halfway: an erasure that has begun can only be finished."""
    return job.kind != JobKind.ERASURE or bool(job.params.get("dry_run"))


def _is_at(at: Work, job: Job | None) -> bool:
    """Whether a child is at what is its own; also one that has claimed it and has not come to saying so."""
    return job is not None and at.attempt in {0, job.attempt} and job.worker_pid == at.pid


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        log.debug("the process has ended meanwhile", pid=pid)


def _is_our_child(pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        return process.ppid() == os.getpid() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
