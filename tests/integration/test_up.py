"""`reckoner up` with its embedded PostgreSQL and Redis, and toys for the rest: nothing is lost, left behind or started twice."""

import concurrent.futures
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
import redis

from cli import runtime_file
from cli.embedded_leftovers import RUN_MARK
from cli.exit_codes import ExitCode
from cli.stack import Stack, StackError, until
from models.settings import Settings

PROCFILE = """
web: gunicorn --chdir $TOYS --threads 4 toys:answer
worker: celery --workdir $TOYS -A toys:app worker -l INFO -c 2 --without-gossip --without-mingle
idle: sleep 600
"""
TOYS = """
import os
from celery import Celery
app = Celery("toys", broker=os.environ["TOY_BROKER"])
def answer(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]
"""


def make_stack(home: Path, folder: Path, *, lines: str = PROCFILE) -> Stack:
    (folder / "Procfile").write_text(lines)
    (folder / "toys.py").write_text(TOYS)
    return Stack(
        home=home,
        ready_path="/healthz" if "web" in lines else None,
        arguments=("--procfile", str(folder / "Procfile"), "--grace", "3"),
        environment={"TOYS": str(folder), "TOY_BROKER": Settings(reckoner_home=home).broker_url},
        start_seconds=60,
        stop_seconds=30,
    )


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for the tests that leave it as they found it."""
    with reachable_folder() as folder, make_stack(folder / "home", folder) as stack:
        yield stack


@contextlib.contextmanager
def reachable_folder() -> Iterator[Path]:
    """A folder that other accounts can be let into; pytest's own are private by intention."""
    with tempfile.TemporaryDirectory(prefix="reckoner-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextlib.contextmanager
def database(stack: Stack) -> Iterator[psycopg.Connection]:
    folder = Settings(reckoner_home=stack.home).socket_folder
    with psycopg.connect(host=str(folder), user="reckoner", dbname="reckoner", autocommit=True) as connection:
        yield connection


def broker(stack: Stack) -> redis.Redis:
    return redis.Redis.from_url(Settings(reckoner_home=stack.home).redis_client_url)


def processes_of(run_id: str) -> list[psutil.Process]:
    running = psutil.process_iter(["environ"])
    return [process for process in running if (process.info["environ"] or {}).get(RUN_MARK) == run_id]


def servers_in(home: Path) -> list[psutil.Process]:
    return [process for process in psutil.process_iter(["cwd"]) if (process.info["cwd"] or "").startswith(str(home))]


def run_up(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli.main", "up", "--home", str(home), "--flower-port", "0", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_servers_are_set_up_for_keeping_what_they_confirm(shared: Stack) -> None:
    with database(shared) as connection:
        names = (
            "fsync",
            "synchronous_commit",
            "full_page_writes",
            "data_checksums",
            "listen_addresses",
            "server_encoding",
        )
        found = [connection.execute(f"SHOW {name}").fetchone() for name in names]
        assert found == [("on",), ("on",), ("on",), ("on",), ("",), ("UTF8",)]
        provider = connection.execute(
            "SELECT datlocprovider::text, datlocale FROM pg_database WHERE datname = current_database()"
        ).fetchone()
        assert provider == ("b", "C.UTF-8")
    with broker(shared) as client:
        found_there = {
            name: client.config_get(name)[name]
            for name in ("appendonly", "appendfsync", "maxmemory-policy", "save", "port")
        }
    assert found_there == {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
        "port": "0",
    }


def test_what_lies_under_the_home_is_private(shared: Stack) -> None:
    folder = Settings(reckoner_home=shared.home).socket_folder
    assert folder.stat().st_mode & 0o007 == 0
    for path in ("postgres", "redis"):
        assert (shared.home / path).stat().st_mode & 0o077 == 0, path
    for path in ("runtime.json", "flower_password", "up.lock"):
        assert (shared.home / path).stat().st_mode & 0o077 == 0, path


def test_the_password_is_printed_once_and_kept(shared: Stack) -> None:
    assert shared.log_path.read_text().count(shared.flower_password) == 1
    arguments = [argument for process in processes_of(shared.runtime.run_id) for argument in process.cmdline()]
    assert not any(shared.flower_password in argument for argument in arguments)


def test_a_second_up_says_who_is_there(shared: Stack) -> None:
    second = run_up(shared.home)
    assert second.returncode == ExitCode.ALREADY_RUNNING
    assert second.stderr == (
        f"Error: already running (pid {shared.supervisor_pid}), web at {shared.web_url}, Flower at {shared.flower_url}\n"
    )
    assert httpx.get(shared.web_url + "/still").text == "/still"


def test_a_port_in_use_is_said_before_anything_starts(shared: Stack, tmp_path: Path) -> None:
    port = shared.web_url.rsplit(":", 1)[1]
    refused = run_up(tmp_path / "home", "--port", port)
    assert refused.returncode == ExitCode.FAILED
    assert f"port {port} of 127.0.0.1 is in use; choose another with --port" in refused.stderr
    assert not (tmp_path / "home" / "postgres").exists()


def test_a_killed_postgres_comes_back_with_its_data(shared: Stack) -> None:
    with database(shared) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    before = shared.pid_of("postgres")
    os.kill(before, signal.SIGKILL)
    shared.pid_of("postgres", other_than=before)

    def counted() -> tuple[int, ...] | None:
        with contextlib.suppress(psycopg.OperationalError), database(shared) as connection:
            return connection.execute("SELECT count(*) FROM kept").fetchone()
        return None

    assert until(counted, "PostgreSQL answers", 20) == (1000,)


def test_a_killed_redis_comes_back_with_its_data(shared: Stack) -> None:
    with broker(shared) as client:
        client.set("kept", "yes")
    time.sleep(1.5)  # The append-only file is written out every second.
    before = shared.pid_of("redis")
    os.kill(before, signal.SIGKILL)
    shared.pid_of("redis", other_than=before)

    def value() -> bytes | None:
        with contextlib.suppress(redis.ConnectionError), broker(shared) as client:
            found: bytes | None = client.get("kept")
            return found
        return None

    assert until(value, "Redis answers", 20) == b"yes"


def test_connections_wait_while_web_is_away(shared: Stack) -> None:
    before = shared.pid_of("web")
    os.kill(before, signal.SIGKILL)
    answers = []
    with httpx.Client(base_url=shared.web_url, timeout=20) as client:
        while shared.pids.get("web") in {before, None}:
            # Retries are for the one request that the killed process had taken.
            with contextlib.suppress(httpx.ReadError, httpx.RemoteProtocolError):
                answers.append(client.get("/again").status_code)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers += pool.map(lambda _: httpx.get(shared.web_url + "/all", timeout=20).status_code, range(16))
    assert set(answers) == {200}


def test_killed_supervisor_nothing_left_and_the_next_start_works() -> None:
    with reachable_folder() as folder:
        home = folder / "home"
        with make_stack(home, folder) as stack:
            with database(stack) as connection:
                connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
            until(lambda: "ready." in stack.log_path.read_text(), "the Celery worker is up", 20)
            run_id = stack.runtime.run_id
            # Web and its worker, the Celery parent and its two children, idle.
            assert len(processes_of(run_id)) >= 6
            stack.kill()
            until(lambda: not processes_of(run_id) and not servers_in(home), "nothing is left", 15)
            assert runtime_file.read(home) is not None
        # As a machine that lost its power leaves it, the number being that of an innocent by now.
        (home / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{home}/postgres\n1\n5432\n\n\n 1 1\nready\n")
        with make_stack(home, folder) as again, database(again) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (1,)
        assert runtime_file.read(home) is None


def test_leftovers_of_a_killed_supervisor_are_ended_by_the_next_start() -> None:
    """Processes that do not hear the signal of their supervisor's death; two servers on one folder would destroy the data."""
    deaf = "stray: python -c 'import signal, time; signal.signal(15, signal.SIG_IGN); print(\"deaf\"); time.sleep(600)'"
    with reachable_folder() as folder:
        with make_stack(folder / "home", folder, lines=deaf) as stack:
            stray, postgres = stack.pid_of("stray"), stack.pid_of("postgres")
            until(lambda: "| deaf" in stack.log_path.read_text(), "the stray is deaf")
            os.kill(postgres, signal.SIGSTOP)
            stack.kill()
        assert psutil.pid_exists(stray)
        assert psutil.pid_exists(postgres)
        with make_stack(folder / "home", folder, lines="idle: sleep 600") as again:
            assert not psutil.pid_exists(stray)
            assert again.pid_of("postgres") != postgres
            with database(again) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything(number: signal.Signals) -> None:
    with reachable_folder() as folder:
        stack = make_stack(folder / "home", folder)
        stack.start()
        run_id = stack.runtime.run_id
        os.kill(stack.supervisor_pid, number)
        assert stack.stop() == 0
        assert processes_of(run_id) == []
        assert servers_in(folder) == []
        assert runtime_file.read(stack.home) is None
        assert "database system is shut down" in stack.log_path.read_text()


def test_a_home_with_a_long_path() -> None:
    with reachable_folder() as folder:
        home = folder / ("long-" * 20) / ("longer-" * 10)
        with make_stack(home, folder, lines="idle: sleep 600") as stack, database(stack) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
            stand_in = Settings(reckoner_home=home).socket_folder
            assert not stand_in.is_relative_to(home)
        shutil.rmtree(stand_in)


def test_data_of_another_postgres_are_left_alone() -> None:
    with reachable_folder() as folder:
        with make_stack(folder / "home", folder, lines="idle: sleep 600"):
            pass
        version = folder / "home" / "postgres" / "PG_VERSION"
        version.write_text("16\n")
        with pytest.raises(StackError, match="was made by PostgreSQL 16, and this is 18; move the data with pg_dump"):
            make_stack(folder / "home", folder, lines="idle: sleep 600").start()


def test_an_interrupted_initialisation_is_begun_again() -> None:
    with reachable_folder() as folder:
        half = folder / "home" / "postgres.unfinished"
        half.mkdir(parents=True)
        (half / "PG_VERSION").write_text("18\n")
        with make_stack(folder / "home", folder, lines="idle: sleep 600") as stack, database(stack) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert not half.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
def test_root_lets_the_servers_account_through_and_no_further() -> None:
    with reachable_folder() as folder:
        closed = folder / "closed"
        closed.mkdir(mode=0o700)
        (closed / "secret").touch(mode=0o600)
        with make_stack(closed / "home", folder, lines="idle: sleep 600") as stack:
            assert psutil.Process(stack.pid_of("postgres")).uids().real != 0
            assert f"let others pass through (not read) {closed}" in stack.log_path.read_text()
        assert closed.stat().st_mode & 0o777 == 0o701
        assert (closed / "home" / "postgres").stat().st_uid != 0


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv to become somebody else"
)
def test_an_ordinary_user_needs_no_account_but_their_own() -> None:
    """The interpreter of the tests may lie below a folder of root: the right to read, and only that, is kept."""
    with reachable_folder() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        home = folder / "home"
        home.mkdir()
        shutil.chown(home, "nobody")
        (folder / "Procfile").write_text("idle: sleep 600")
        become = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        keep = [
            "--inh-caps=-all,+dac_read_search",
            "--ambient-caps=+dac_read_search",
            "--bounding-set=-all,+dac_read_search",
        ]
        up = [sys.executable, "-m", "cli.main", "up", "--home", str(home), "--port", "0", "--flower-port", "0"]
        process = subprocess.Popen(
            [*become, *keep, *up, "--procfile", str(folder / "Procfile")], stdout=subprocess.DEVNULL
        )
        try:
            until(lambda: (running := runtime_file.read(home)) is not None and running.complete, "the stack runs", 30)
            running = runtime_file.read(home)
            assert running is not None
            owners = {psutil.Process(pid).username() for pid in running.processes.values()}
            assert owners == {"nobody"}
            assert (home / "postgres").stat().st_mode & 0o777 == 0o700
        finally:
            process.terminate()
            assert process.wait(20) == 0


def test_an_unsafe_setting_stops_the_start_and_says_why() -> None:
    """Redis elsewhere without a password: nothing of ours is started, and the database is stopped cleanly again."""
    with reachable_folder() as folder:
        unsafe = os.environ | {"REDIS_URL": "redis://redis.invalid:6379"}
        command = [sys.executable, "-m", "cli.main", "up", "--home", str(folder / "home"), "--port", "0"]
        refused = subprocess.run(
            [*command, "--flower-port", "0"], env=unsafe, capture_output=True, text=True, timeout=60, check=False
        )
        assert refused.returncode == ExitCode.UNSAFE
        assert "UNSAFE: password of Redis: none, for redis.invalid. Whoever reaches Redis" in refused.stdout
        assert "check-settings failed (exit code 78); its output is above" in refused.stdout
        assert "web            | started" not in refused.stdout
        assert "release        | started" not in refused.stdout
        assert "database system is shut down" in refused.stdout
        assert servers_in(folder) == []
