"""Processes that benchmarks and the chaos baseline start: each in a session of its own, none of them left behind."""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from cli import embedded
from cli.process_spec import ProcessSpec
from models.settings import Settings

PROJECT_FOLDER = Path(__file__).parents[3]
START_SECONDS = 60.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.02

_PR_SET_PDEATHSIG = 1
# Loaded once here: between fork and exec the child must not import.
_libc = ctypes.CDLL(None, use_errno=True)


class TooSlowError(AssertionError):
    """Something did not happen in its time."""


def wait_until(look: Callable[[], object], *, what: str, seconds: float) -> None:
    """Look until there is something to see.

    Raises:
        TooSlowError: there was not, in this time.
    """
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() >= deadline:
            raise TooSlowError(f"not within {seconds:.0f} s: {what}")
        time.sleep(POLL_SECONDS)


def settings_of(folder: Path) -> Settings:
    """The settings of a home with both embedded servers, whatever the environment says of others."""
    return Settings(reckoner_home=folder, database_url=None, redis_url=None)


def start(
    argv: Sequence[str],
    *,
    folder: Path,
    log: Path,
    environment: Mapping[str, str] | None = None,
    spec: ProcessSpec | None = None,
    descriptors: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    """Start a program that works in `folder`, finds the project's modules, and ends with us."""
    parent = os.getpid()
    death_signal = spec.death_signal if spec else signal.SIGKILL
    account = spec.account if spec else None

    def tie_to_us() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    with log.open("ab") as output:
        return subprocess.Popen(
            argv,
            cwd=folder,
            env=_environment() | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=descriptors,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            preexec_fn=tie_to_us,  # noqa: PLW1509 - the programs that start processes here have one thread
        )


def _environment() -> dict[str, str]:
    """Our own environment, with the project's modules importable from any folder, and compiled only once."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    # Celery as root is what a container does; the warning of it costs a line per start.
    return inherited | {"PYTHONPATH": str(PROJECT_FOLDER), "C_FORCE_ROOT": "1"}


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The process and everything below it."""
    try:
        head = psutil.Process(process.pid)
        return [head, *head.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def signal_family(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    for member in family(process):
        with contextlib.suppress(psutil.NoSuchProcess):
            member.send_signal(number)


def end(
    process: subprocess.Popen[bytes], *, by: signal.Signals = signal.SIGTERM, seconds: float = STOP_SECONDS
) -> None:
    """End a process and everything below it: asked first, killed when it does not listen."""
    members = family(process)
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(by)
        process.send_signal(signal.SIGCONT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    for member in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()
    psutil.wait_procs(members, timeout=STOP_SECONDS)


@contextlib.contextmanager
def running(
    argv: Sequence[str],
    *,
    folder: Path,
    log: Path,
    environment: Mapping[str, str] | None = None,
    descriptors: tuple[int, ...] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """A program for the length of a `with` block."""
    process = start(argv, folder=folder, log=log, environment=environment, descriptors=descriptors)
    try:
        yield process
    finally:
        end(process)


def run(
    argv: Sequence[str], *, folder: Path, environment: Mapping[str, str] | None = None, seconds: float = 120.0
) -> str:
    """Run a program to its end and return what it printed.

    Raises:
        AssertionError: it failed; the message ends with what it said.
    """
    done = subprocess.run(
        argv,
        cwd=folder,
        env=_environment() | dict(environment or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


class Server:
    """One of the embedded servers, exactly as the stack runs it, which can be killed and started again."""

    def __init__(self, spec: ProcessSpec, log: Path) -> None:
        self._spec = spec
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise AssertionError(f"{self._spec.name} does not run")
        return self._process.pid

    def start(self) -> None:
        if self._spec.prepare is not None:
            self._spec.prepare()
        spec = self._spec
        self._process = start(spec.argv, folder=spec.working_folder, log=self._log, spec=spec)
        wait_until(spec.is_ready, what=f"{spec.name} is ready", seconds=START_SECONDS)

    def kill(self) -> None:
        if self._process is not None:
            end(self._process, by=signal.SIGKILL)

    def stop(self) -> None:
        if self._process is not None:
            end(self._process, by=self._spec.stop_steps[0].signal)
            self._process = None


@contextlib.contextmanager
def serving(folder: Path, names: frozenset[str]) -> Iterator[dict[str, Server]]:
    """The embedded servers of these names under `folder`, with the stack's own settings, for the length of a `with` block."""
    specs = embedded.specs(settings_of(folder), environment=dict(os.environ), say=_keep_quiet)
    servers = {spec.name: Server(spec, folder / f"{spec.name}.log") for spec in specs if spec.name in names}
    with contextlib.ExitStack() as stack:
        for server in servers.values():
            stack.callback(server.stop)
            server.start()
        yield servers


def _keep_quiet(_line: str) -> None:
    """The servers' remarks about permissions are of no interest here."""
