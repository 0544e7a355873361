"""What must be durable is not: the disk is full, or PostgreSQL was told to confirm what it has not written."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cli import embedded
from cli.exit_codes import ExitCode
from cli.stack import StackError
from models.failpoints import Point
from tests.chaos.harness import faults
from tests.chaos.harness.ledger import Answer, Ledger, Work, mixed
from tests.chaos.harness.running import WORKERS_APP, ChaosStack, Plan
from tests.chaos.harness.scenario import Run, scenario
from tests.client import ROOT, reckoner, wait_for

DISK_MEGABYTES = 320
UPLOADS_MEGABYTES = 4
FULL_SECONDS = 15.0
MEGABYTE = 1024 * 1024
ROWS = 200


# --- No room ---


@scenario("S25", "The disk of the uploads is full; then that of everything: database, broker, lake and log")
def fill_disks(run: Run) -> None:
    if os.geteuid() != 0:
        run.note("not played: a small disk can be mounted by root only")
        return
    disk, uploads = run.folder / "disk", run.folder / "uploads"
    with (
        _mounted(disk, DISK_MEGABYTES),
        _mounted(uploads, UPLOADS_MEGABYTES),
        # The accounts' upkeep has to find them, too.
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("UPLOAD_DIR", str(uploads))
        with _playing_on(run, ChaosStack(disk, Plan(environment={"UPLOAD_DIR": str(uploads)}))):
            ledger = run.ledger()
            _fill_uploads(run, ledger, uploads)
            for _ in run.times(2):
                _fill_everything(run, ledger, disk)
            made = run.settle(ledger, within=180)
            assert set(made.statuses) == {"succeeded"}, made.statuses
            blamed = run.stack.rows("SELECT id, kind, type, errors FROM jobs WHERE errors > 0")
            assert not blamed, f"jobs were blamed for a full disk: {blamed}"


def _fill_uploads(run: Run, ledger: Ledger, uploads: Path) -> None:
    """A file for which there is no room is refused whole; afterwards there is room for others."""
    with ledger.clerk() as clerk:
        refused = clerk.submit(
            Work.import_("orders", _orders(9, size=2 * UPLOADS_MEGABYTES * MEGABYTE)), ledger.organisations[0]
        )
    run.injected()
    last = ledger.attempts[-1]
    assert (refused, last.answer, last.status) == (None, Answer.REFUSED, 507), last
    assert not list(uploads.iterdir()), "half an upload is left"
    ledger.submit(Work.import_("orders", _orders(0)))


def _fill_everything(run: Run, ledger: Ledger, disk: Path) -> None:
    """With imports at the point of writing to the lake, jobs at work and requests coming in, take the last byte for a while."""
    faults.arm(run.stack, Point.LAKE_BEFORE_COMMIT, "pause 2")
    imports = [ledger.submit(Work.import_("orders", _orders(number))) for number in range(1, 4)]
    with run.load(mixed, rate=8, ledger=ledger):
        faults.wait_until_hit(run.stack, Point.LAKE_BEFORE_COMMIT)
        with _full(disk):
            run.injected()
            time.sleep(FULL_SECONDS / 2)
            # It has to be started again where nothing can be written.
            killed = run.hit(faults.kill(run.stack, "worker-imports"))
            time.sleep(FULL_SECONDS / 2)
        freed = time.time()
        assert killed
        faults.wait_for_restart(run.stack, "worker-imports", killed.pid)
        run.recoveries.append(faults.seconds_to_first_done(run.stack, freed))
    run.note(f"{len(imports)} imports and requests met a full disk for {FULL_SECONDS:.0f} s")


def _orders(number: int, *, size: int = 0) -> bytes:
    """Make a file of orders, with as many rows as a size asks for."""
    lines = ["order_id,customer_id,ordered_at,amount"]
    lines += [f"{number}-{row},c{row % 7},2026-01-{row % 28 + 1:02},{row}.50" for row in range(ROWS)]
    content = ("\n".join(lines) + "\n").encode()
    return content * max(1, -(-size // len(content)))


@contextlib.contextmanager
def _mounted(folder: Path, megabytes: int) -> Iterator[None]:
    """Mount a small disk in memory for the length of the block."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def _playing_on(run: Run, stack: ChaosStack) -> Iterator[None]:
    """Play on a stack of one's own for the length of the block. Its log is kept with the histories."""
    shared, run.stack = run.stack, stack
    stack.start()
    try:
        yield
    finally:
        run.stack = shared
        try:
            stack.stop()
        finally:
            log = stack.stack.log_path
            (run.folder / f"{stack.home.name}-up.log").write_bytes(log.read_bytes())


@contextlib.contextmanager
def _full(disk: Path) -> Iterator[None]:
    """Take every byte of a disk, also those that become free, for the length of the block."""
    over = threading.Event()
    filler = disk / "filler"
    thread = threading.Thread(target=_fill, args=(filler, over), name="filler", daemon=True)
    thread.start()
    try:
        wait_for(lambda: os.statvfs(disk).f_bavail == 0, seconds=30)
        yield
    finally:
        over.set()
        thread.join()
        filler.unlink()


def _fill(filler: Path, over: threading.Event) -> None:
    with filler.open("wb", buffering=0) as file:
        while not over.is_set():
            for size in (MEGABYTE, 4096):
                with contextlib.suppress(OSError):
                    while file.write(b"\0" * size) == size:
                        pass
            over.wait(0.05)


# --- Confirmed and not written ---

NOT_DURABLE = "PostgreSQL synchronous_commit"
NOT_ON_DISK = "PostgreSQL fsync"
REFUSAL_SECONDS = 60.0
PROCESSES = {
    "a worker": ("celery", "-A", WORKERS_APP, "worker", "-Q", "reports"),
    "beat": ("celery", "-A", WORKERS_APP, "beat", "--scheduler", "workers.beat:Scheduler"),
    "web": ("gunicorn", "--config", "web/gunicorn.py", "tests.chaos.stack.web_app:create_app()"),
}


@scenario("S26", "PostgreSQL confirms commits that are not on the disk: synchronous_commit off, then fsync off")
def confirm_without_writing(run: Run) -> None:
    stack = ChaosStack(run.folder / "stack")
    with _playing_on(run, stack):
        ledger = run.ledger()
        with run.load(mixed, rate=8, ledger=ledger):
            time.sleep(max(3.0, 10.0 * run.scale))
        _set_durability(stack, "SET synchronous_commit = off")
        run.injected()
        told = reckoner(stack.stack, "doctor")
        assert (told.returncode, NOT_DURABLE in told.stdout) == (ExitCode.FAILED, True), told
        for name, command in PROCESSES.items():
            _check_refusal(name, _run_alone(stack, *command), NOT_DURABLE)
        _check_running_stack_ends(run, stack)
        _check_start_is_refused(stack)
        stack.stack.environment["ALLOW_UNSAFE"] = "true"
        stack.start()
        assert "ALLOW_UNSAFE is set" in stack.stack.log_path.read_text(), "no warning"
        made = run.settle(ledger)
        assert set(made.statuses) == {"succeeded"}, made.statuses
        _set_durability(stack, "RESET synchronous_commit")
    with _postgres_without_fsync(stack):
        run.injected()
        _check_refusal("reckoner up", _run_alone(stack, sys.executable, "-m", "workers.doctor", "servers"), NOT_ON_DISK)
    run.note(
        f"refused with exit code {ExitCode.UNSAFE:d}: {', '.join(PROCESSES)}, `reckoner up`, and the running stack"
    )


def _set_durability(stack: ChaosStack, change: str) -> None:
    """Change what new sessions are given, which is how a careless operator or a hosting service would."""
    with contextlib.closing(stack.connect()) as connection:
        connection.execute(f"ALTER DATABASE reckoner {change}".encode())


def _run_alone(stack: ChaosStack, *command: str) -> subprocess.CompletedProcess[str]:
    """Start a process beside the stack, as a process manager would on another machine."""
    program, *arguments = command
    environment = os.environ | {"RECKONER_HOME": str(stack.home), "PORT": "0"}
    return subprocess.run(
        [str(Path(sys.executable).with_name(Path(program).name)), *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=REFUSAL_SECONDS,
        check=False,
    )


def _check_refusal(name: str, done: subprocess.CompletedProcess[str], why: str) -> None:
    said = done.stdout + done.stderr
    assert done.returncode == ExitCode.UNSAFE, f"{name} ended with {done.returncode}: {said[-2000:]}"
    assert why in said, f"{name} does not say why: {said[-2000:]}"


def _check_running_stack_ends(run: Run, stack: ChaosStack) -> None:
    """A worker that has to start again refuses to, and a stack of which a part is unsafe does not go on."""
    supervisor = psutil.Process(stack.stack.supervisor_pid)
    assert run.hit(faults.kill(stack, "worker-reports"))
    wait_for(lambda: supervisor.status() == psutil.STATUS_ZOMBIE, seconds=REFUSAL_SECONDS)
    assert stack.stack.stop() == ExitCode.UNSAFE


def _check_start_is_refused(stack: ChaosStack) -> None:
    with pytest.raises(StackError) as refused:
        stack.start()
    assert f"exit code {ExitCode.UNSAFE:d}" in str(refused.value)
    assert NOT_DURABLE in str(refused.value)


@contextlib.contextmanager
def _postgres_without_fsync(stack: ChaosStack) -> Iterator[None]:
    """Run the database of a stack that has ended, with the one setting that it never has."""
    spec = next(
        one for one in embedded.specs(stack.settings, environment=os.environ, say=print) if one.name == "postgres"
    )
    if spec.prepare is not None:
        spec.prepare()
    account = spec.account
    process = subprocess.Popen(
        [argument.replace("fsync=on", "fsync=off") for argument in spec.argv],
        cwd=spec.working_folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=account.uid if account else None,
        group=account.gid if account else None,
    )
    try:
        wait_for(spec.is_ready, seconds=30)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
