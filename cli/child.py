"""One child of the supervisor: started, read, restarted with growing pauses, and ended step by step."""

import ctypes
import dataclasses
import enum
import os
import signal
import subprocess
from collections.abc import Callable

from cli.log_lines import LineSplitter
from cli.process_spec import Kind, ProcessSpec, StartError, StopStep

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
GOOD_RUN_SECONDS = 10.0

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# Loaded once here: between fork and exec the child must not import or allocate more than it has to.
_libc = ctypes.CDLL(None, use_errno=True)


class State(enum.Enum):
    WAITING = "waiting"  # Not started yet, or pausing before the next start.
    RUNNING = "running"
    STOPPING = "stopping"
    ENDED = "ended"  # And not to be started again.


@dataclasses.dataclass
class Child:
    """The mutable state of one process; all times are of the monotonic clock and come from the caller."""

    spec: ProcessSpec
    on_line: Callable[[str], None]
    state: State = State.WAITING
    pid: int | None = None
    pipe: int | None = None
    exit_code: int | None = None
    ready: bool = False
    starts: int = 0
    next_start: float = 0.0
    _pause: float = FIRST_PAUSE_SECONDS
    _started_at: float = 0.0
    _deadline: float = 0.0
    _steps_left: tuple[StopStep, ...] = ()
    _splitter: LineSplitter = dataclasses.field(default_factory=LineSplitter)
    _popen: subprocess.Popen[bytes] | None = None

    @property
    def is_satisfied(self) -> bool:
        """Whether what comes after this process may start."""
        match self.spec.kind:
            case Kind.SERVICE:
                return self.ready
            case Kind.STEP:
                return self.state is State.ENDED and self.exit_code == 0
            case Kind.PROCESS:
                return True

    def start(self, now: float) -> None:
        """Start the process in a session of its own, so that one signal reaches all it leaves behind.

        Raises:
            StartError: it cannot be started at all.
        """
        spec = self.spec
        if spec.prepare is not None:
            spec.prepare()
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            self._popen = self._spawn(writing)
        except OSError as error:
            os.close(reading)
            raise StartError(f"{spec.name}: {spec.argv[0]} cannot be run: {error.strerror}") from error
        finally:
            os.close(writing)
        os.set_blocking(reading, False)
        self.pid, self.pipe = self._popen.pid, reading
        self.state, self.exit_code, self.ready = State.RUNNING, None, False
        self.starts += 1
        self._started_at = now

    def _spawn(self, output: int) -> subprocess.Popen[bytes]:
        spec, parent = self.spec, os.getpid()
        account = spec.account

        def tie_to_supervisor() -> None:
            # After the change of account, which clears the setting.
            _libc.prctl(_PR_SET_PDEATHSIG, int(spec.death_signal), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

        return subprocess.Popen(  # noqa: S603 - the commands are the Procfile's and our own servers
            spec.argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=spec.working_folder,
            env=dict(spec.environment),
            pass_fds=spec.inherited_descriptors,
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            # Safe, because the supervisor has one thread.
            preexec_fn=tie_to_supervisor,  # noqa: PLW1509
        )

    def read(self) -> bool:
        """Pass on what the process wrote; False when there will be no more."""
        while self.pipe is not None:
            try:
                data = os.read(self.pipe, 65536)
            except BlockingIOError:
                return True
            for line in self._splitter.feed(data) if data else self._splitter.finish():
                self.on_line(line)
            if not data:
                return False
        return False

    def close_pipe(self) -> None:
        if self.pipe is not None:
            os.close(self.pipe)
            self.pipe = None
        for line in self._splitter.finish():
            self.on_line(line)

    def has_ended(self, code: int, now: float) -> None:
        """Take note of the end of the process, which the caller has reaped."""
        if self._popen is not None:
            # Told, because subprocess would look for it in vain.
            self._popen.returncode = code
            self._popen = None
        self.pid, self.exit_code, self.ready = None, code, False
        if self.state is State.STOPPING or self.spec.kind is Kind.STEP:
            self.state = State.ENDED
            return
        if now - self._started_at >= GOOD_RUN_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        self.state = State.WAITING
        self.next_start = now + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)

    def begin_stop(self, now: float) -> None:
        if self.state in (State.STOPPING, State.ENDED):
            return
        if self.pid is None:
            self.state = State.ENDED
            return
        self.state = State.STOPPING
        self._steps_left = self.spec.stop_steps
        self.next_step(now)

    def next_step(self, now: float) -> None:
        """Send the next signal of the stop; SIGKILL to the whole group when none is left."""
        if self.state is not State.STOPPING:
            return
        if not self._steps_left:
            self.on_line(f"did not stop in time (pid {self.pid}): killed")
            self.signal_group(signal.SIGKILL)
            self._deadline = float("inf")
            return
        step, *rest = self._steps_left
        self._steps_left = tuple(rest)
        self._deadline = now + step.grace_seconds
        self._signal(step.signal)

    def tick(self, now: float) -> None:
        if self.state is State.STOPPING and now >= self._deadline:
            self.next_step(now)
        if self.state is State.RUNNING and not self.ready:
            self.ready = self.spec.is_ready()

    def _signal(self, number: signal.Signals) -> None:
        # The process alone: a Celery parent and a gunicorn master tell their own children.
        if self.pid is not None:
            os.kill(self.pid, number)

    def signal_group(self, number: signal.Signals) -> None:
        if self.pid is None:
            return
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            # Nobody is left in the group, or only processes of another account, which end with their parent.
            return


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies, so that none is lost sight of."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
