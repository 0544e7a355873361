"""One thread looks at all jobs that somebody waits for, so that what this costs the database does not grow with the waiting."""

import enum
import functools
import os
import threading
import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import sqlalchemy.exc
import structlog

from models import job_glances, row_access, session
from models.job_glances import Glance

# Looks at first come closer together than a small report takes, so that its asker waits hardly longer than it ran.
SHORTEST_PAUSE = 0.01
LONGEST_PAUSE = 0.2
# The longer somebody has waited, the less a little longer matters.
PAUSE_PER_SECOND = 0.1
# After a look that the database did not answer.
REST_SECONDS = 0.5

log = structlog.get_logger("web.lookout")


class Seen(enum.Enum):
    """Why a wait is over."""

    NEWS = enum.auto()
    NOTHING = enum.auto()
    """The time is up."""
    CLOSING = enum.auto()
    """This process is about to end."""


@dataclass(slots=True, eq=False)
class _Watch:
    """Somebody who waits: for what, since when, and until when not to look again."""

    job_id: uuid.UUID
    is_news: Callable[[Glance | None], bool]
    began: float
    due: float = 0.0
    seen: Seen = Seen.NOTHING
    over: threading.Event = field(default_factory=threading.Event)

    def pause(self, now: float) -> float:
        return min(max((now - self.began) * PAUSE_PER_SECOND, SHORTEST_PAUSE), LONGEST_PAUSE)

    def end(self, seen: Seen) -> None:
        self.seen = seen
        self.over.set()


class Lookout:
    """Whoever waits for a job is woken when there is news of it."""

    def __init__(self) -> None:
        self._watches: set[_Watch] = set()
        self._changed = threading.Condition()
        self._is_open: Callable[[], bool] = lambda: True
        self._thread: threading.Thread | None = None

    def open_while(self, is_open: Callable[[], bool]) -> None:
        """Wait for nothing any more once this is false."""
        self._is_open = is_open

    def wait(self, job_id: uuid.UUID, *, is_news: Callable[[Glance | None], bool], seconds: float) -> Seen:
        """Wait until a glance at a job is news, None being a glance at one that is gone; at most so many seconds."""
        now = time.monotonic()
        watch = _Watch(job_id, is_news, began=now, due=now + SHORTEST_PAUSE)
        with self._changed:
            self._watches.add(watch)
            self._changed.notify()
            self._start()
        try:
            watch.over.wait(seconds)
        finally:
            with self._changed:
                self._watches.discard(watch)
        return watch.seen

    def _start(self) -> None:
        # It is there already, but for the first time and after an error nobody foresaw, which the log then has.
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="lookout", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            due = self._next()
            if self._is_open():
                self._look_for(due)
            else:
                for watch in due:
                    watch.end(Seen.CLOSING)

    def _next(self) -> Collection[_Watch]:
        """Wait until somebody is to be looked for; return them, and with them those for whom it would soon be time."""
        with self._changed:
            while True:
                # One that is over is still there until its thread has come round to it.
                waiting = [watch for watch in self._watches if not watch.over.is_set()]
                first = min((watch.due for watch in waiting), default=None)
                now = time.monotonic()
                if first is not None and first <= now:
                    return [watch for watch in waiting if watch.due <= now + watch.pause(now) / 2]
                self._changed.wait(None if first is None else first - now)

    def _look_for(self, due: Collection[_Watch]) -> None:
        try:
            # Those who wait have been shown before that the job is theirs, and are told no more than that there is news.
            with row_access.of_all_organisations(), session.statement() as db:
                glances = job_glances.look(db, {watch.job_id for watch in due})
        except (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError) as error:
            log.warning("could not look at jobs; will try again", error=type(error).__name__)
            until = time.monotonic() + REST_SECONDS
            for watch in due:
                watch.due = until
            return
        now = time.monotonic()
        for watch in due:
            watch.due = now + watch.pause(now)
            if watch.is_news(glances.get(watch.job_id)):
                watch.end(Seen.NEWS)


@functools.cache
def _of_process(pid: int) -> Lookout:  # noqa: ARG001 - the pid is the cache's key: threads do not survive a fork
    return Lookout()


def of_process() -> Lookout:
    return _of_process(os.getpid())
