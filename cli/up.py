"""`reckoner up`: the whole stack on this machine, under one supervisor, until Ctrl-C."""

import contextlib
import dataclasses
import datetime as dt
import json
import os
import socket
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from cli import (
    child_environment,
    embedded_leftovers,
    encryption_key,
    flower_access,
    home_lock,
    invocation,
    listening,
    procfile,
    readiness,
    runtime_file,
    stack_plan,
)
from cli.exit_codes import ExitCode
from cli.log_lines import LogOutput
from cli.process_spec import StartError
from cli.supervisor import OWN_NAME, Supervisor
from models import settings

# What an earlier run left behind has been told to end; it gets this long before it is killed.
LEFTOVER_SECONDS = 10.0
FLOWER_HOST = "127.0.0.1"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """The command line; None means what the settings say."""

    host: str | None
    port: int | None
    flower_port: int | None
    workers: int | None
    grace_seconds: float
    procfile: Path
    watchdog: bool


@click.command("up")
@click.option("--host", help="Address the web server binds to.  [default: $HOST or 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port of the web server; 0 takes a free one.  [default: $PORT or 8000]",
)
@click.option(
    "--flower-port",
    type=click.IntRange(0, 65535),
    help="Port of Flower; 0 takes a free one.  [default: $FLOWER_PORT or 5555]",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Child processes of each computing worker.  [default: $WORKER_CONCURRENCY or 2]",
)
@click.option(
    "--grace",
    "grace_seconds",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    help="Seconds a worker may take to finish its jobs at the stop.",
)
@click.option(
    "--procfile",
    "procfile_path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=stack_plan.PROCFILE,
    help="The processes to run, if not the project's own.",
)
@click.option(
    "--watchdog/--no-watchdog",
    default=True,
    show_default=True,
    help="End and restart processes that are frozen. Without it a debugger may hold one for as long as it likes.",
)
def command(  # noqa: PLR0913 - click hands over each option by its name
    *,
    host: str | None,
    port: int | None,
    flower_port: int | None,
    workers: int | None,
    grace_seconds: float,
    procfile_path: Path,
    watchdog: bool,
) -> None:
    """Run the whole stack on this machine: database, broker, web, workers, beat and Flower.

    PostgreSQL and Redis are brought along, unless DATABASE_URL and REDIS_URL name others. Ctrl-C stops everything,
    a second one at once.
    """
    options = Options(
        host=host,
        port=port,
        flower_port=flower_port,
        workers=workers,
        grace_seconds=grace_seconds,
        procfile=procfile_path,
        watchdog=watchdog,
    )
    configured = settings.load()
    try:
        _make_home(configured.home)
        with home_lock.hold(configured.home):
            code = _run(configured, options)
    except home_lock.AlreadyLockedError as error:
        raise _already_running(configured.home, error.pid) from error
    except StartError as error:
        raise invocation.Failure(str(error)) from error
    except procfile.ProcfileError as error:
        raise invocation.Failure(str(error), ExitCode.USAGE) from error
    raise SystemExit(code)


def _make_home(home: Path) -> None:
    try:
        # With root, PostgreSQL's account has to pass through the home to its own folder.
        home.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        (home / home_lock.FILE_NAME).touch(mode=0o600)
    except OSError as error:
        raise StartError(f"{home} cannot be used as home: {error.strerror}; choose another with --home") from error


def _already_running(home: Path, pid: int | None) -> invocation.Failure:
    running = runtime_file.read(home)
    if running is None or (pid is not None and running.pid != pid):
        return invocation.Failure(f"already starting (pid {pid})", ExitCode.ALREADY_RUNNING, pid=pid)
    return invocation.Failure(
        f"already running (pid {running.pid}), web at {running.web_url}, Flower at {running.flower_url}",
        ExitCode.ALREADY_RUNNING,
        pid=running.pid,
        web_url=running.web_url,
        flower_url=running.flower_url,
    )


def _run(configured: settings.Settings, options: Options) -> int:
    processes = procfile.read(options.procfile)
    output = LogOutput()
    output.introduce([OWN_NAME, *(entry.name for entry in processes.processes)])
    _clean_up_after_earlier_run(configured.home, output)
    with _web_socket(configured, options) as web:
        run = _Run(configured, options, web=web, output=output)
        with run.recorded():
            return run.supervise(processes)


def _clean_up_after_earlier_run(home: Path, output: LogOutput) -> None:
    earlier = runtime_file.read(home)
    if earlier is None:
        return
    killed = embedded_leftovers.end_processes_of_run(earlier.run_id, patience_seconds=LEFTOVER_SECONDS)
    if killed:
        output.line(OWN_NAME, f"ended {len(killed)} processes that an earlier run left behind")
    runtime_file.remove(home)


def _web_socket(configured: settings.Settings, options: Options) -> contextlib.AbstractContextManager[socket.socket]:
    host = options.host or configured.host
    port = configured.port if options.port is None else options.port
    return listening.listen(host, port, option="--port")


class _Run:
    """One run of the stack: its addresses, its record in the home, its banner."""

    def __init__(
        self, configured: settings.Settings, options: Options, *, web: socket.socket, output: LogOutput
    ) -> None:
        self._settings = configured
        self._options = options
        self._web = web
        self._output = output
        self._as_json = invocation.current().as_json
        host, port = web.getsockname()[:2]
        wanted = configured.flower_port if options.flower_port is None else options.flower_port
        self._flower_port = listening.pick_port(FLOWER_HOST, wanted, option="--flower-port")
        self._host, self._port = str(host), int(port)
        self._runtime = runtime_file.Runtime(
            pid=os.getpid(),
            run_id=uuid.uuid4().hex,
            started_at=dt.datetime.now(dt.UTC),
            web_url=listening.url(self._host, self._port),
            flower_url=listening.url(FLOWER_HOST, self._flower_port),
        )
        self._recorded = True
        self._probe: readiness.WebProbe | None = readiness.WebProbe(f"{self._runtime.web_url}/healthz")

    @contextlib.contextmanager
    def recorded(self) -> Iterator[None]:
        """Be found in the home for the length of the block."""
        runtime_file.write(self._settings.home, self._runtime)
        try:
            yield
        finally:
            runtime_file.remove(self._settings.home)

    def supervise(self, processes: procfile.Procfile) -> int:
        self._show_new_password()
        encryption_key.ensure(self._settings)
        plan = stack_plan.Plan(
            settings=self._settings,
            procfile=processes,
            environment=child_environment.build(self._settings, run_id=self._runtime.run_id, extra=self._addresses()),
            web_descriptor=self._web.fileno(),
            grace_seconds=self._options.grace_seconds,
            watchdog=self._options.watchdog,
        )
        stages = stack_plan.stages(plan, say=self._say)
        return Supervisor(stages, output=self._output, on_change=self._record, on_tick=self._all_run).run()

    def _addresses(self) -> Mapping[str, str]:
        chosen = {"HOST": self._host, "PORT": str(self._port), "FLOWER_PORT": str(self._flower_port)}
        if self._options.workers is not None:
            chosen["WORKER_CONCURRENCY"] = str(self._options.workers)
        return chosen

    def _say(self, text: str) -> None:
        self._output.line(OWN_NAME, text)

    def _record(self, pids: dict[str, int]) -> None:
        self._runtime = self._runtime.model_copy(update={"processes": pids})
        self._write_record()

    def _write_record(self) -> None:
        """Write who runs; where there is no room, again at the next turn. A stack must not end for want of a note."""
        try:
            runtime_file.write(self._settings.home, self._runtime)
        except OSError as error:
            if self._recorded:
                self._say(f"cannot note which processes run: {error.strerror}; trying again")
            self._recorded = False
        else:
            self._recorded = True

    def _show_new_password(self) -> None:
        password = flower_access.ensure_password(self._settings)
        if password is not None:
            kept = flower_access.path(self._settings.home)
            user = self._settings.flower_user
            self._say(f"Flower's user is {user!r}, its password {password!r}: shown this once, kept in {kept}")

    def _all_run(self) -> None:
        if not self._runtime.complete:
            self._runtime = self._runtime.model_copy(update={"complete": True})
            self._recorded = False
        if not self._recorded:
            self._write_record()
        self._greet_when_ready()

    def _greet_when_ready(self) -> None:
        if self._probe is None or not self._probe.is_ready():
            return
        self._probe = None
        web, flower = self._runtime.web_url, self._runtime.flower_url
        if self._as_json:
            ready = {"event": "ready", "pid": os.getpid(), "web_url": web, "flower_url": flower}
            self._output.plain(json.dumps(ready))
            return
        lines = [
            "",
            "  Reckoner is up.",
            f"  API      {web}   (docs: {web}/docs)",
            f"  Flower   {flower}   (user {self._settings.flower_user}, password {flower_access.where(self._settings)})",
            f"  Home     {self._settings.home}",
            "  Ctrl-C stops everything.",
            "",
        ]
        self._output.plain("\n".join(lines))
