"""Runs processes in stages under one roof: restarts what dies, stops in reverse order, leaves nothing behind.

One thread and one loop: the kernel ties a child's life to the thread that forked it, and forking is only simple without threads.
"""

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

import psutil

from cli import child as child_module
from cli.child import Child, State
from cli.exit_codes import ExitCode
from cli.log_lines import LogOutput
from cli.process_spec import Kind, ProcessSpec, StartError

LONGEST_WAIT_SECONDS = 0.25
BUSY_WAIT_SECONDS = 0.05
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OWN_NAME = "reckoner"


class Supervisor:
    """Starts each stage when the one before is satisfied, and keeps them all running until told to stop."""

    def __init__(
        self,
        stages: Sequence[Sequence[ProcessSpec]],
        *,
        output: LogOutput,
        on_change: Callable[[dict[str, int]], None],
        on_tick: Callable[[], None] | None = None,
    ) -> None:
        """`on_change` hears the pids by name whenever they change; `on_tick` is called once all stages run."""
        self._output = output
        self._on_change = on_change
        self._on_tick = on_tick
        self._stages = [[self._child(spec) for spec in stage] for stage in stages]
        self._children = [child for stage in self._stages for child in stage]
        output.introduce([OWN_NAME, *(child.spec.name for child in self._children)])
        self._stage = 0
        self._stage_began = 0.0
        self._stopping: list[list[Child]] | None = None
        self._exit_code = int(ExitCode.OK)
        self._told: dict[str, int] = {}
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Run until a signal or a failure ends it; the answer is the exit code."""
        child_module.adopt_orphans()
        with self._signals() as wakeup:
            self._selector.register(wakeup, selectors.EVENT_READ)
            self._stage_began = time.monotonic()
            try:
                while not self._step(wakeup):
                    pass
            finally:
                self._kill_the_rest()
                self._selector.close()
        return self._exit_code

    def stop(self, exit_code: int = ExitCode.OK) -> None:
        """Begin the stop, later stages first; when it has begun already, hurry it."""
        now = time.monotonic()
        if self._stopping is None:
            self._exit_code = int(exit_code)
            self._stopping = [stage for stage in reversed(self._stages) if stage]
            # What pauses before a restart has nothing to stop, in whichever stage it is.
            for child in self._children:
                if child.state is State.WAITING:
                    child.state = State.ENDED
            self._say("stopping")
            return
        self._say("stopping at once")
        for child in self._stopping[0] if self._stopping else []:
            # A database that is killed has to recover at its next start; it stops fast enough when asked.
            if child.spec.kind is not Kind.SERVICE:
                child.next_step(now)

    def _child(self, spec: ProcessSpec) -> Child:
        return Child(spec, on_line=lambda line: self._output.line(spec.name, line))

    def _say(self, text: str) -> None:
        self._output.line(OWN_NAME, text)

    def _step(self, wakeup: int) -> bool:
        """One turn of the loop; True when everything has ended."""
        self._wait(wakeup)
        self._reap()
        now = time.monotonic()
        for child in self._children:
            child.tick(now)
        if self._stopping is None:
            self._advance(now)
        done = self._stopping is not None and self._continue_stop(now)
        self._tell()
        return done

    def _wait(self, wakeup: int) -> None:
        busy = self._stopping is not None or self._stage < len(self._stages)
        for key, _ in self._selector.select(BUSY_WAIT_SECONDS if busy else LONGEST_WAIT_SECONDS):
            if key.fd == wakeup:
                for number in os.read(wakeup, 4096):
                    if number in _STOP_SIGNALS:
                        self.stop()
            elif isinstance(key.data, Child) and not key.data.read():
                self._close(key.data)

    def _advance(self, now: float) -> None:
        """Start what is due, and go on to the next stage when this one is satisfied."""
        for stage in self._stages[: self._stage + 1]:
            for child in stage:
                if child.state is State.WAITING and now >= child.next_start and self._stopping is None:
                    self._start(child, now)
        if self._stopping is not None:
            return
        if self._stage == len(self._stages):
            if self._on_tick is not None:
                self._on_tick()
            return
        if all(child.is_satisfied for child in self._stages[self._stage]):
            self._stage += 1
            self._stage_began = now
            return
        for child in self._stages[self._stage]:
            allowed = child.spec.ready_within_seconds
            if child.spec.kind is Kind.SERVICE and not child.ready and now - self._stage_began > allowed:
                self._say(f"{child.spec.name} was not ready after {allowed:.0f} s")
                self.stop(ExitCode.FAILED)
                return

    def _start(self, child: Child, now: float) -> None:
        try:
            child.start(now)
        except StartError as error:
            self._say(str(error))
            child.state = State.ENDED
            self.stop(ExitCode.FAILED)
            return
        if child.pipe is not None:
            self._selector.register(child.pipe, selectors.EVENT_READ, child)
        self._output.line(child.spec.name, f"started (pid {child.pid})")

    def _reap(self) -> None:
        """Collect every process that has ended, ours and those we adopted."""
        by_pid = {child.pid: child for child in self._children if child.pid is not None}
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            child = by_pid.pop(ended.si_pid, None)
            if child is not None:
                # Before it is reaped its number cannot belong to anybody else.
                child.signal_group(signal.SIGKILL)
            _, status = os.waitpid(ended.si_pid, 0)
            if child is not None:
                self._ended(child, os.waitstatus_to_exitcode(status))

    def _ended(self, child: Child, code: int) -> None:
        child.read()
        self._close(child)
        was_stopping = child.state is State.STOPPING
        child.has_ended(code, time.monotonic())
        how = f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
        if was_stopping:
            self._output.line(child.spec.name, f"stopped ({how})")
        elif child.spec.kind is Kind.STEP:
            if code != 0:
                self._say(f"{child.spec.name} failed ({how}); its output is above")
                self.stop(code if code > 0 else ExitCode.FAILED)
        elif child.spec.kind is Kind.PROCESS and code == ExitCode.UNSAFE and self._stopping is None:
            self._say(f"{child.spec.name} refuses to start; its reasons are above")
            self.stop(ExitCode.UNSAFE)
        elif child.state is State.WAITING and self._stopping is None:
            wait = child.next_start - time.monotonic()
            self._output.line(child.spec.name, f"ended ({how}); restarting in {wait:.1f} s")
        else:
            child.state = State.ENDED

    def _close(self, child: Child) -> None:
        if child.pipe is not None:
            self._selector.unregister(child.pipe)
            child.close_pipe()

    def _continue_stop(self, now: float) -> bool:
        """Stop the last stage that still runs; True when none does."""
        while self._stopping:
            for child in self._stopping[0]:
                child.begin_stop(now)
            if any(child.state is not State.ENDED for child in self._stopping[0]):
                return False
            self._stopping.pop(0)
        return True

    def _tell(self) -> None:
        pids = {child.spec.name: child.pid for child in self._children if child.pid is not None}
        if pids != self._told:
            self._told = pids
            self._on_change(dict(pids))

    def _kill_the_rest(self) -> None:
        """Kill descendants that left their group, and, after an error of our own, everything."""
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[int]:
        """Have signals written to a pipe that the loop reads; the answer is the end to read from."""
        reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # Under `nohup` the end of the terminal is none of our business.
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        numbers = [number for number in (*_STOP_SIGNALS, signal.SIGCHLD) if not (ignored and number is signal.SIGHUP)]
        before = {number: signal.signal(number, _leave_to_the_loop) for number in numbers}
        previous = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        try:
            yield reading
        finally:
            signal.set_wakeup_fd(previous)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(reading)
            os.close(writing)


def _leave_to_the_loop(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: that a handler is set is what makes the interpreter write to the wakeup descriptor."""
