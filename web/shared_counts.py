"""Shares what is counted in this process with the other web processes, through Redis, in a thread that no request waits for."""

import functools
import os
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import redis
import sqlalchemy.exc
import structlog

from models import row_access, session, tally
from web import request_quota
from web.request_quota import WINDOW_SECONDS, Counts
from workers import broker

# Beside the keys of Celery's queues, which begin otherwise.
KEY = "reckoner:requests:{name}:{window}"
PAUSE_SECONDS = 0.5
# After an error it is left alone for a while, twice as long each time.
LONGEST_PAUSE_SECONDS = 30.0
# A window may be asked after for as long again as it lasts.
KEPT_SECONDS = 2 * WINDOW_SECONDS
# So many at once, so that one exchange stays far below the time that Redis is given.
MOST_AT_ONCE = 2_000

log = structlog.get_logger("web.limits")


@dataclass(slots=True)
class Sharing:
    """The thread, begun with the first request that is counted, and what it has to tell."""

    counts: Counts
    is_alone: bool = False
    _news: threading.Event = field(default_factory=threading.Event)
    _refused: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def note(self, refused_by: str | None = None) -> None:
        """Note that there is something to share: a request was counted, or was refused by the policy of this name."""
        if refused_by is not None:
            with self._lock:
                self._refused[refused_by] += 1
        if self._news.is_set():
            return
        self._news.set()
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="shared counts", daemon=True)
                    self._thread.start()

    def share(self) -> bool:
        """Tell and learn once; False: Redis does not answer."""
        now = time.time()
        told = [one for at, one in enumerate(self.counts.current(now)) if at < MOST_AT_ONCE]
        try:
            pipeline = broker.client().pipeline(transaction=False)
            for name, window, more in told:
                key = KEY.format(name=name, window=window)
                pipeline.incrby(key, more)
                pipeline.expire(key, KEPT_SECONDS)
            totals = pipeline.execute()[::2]
        except redis.RedisError as error:
            self._went_away(error)
            return False
        self.counts.learn(
            (name, window, more, int(total)) for (name, window, more), total in zip(told, totals, strict=True)
        )
        if self.is_alone:
            self.is_alone = False
            log.info("requests are counted together with the other web processes again")
        return True

    def _went_away(self, error: redis.RedisError) -> None:
        if not self.is_alone:
            self.is_alone = True
            log.warning("Redis is away: requests are counted in this process alone", error=type(error).__name__)
            self._tally(tally.Count.LIMITS_ALONE, "", 1)

    def _run(self) -> None:
        pause = PAUSE_SECONDS
        while True:
            self._news.wait()
            time.sleep(pause)
            self._news.clear()
            pause = PAUSE_SECONDS if self.share() else min(2 * pause, LONGEST_PAUSE_SECONDS)
            self._tally_refused()

    def _tally_refused(self) -> None:
        with self._lock:
            refused, self._refused = self._refused, Counter()
        for policy, times in refused.items():
            if not self._tally(tally.Count.REQUESTS_REFUSED, policy, times):
                with self._lock:
                    self._refused[policy] += times

    def _tally(self, name: tally.Count, label: str, times: int) -> bool:
        try:
            with row_access.of_all_organisations(), session.transaction() as db:
                tally.relax(db)
                tally.add(db, name, label, by=times)
        except (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError) as error:
            log.warning("could not tally", name=name.value, times=times, error=type(error).__name__)
            return False
        return True


@functools.cache
def _sharing_of_process(pid: int) -> Sharing:  # noqa: ARG001 - the pid is the cache's key: threads do not survive a fork
    return Sharing(request_quota.counts())


def sharing() -> Sharing:
    return _sharing_of_process(os.getpid())
