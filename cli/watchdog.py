"""Ends processes of this stack that live and do nothing, so that the supervisor starts them again: `NAME=worker|beat|web …`.

A process of its own, because the supervisor's loop must never wait for a database. It judges by signs of life in SQL, by the
database's clock, and only after the database has answered for so long that everybody could have given one.
"""

import dataclasses
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from types import FrameType

import sqlalchemy.exc
from sqlalchemy import text

from cli import frozen_web, runtime_file
from cli.proc import Proc
from models import liveness, session, settings, tally
from models.liveness import Seen, Stalled

LOOK_SECONDS = 3.0
# Imports on a slow disk, migrations of others, a database that recovers: a start may take this long.
START_SECONDS = 120.0
# A stalled worker ends itself, gently; this is for one that does not.
STALL_BACKSTOP_SECONDS = 30.0
# Clocks that part by more between two looks were set, and a longer pause between looks was a machine that slept.
CLOCK_JUMP_SECONDS = 5.0
LONGEST_GAP_SECONDS = 20.0
# A row that began this much before its process belongs to an earlier process of that number.
START_SLACK_SECONDS = 5.0


@dataclasses.dataclass(slots=True)
class Continuity:
    """For how long the database has answered every look, with a clock that went as fast as ours."""

    _since: float | None = None
    _last: tuple[float, float] | None = None

    def note(self, now: float, database_now: float | None) -> None:
        """Take note of a look at a monotonic time; `database_now` is None where the database did not answer."""
        if database_now is None:
            self._since = self._last = None
            return
        if self._last is not None:
            passed, passed_there = now - self._last[0], database_now - self._last[1]
            if passed > LONGEST_GAP_SECONDS or abs(passed_there - passed) > CLOCK_JUMP_SECONDS:
                self._since = None
        if self._since is None:
            self._since = now
        self._last = (now, database_now)

    def lasted(self, now: float) -> float:
        return 0.0 if self._since is None else now - self._since


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """What one look into the database showed."""

    database_now: float
    seen: Mapping[int, Seen]
    stalled: Mapping[int, Stalled]


def look(host: str) -> View | None:
    """Return what the database knows of this host; None where it does not answer."""
    try:
        with session.transaction() as db:
            now = float(db.execute(text("SELECT extract(epoch FROM now())")).scalar_one())
            seen = {found.pid: found for found in liveness.seen(db, host=host)}
            stalled = liveness.stalled_workers(
                db, stall_seconds=settings.load().stall_seconds, silent_seconds=liveness.silence_seconds()
            )
    except (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError) as error:
        _say(f"the database cannot be asked ({type(error).__name__}): no worker is judged")
        return None
    return View(now, seen, {found.pid: found for found in stalled if found.host == host})


def why_dead(seen: Seen | None, *, age: float, lasted: float) -> str | None:
    """Say why a worker or beat counts as dead; None: it does not, or that cannot be known yet.

    `age` is that of its process, `lasted` for how long the database has been there to hear it.
    """
    silence = liveness.silence_seconds()
    if seen is None or seen.started > age + START_SLACK_SECONDS:
        silent = age > START_SECONDS and lasted > START_SECONDS
        return f"has given no sign of life since it started {age:.0f} s ago" if silent else None
    if seen.silent_for > silence and lasted > silence:
        return f"has given no sign of life for {seen.silent_for:.0f} s"
    return None


class Watchdog:
    """Looks at the processes it was told of, again and again."""

    def __init__(self, roles: Mapping[str, str]) -> None:
        """`roles` says by the name in the Procfile whether a process is a worker, beat or web."""
        self._roles = roles
        self._host = socket.gethostname()
        self._supervisor = os.getppid()
        self._continuity = Continuity()
        self._stalled_since: dict[int, float] = {}
        self._web = frozen_web.FrozenWeb()

    def look_once(self) -> None:
        runtime = runtime_file.read(settings.load().home)
        if runtime is None:
            return
        view = look(self._host)
        now = time.monotonic()
        self._continuity.note(now, view.database_now if view is not None else None)
        for name, role in self._roles.items():
            process = Proc.find(runtime.processes.get(name), parent=self._supervisor)
            if process is None:
                continue
            why = self._web.why_dead(process, runtime.web_url, now=now) if role == "web" else None
            if role != "web" and view is not None:
                why = self._why_dead(process, view, now)
            if why is not None:
                self._end(name, process, why)

    def _why_dead(self, process: Proc, view: View, now: float) -> str | None:
        why = why_dead(view.seen.get(process.pid), age=process.age, lasted=self._continuity.lasted(now))
        return why or self._why_stalled(view.stalled.get(process.pid), now)

    def _why_stalled(self, stalled: Stalled | None, now: float) -> str | None:
        """Return why a worker must be ended that takes no work and should have ended itself: so for a while, all jobs done."""
        if stalled is None or stalled.running or not _broker_answers():
            if stalled is not None:
                self._stalled_since.pop(stalled.pid, None)
            return None
        since = self._stalled_since.setdefault(stalled.pid, now)
        return stalled.sentence if now - since > STALL_BACKSTOP_SECONDS else None

    def _end(self, name: str, process: Proc, why: str) -> None:
        if not process.kill():
            return
        _say(f"killed {name} (pid {process.pid}): it {why}")
        self._stalled_since.pop(process.pid, None)
        try:
            with session.transaction() as db:
                tally.add(db, tally.Count.STALLED_WORKERS, "watchdog")
        except (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError) as error:
            _say(f"could not count that ({type(error).__name__})")


def _say(sentence: str) -> None:
    # In words, like the supervisor, which writes the name of this process in front.
    sys.stdout.write(sentence + "\n")
    sys.stdout.flush()


def _broker_answers() -> bool:
    # Imported when it is needed, which is hardly ever: this process is to stay small.
    from workers import broker  # noqa: PLC0415

    return broker.ping()


def _end_quietly(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def main(arguments: list[str]) -> None:
    signal.signal(signal.SIGTERM, _end_quietly)
    watchdog = Watchdog(dict(argument.split("=", 1) for argument in arguments))
    while True:
        watchdog.look_once()
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1:])
