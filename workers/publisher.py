"""Publishing: lets a lane's next jobs in and sends their messages, outside the request that brought them.

Nothing here may be relied upon: a process may die between any two lines. The rescue sweep stands behind it.
"""

import functools
import os
import queue
import threading
import time
from collections.abc import Iterable, Sequence

import structlog

from models import admission, failpoints, row_access, session, settings, tally
from models.admission import Admitted, Lane
from models.failpoints import Point
from workers import errors, routing

CAPACITY = 10_000
# A broker that was away a moment ago is left alone; a request or a finished job should not wait to be told so again.
SULK_SECONDS = 1.0
# Between two rounds, so that many requests that come at once are let in together. The first of them does not wait.
PAUSE_SECONDS = 0.005
# How long a lane is left alone that had no room. Whatever makes room in it lets the next jobs in by itself.
FULL_SECONDS = 0.05

log = structlog.get_logger(__name__)

__all__ = ["Lane", "Publisher", "publish", "publisher", "send_all"]


class Publisher:
    """Publishes from a thread of its own, so that a slow or absent Redis never slows down a request."""

    def __init__(self) -> None:
        self._lanes: queue.Queue[Lane] = queue.Queue(CAPACITY)
        self._starting = threading.Lock()
        self._thread = self._start()

    def _start(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        thread.start()
        return thread

    def put(self, lane: Lane) -> None:
        """Say that a lane has a new job; returns at once."""
        if not self._thread.is_alive():
            # Of an error nobody foresaw; the log has it. Without a thread every job would wait for the sweep.
            with self._starting:
                if not self._thread.is_alive():
                    self._thread = self._start()
        try:
            self._lanes.put_nowait(lane)
        except queue.Full:
            log.warning("publisher is full; the rescue sweep will publish")

    def _run(self) -> None:
        due: dict[Lane, float] = {}
        full: dict[Lane, float] = {}
        while True:
            for lane in self._next_lanes(wait=not due):
                due.setdefault(lane, full.get(lane, 0.0))
            now = time.monotonic()
            for lane in [lane for lane, when in due.items() if when <= now]:
                del due[lane]
                if not publish([lane]):
                    full[lane] = now + FULL_SECONDS
            full = {lane: until for lane, until in full.items() if until > now}
            time.sleep(PAUSE_SECONDS)

    def _next_lanes(self, *, wait: bool) -> Iterable[Lane]:
        """Take every lane that has been put meanwhile, each once; wait for one, if there is to be one."""
        lanes = {self._lanes.get(): None} if wait else {}
        while True:
            try:
                lanes[self._lanes.get_nowait()] = None
            except queue.Empty:
                return lanes


class _Broker:
    """What this process last saw of the broker."""

    away_until = 0.0


def publish(lanes: Iterable[Lane]) -> int:
    """Let in what each lane has room for, and send it; returns how many messages went out."""
    sent = 0
    for lane in lanes:
        if time.monotonic() < _Broker.away_until:
            break
        try:
            # Whose turn it is depends on who else waits.
            with row_access.of_all_organisations(), session.transaction() as db:
                # Losing this mark in a crash of the database costs a second message, and the claim refuses that.
                tally.relax(db)
                admitted = admission.admit(db, lane, max_in_flight=settings.load().max_in_flight)
                failpoints.hit(Point.PUBLISH_BEFORE_MARK)
        except errors.DATABASE_AWAY as error:
            log.warning("could not let jobs in; the rescue sweep will", error=type(error).__name__)
            break
        sent += send_all(admitted)
    return sent


def send_all(admitted: Sequence[Admitted]) -> int:
    """Send the messages of jobs that are marked as published; returns how many went out. The others are unmarked."""
    for number, job in enumerate(admitted):
        failpoints.hit(Point.PUBLISH_BEFORE_SEND)
        try:
            routing.send(job.id, kind=job.kind, queue=job.queue, express=job.express)
        except errors.BROKER_AWAY as error:
            _Broker.away_until = time.monotonic() + SULK_SECONDS
            unsent = admitted[number:]
            log.warning("broker away; the rescue sweep will publish", jobs=len(unsent), error=type(error).__name__)
            _withdraw(unsent)
            return number
        failpoints.hit(Point.PUBLISH_AFTER_SEND)
    return len(admitted)


def _withdraw(unsent: Sequence[Admitted]) -> None:
    try:
        with row_access.of_all_organisations(), session.transaction() as db:
            admission.withdraw(db, [job.id for job in unsent])
    except errors.DATABASE_AWAY as error:
        # The sweep will look for their messages, and find none.
        log.warning("could not note what was not sent", jobs=len(unsent), error=type(error).__name__)


@functools.cache
def _publisher_of_process(pid: int) -> Publisher:  # noqa: ARG001 - the pid is the cache's key: threads do not survive a fork
    return Publisher()


def publisher() -> Publisher:
    return _publisher_of_process(os.getpid())
