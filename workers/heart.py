"""The worker's heart: a thread of the parent process that keeps the leases of all jobs its children run.

The parent does it because a child may hold the GIL for minutes in C code. The same thread sees within a second that a
child has died, or that somebody cancelled what a child is running.
"""

import os
import signal
import threading
import time
from typing import Any

import psutil
import structlog
from celery import bootsteps
from sqlalchemy.orm import Session

from models import heartbeat, session, settings, transitions
from models.job import Job
from models.job_states import JobStatus, Reason
from workers import errors, identity, publisher, rescue, routing

TICK_SECONDS = 1.0
SIGN_OF_LIFE_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Heart(bootsteps.Step):
    """Starts the thread before the pool exists. It is never stopped: leases must be kept until the last child is done."""

    label = "Heart"

    def __init__(self, worker: Any, **_: Any) -> None:
        self._process = identity.as_process(heartbeat.ProcessKind.WORKER, worker.hostname)
        self._last_sign = 0.0
        self._still = threading.Lock()

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
        with session.transaction() as db:
            self._give_sign_of_life(db)
            transitions.renew(db, identity.worker_id(), settings.load().lease_seconds)
            jobs = transitions.running_of(db, identity.worker_id())
        for job in jobs:
            if job.worker_pid is None or not _is_our_child(job.worker_pid):
                bury_lost(job)
            elif job.cancel_requested_at is not None:
                end_cancelled(job, job.worker_pid)

    def _give_sign_of_life(self, db: Session) -> None:
        if time.monotonic() - self._last_sign >= SIGN_OF_LIFE_SECONDS:
            heartbeat.beat(db, self._process)
            self._last_sign = time.monotonic()


def bury_lost(seen: Job) -> None:
    """Bury a job whose child died, and publish it again at once where it is to be run again."""
    with session.transaction() as db:
        job = transitions.hold_unless_finishing(db, seen)
        status = rescue.bury(db, job, reason=Reason.WORKER_LOST) if job is not None else None
    if job is not None and status is JobStatus.QUEUED:
        publisher.publish_all([routing.message(job)])


def end_cancelled(seen: Job, pid: int) -> None:
    """End the child of a cancelled job. The next beat finds it dead and buries the job."""
    with session.transaction() as db:
        if transitions.hold_unless_finishing(db, seen) is not None:
            log.info("ending a cancelled job", job_id=str(seen.id), attempt=seen.attempt)
            os.kill(pid, signal.SIGKILL)


def _is_our_child(pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        return process.ppid() == os.getpid() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
