"""One scenario's folder: its Redis, its workers, its ledger of acknowledged jobs and its log of effects."""

import collections
import contextlib
import dataclasses
import functools
import json
import os
import random
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import psutil
import redis

from tests.benchmarks.peers import harness, processes
from tests.chaos.baseline import client, plain

START_SECONDS = 30.0
# Nothing queued, nothing unacknowledged and nothing written for so long: nothing more will happen.
QUIET_SECONDS = 3.0


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the log of effects."""

    what: str
    job_id: str
    pid: int
    at: float


@dataclasses.dataclass
class Lab:
    """Plain Celery, to be broken. Use it in a `with` block; nothing is left running."""

    folder: Path
    options: plain.Options
    chance: random.Random
    _stack: contextlib.ExitStack = dataclasses.field(default_factory=contextlib.ExitStack)
    _broker: processes.Server | None = None
    _started: int = 0

    def __enter__(self) -> Self:
        self.folder.mkdir(mode=0o700, parents=True)
        self.options.write(self.folder)
        self._broker = self._stack.enter_context(processes.serving(self.folder, frozenset({"redis"})))["redis"]
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # --- Redis ---

    @property
    def broker(self) -> processes.Server:
        if self._broker is None:
            raise AssertionError("the lab is used in a `with` block")
        return self._broker

    @contextlib.contextmanager
    def connection(self) -> Iterator[redis.Redis]:
        url = processes.settings_of(self.folder).redis_client_url
        with redis.Redis.from_url(url, socket_timeout=5) as opened:
            yield opened

    def held(self) -> tuple[int, int]:
        """How many messages Redis holds: queued, and given out but not acknowledged."""
        with self.connection() as opened:
            return int(opened.llen(plain.QUEUE)), int(opened.hlen("unacked"))

    # --- Processes ---

    def worker(self, *, slots: int = 2, wait: bool = True) -> subprocess.Popen[bytes]:
        """Start a worker, and wait until it does what it is told."""
        options = ("--without-gossip", "--without-mingle", "--loglevel=INFO", f"--concurrency={slots}")
        self._started += 1
        log = self.folder / f"worker-{self._started}.log"
        process = self._start("worker", f"--hostname=w{self._started}@lab", *options, log=log)
        if wait:
            processes.wait_until(lambda: " ready." in _text(log), what="a worker is ready", seconds=START_SECONDS)
        return process

    def beat(self) -> subprocess.Popen[bytes]:
        self._started += 1
        name = f"beat-{self._started}"
        files = (f"--schedule={self.folder / name}", f"--pidfile={self.folder / name}.pid")
        return self._start("beat", *files, log=self.folder / f"{name}.log")

    def _start(self, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
        command = harness.program("celery", "-A", "tests.chaos.baseline.app", *arguments)
        process = processes.start(command, folder=self.folder, log=log)
        self._stack.callback(processes.end, process, by=signal.SIGKILL)
        return process

    @staticmethod
    def kill_parent(worker: subprocess.Popen[bytes]) -> None:
        """Kill the worker's parent alone, as the kernel or a machine's operator would; its children find out by themselves."""
        children = processes.family(worker)[1:]
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        psutil.wait_procs(children, timeout=5)

    # --- Jobs ---

    def client(self, jobs: int, *, job_seconds: float, per_second: float = 1e9) -> subprocess.Popen[bytes]:
        """Start a client that publishes while other things happen."""
        log = self.folder / "client.log"
        numbers = (str(jobs), str(job_seconds), str(per_second))
        process = processes.start(
            harness.python("-m", "tests.chaos.baseline.client", *numbers), folder=self.folder, log=log
        )
        self._stack.callback(processes.end, process, by=signal.SIGKILL)
        return process

    def publish(self, jobs: int, *, job_seconds: float, seconds: float = 60.0) -> None:
        """Publish, and wait until the client has ended."""
        code = self.client(jobs, job_seconds=job_seconds).wait(seconds)
        if code != 0:
            raise AssertionError(f"the client failed: {_text(self.folder / 'client.log')}")

    def submit(self, task: str, *arguments: object) -> str:
        """Publish one job from this process, at once; return its id."""
        job_id = str(uuid.uuid4())
        self._app.send_task(task, args=(job_id, *arguments))
        with (self.folder / client.LEDGER_FILE).open("a") as ledger:
            ledger.write(json.dumps({"id": job_id, "acked": True, "seconds": 0.0}) + "\n")
        return job_id

    @functools.cached_property
    def _app(self) -> Any:
        app = plain.make_app(self.folder)
        self._stack.callback(app.close)
        return app

    def ledger(self, *, acked: bool = True) -> list[str]:
        path = self.folder / client.LEDGER_FILE
        entries = [json.loads(line) for line in _text(path).splitlines() if line.endswith("}")]
        return [entry["id"] for entry in entries if entry["acked"] == acked]

    def lines(self, what: str) -> list[Line]:
        found = []
        for line in _text(self.folder / plain.EFFECTS_FILE).splitlines():
            word, job_id, pid, at = line.split()
            if word == what:
                found.append(Line(word, job_id, int(pid), float(at)))
        return found

    def starts_of(self, job_id: str) -> list[Line]:
        return [line for line in self.lines("start") if line.job_id == job_id]

    def wait_for_starts(self, count: int, *, seconds: float = START_SECONDS) -> list[Line]:
        processes.wait_until(lambda: len(self.lines("start")) >= count, what=f"{count} starts", seconds=seconds)
        return self.lines("start")

    # --- The account ---

    def drain(self, *, seconds: float) -> bool:
        """Wait until every acknowledged job had its effect, or nothing more will happen; False when time ran out."""
        deadline, quiet_since, seen = time.monotonic() + seconds, time.monotonic(), -1
        while time.monotonic() < deadline:
            if set(self.ledger()) <= {line.job_id for line in self.lines("effect")} and self.held() == (0, 0):
                return True
            written = len(_text(self.folder / plain.EFFECTS_FILE))
            if written != seen or self.held() != (0, 0):
                quiet_since, seen = time.monotonic(), written
            if time.monotonic() - quiet_since >= QUIET_SECONDS:
                return True
            time.sleep(0.1)
        return False

    def lost(self) -> int:
        """Acknowledged jobs that had no effect."""
        return len(set(self.ledger()) - {line.job_id for line in self.lines("effect")})

    def never_started(self) -> int:
        """Acknowledged jobs of which no worker ever knew."""
        return len(set(self.ledger()) - {line.job_id for line in self.lines("start")})

    def doubled(self) -> int:
        """Jobs that had their effect more than once."""
        return sum(count > 1 for count in collections.Counter(line.job_id for line in self.lines("effect")).values())

    def restarts(self) -> Sequence[float]:
        """Seconds from the first start of each job that was started again to its second."""
        times = collections.defaultdict(list)
        for line in self.lines("start"):
            times[line.job_id].append(line.at)
        return [starts[1] - starts[0] for starts in times.values() if len(starts) > 1]


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
