"""Redis exactly as the stack would run it, but ended and started by the scenario, which so decides how long it is away."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cli import embedded_redis
from tests.client import wait_for

START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Outage:
    """How long Redis was away, by the clock that the database has too."""

    since: float
    until: float


class RedisApart:
    """A server that no supervisor watches. Its socket and its data lie where those of the embedded one would."""

    def __init__(self, *, home: Path, sockets: Path) -> None:
        self._home = home
        self._sockets = sockets
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._sockets / embedded_redis.SOCKET_NAME}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise AssertionError("Redis does not run")
        return self._process.pid

    @property
    def folder(self) -> Path:
        """Where it keeps its data."""
        return self._home / "redis"

    def start(self, *options: str, wait: bool = True) -> None:
        """Start it with its data, and with more options; wait until it answers."""
        self._sockets.mkdir(mode=0o700, exist_ok=True)
        spec = embedded_redis.spec(home=self._home, sockets=self._sockets, environment=os.environ)
        if spec.prepare is not None:
            spec.prepare()
        with (self._home / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*spec.argv, *options], cwd=self._home, stdout=log, stderr=log, start_new_session=True
            )
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        spec = embedded_redis.spec(home=self._home, sockets=self._sockets, environment=os.environ)
        wait_for(spec.is_ready, seconds=START_SECONDS, pause=0.02)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            # A frozen one hears nothing but its death.
            process.send_signal(signal.SIGCONT)
            process.wait(START_SECONDS)

    def wipe(self) -> None:
        """Remove its data. It does not run at this moment."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def down(self, *, wiped: bool = False) -> Iterator[None]:
        """Kill it for the length of the block; with `wiped` its data are gone afterwards."""
        self.kill()
        if wiped:
            self.wipe()
        try:
            yield
        finally:
            self.start()

    def take_down(self, seconds: float, *, wiped: bool = False) -> Outage:
        """Kill it for so long."""
        since = time.time()
        with self.down(wiped=wiped):
            time.sleep(seconds)
        return Outage(since, time.time())
