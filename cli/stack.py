"""A real stack for the length of a `with` block: `reckoner up` as a process of its own.

`reckoner demo` and the acceptance tests use it.
"""

import dataclasses
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from cli import child_environment, flower_access, kept_key, readiness, runtime_file, stack_plan
from cli.runtime_file import Runtime

POLL_SECONDS = 0.05
# How long one look at the web server may last before it is asked whether the stack still runs.
LOOK_SECONDS = 5.0
T = TypeVar("T")


class StackError(RuntimeError):
    """The stack did not start or stop as it should; the message ends with the last lines of its log."""


def until(look: Callable[[], T], what: str, seconds: float = 10.0) -> T:
    """Look again and again until there is something to see, and return it.

    Raises:
        StackError: there was not, in this time.
    """
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() >= deadline:
            raise StackError(f"not within {seconds:.0f} s: {what}")
        time.sleep(POLL_SECONDS)
    return found


@dataclasses.dataclass(kw_only=True)
class Stack:
    """`reckoner up` on free ports with its own home; its log is `up.log` there."""

    home: Path
    start_seconds: float = 120.0
    stop_seconds: float = 90.0
    ready_path: str | None = "/readyz"
    """What must answer 200 before the stack counts as started; None: only that the stack runs."""
    arguments: tuple[str, ...] = ()
    """Further options of `reckoner up`."""
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    """Environment variables beside our own."""
    _process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            StackError: it ended, or was not ready in time; nothing is left running.
        """
        deadline = time.monotonic() + self.start_seconds
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [
                    sys.executable,
                    "-m",
                    "cli.main",
                    "up",
                    "--home",
                    str(self.home.resolve()),
                    *self._ports(),
                    *self.arguments,
                ],
                cwd=stack_plan.PROJECT_FOLDER,
                env=child_environment.inherited() | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_until_started(deadline)
        except BaseException:
            self.stop()
            raise

    def _ports(self) -> list[str]:
        return ["--port", "0", "--flower-port", "0"]

    def stop(self) -> int:
        """Stop it cleanly, or by force after `stop_seconds`; the answer is its exit code."""
        process = self._process
        if process is None:
            raise StackError("the stack was not started")
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise StackError(f"the stack did not stop within {self.stop_seconds:.0f} s{self.log_tail()}") from None

    def kill(self) -> None:
        """Kill the supervisor itself with SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pid_of(self, name: str, *, other_than: int | None = None, seconds: float = 20.0) -> int:
        """The pid of a process once it runs; with `other_than`, once it has been started again."""
        return until(lambda: (pid := self.pids.get(name)) != other_than and pid, f"{name} runs", seconds) or 0

    @property
    def runtime(self) -> Runtime:
        """What the running stack says of itself at this moment.

        Raises:
            StackError: it does not run.
        """
        running = runtime_file.read(self.home)
        if running is None:
            raise StackError(f"no stack runs in {self.home}{self.log_tail()}")
        return running

    @property
    def web_url(self) -> str:
        return self.runtime.web_url

    @property
    def flower_url(self) -> str:
        return self.runtime.flower_url

    @property
    def pids(self) -> dict[str, int]:
        """Pids by the names of the Procfile, and `postgres` and `redis`; what pauses before a restart is missing."""
        return dict(self.runtime.processes)

    @property
    def supervisor_pid(self) -> int:
        return self.runtime.pid

    @property
    def api_key(self) -> str:
        """The admin key of the organisation `local`."""
        key = kept_key.read(self.home)
        if key is None:
            raise StackError(f"there is no key in {kept_key.path(self.home)}")
        return key

    @property
    def flower_password(self) -> str:
        return flower_access.path(self.home).read_text(encoding="utf-8").strip()

    @property
    def log_path(self) -> Path:
        return self.home / "up.log"

    def log_tail(self, lines: int = 40) -> str:
        """The end of the log, to be put behind a message."""
        text = self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""
        return "\n--- up.log ---\n" + "\n".join(text.splitlines()[-lines:])

    def _wait_until_started(self, deadline: float) -> None:
        process = self._process
        while process is not None and time.monotonic() < deadline:
            if process.poll() is not None:
                raise StackError(f"the stack ended at its start (exit code {process.returncode}){self.log_tail()}")
            running = runtime_file.read(self.home)
            if running is not None and running.pid == process.pid and self._answers(running):
                return
            time.sleep(POLL_SECONDS)
        raise StackError(f"the stack was not ready within {self.start_seconds:.0f} s{self.log_tail()}")

    def _answers(self, running: Runtime) -> bool:
        if self.ready_path is None:
            return running.complete
        try:
            readiness.wait_until_ready(running.web_url + self.ready_path, deadline=time.monotonic() + LOOK_SECONDS)
        except readiness.NotReadyError:
            return False
        return True
