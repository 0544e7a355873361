"""The supervisor with real processes: restarts, order, clean and forced stops, and nothing left behind."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cli.stack import until

TOY = Path(__file__).with_name("toy_supervisor.py")


def deaf_to(*names: str) -> str:
    """A command that ignores these signals, and says so when it does."""
    ignoring = "; ".join(f"signal.signal(signal.{name}, signal.SIG_IGN)" for name in names)
    return f"{sys.executable} -c 'import signal, time; {ignoring}; print(\"deaf\", flush=True); time.sleep(600)'"


@dataclasses.dataclass
class Toys:
    folder: Path
    process: subprocess.Popen[bytes]

    def pids(self) -> dict[str, int]:
        try:
            found: dict[str, int] = json.loads((self.folder / "pids.json").read_text())
        except FileNotFoundError:
            return {}
        return found

    def pid(self, name: str, *, but: int | None = None) -> int:
        return until(lambda: (found := self.pids().get(name)) != but and found, f"{name} runs") or 0

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def wait_for(self, text: str, seconds: float = 10.0) -> None:
        until(lambda: text in self.log(), f"{text!r} in the log", seconds)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(15)

    def left(self) -> list[psutil.Process]:
        """Every process, in whatever group, that was started under this folder."""
        return [
            process
            for process in psutil.process_iter(["environ"])
            if (process.info["environ"] or {}).get("FOLDER") == str(self.folder)
            and process.status() != psutil.STATUS_ZOMBIE
        ]


@contextlib.contextmanager
def running(folder: Path, lines: str) -> Iterator[Toys]:
    (folder / "Procfile").write_text(lines)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, str(TOY), str(folder)], stdout=log, stderr=log)
    toys = Toys(folder, process)
    try:
        yield toys
    finally:
        process.kill()
        process.wait()
        for left in toys.left():
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_everything_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("the tests run under nohup, which the supervisor respects")
    with running(tmp_path, "a: sleep 600\nb: sh -c 'sleep 600; true'") as toys:
        toys.pid("a"), toys.pid("b")
        assert toys.stop(number) == 0
        assert toys.left() == []
        assert "a        | stopped (killed by SIGTERM)" in toys.log()
        assert toys.pids() == {}


def test_what_dies_is_started_again_with_growing_pauses(tmp_path: Path) -> None:
    with running(tmp_path, "a: sh -c 'echo once more; exit 7'\nb: sleep 600") as toys:
        toys.wait_for("restarting in 0.8 s")
        log = toys.log()
        assert [f"ended (exit code 7); restarting in {pause} s" in log for pause in (0.2, 0.4, 0.8)] == [True] * 3
        assert "restarting in 0.8 s" in log.rsplit("once more", 1)[1]
        first = toys.pid("b")
        os.kill(first, signal.SIGKILL)
        assert toys.pid("b", but=first) != first
        assert "b        | ended (killed by SIGKILL); restarting in 0.2 s" in toys.log()


def test_what_a_crashed_process_left_in_its_group_goes_before_the_restart(tmp_path: Path) -> None:
    with running(tmp_path, "a: sh -c 'sleep 601 & echo $! > grandchild; wait'") as toys:
        first = toys.pid("a")
        grandchild = int(
            until(lambda: (tmp_path / "grandchild").exists() and (tmp_path / "grandchild").read_text(), "grandchild")
        )
        assert psutil.pid_exists(grandchild)
        os.kill(first, signal.SIGKILL)
        toys.pid("a", but=first)
        until(lambda: not psutil.pid_exists(grandchild), "the grandchild is gone")


def test_who_ignores_the_request_is_killed_after_the_grace(tmp_path: Path) -> None:
    with running(tmp_path, f"a: {deaf_to('SIGTERM', 'SIGQUIT')}") as toys:
        toys.wait_for("deaf")
        began = time.monotonic()
        assert toys.stop() == 0
        took = time.monotonic() - began
        assert 2.0 <= took < 5.0, took
        assert "did not stop in time" in toys.log()
        assert toys.left() == []


def test_the_second_step_is_a_harder_signal(tmp_path: Path) -> None:
    with running(tmp_path, f"a: {deaf_to('SIGTERM')}") as toys:
        toys.wait_for("deaf")
        assert toys.stop() == 0
        assert "stopped (killed by SIGQUIT)" in toys.log()


def test_a_second_signal_hurries(tmp_path: Path) -> None:
    with running(tmp_path, f"a: {deaf_to('SIGTERM')}") as toys:
        toys.wait_for("deaf")
        began = time.monotonic()
        toys.process.send_signal(signal.SIGINT)
        toys.wait_for("stopping")
        assert toys.stop(signal.SIGINT) == 0
        assert time.monotonic() - began < 0.9


def test_stages_begin_in_order_and_end_in_reverse(tmp_path: Path) -> None:
    lines = (
        "web: sh -c 'echo web saw $(cat migrated); trap \"echo web ends; exit 0\" TERM; while :; do sleep 0.05; done'\n"
        "release: sh -c 'test -e service.ready && echo done > migrated'\n"
        "service: sh -c 'trap \"echo service ends; exit 0\" TERM; sleep 0.3; touch service.ready; while :; do sleep 0.05; done'\n"
    )
    with running(tmp_path, lines) as toys:
        toys.wait_for("web saw done")
        assert toys.stop() == 0
        log = toys.log()
        assert log.index("web ends") < log.index("service ends")


def test_a_failed_release_stops_all_with_its_output_and_code(tmp_path: Path) -> None:
    lines = "release: sh -c 'printf \"no such table\"; exit 9'\nweb: echo never\nservice: sh -c 'touch service.ready; sleep 600'"
    with running(tmp_path, lines) as toys:
        assert toys.process.wait(10) == 9
        assert "release  | no such table" in toys.log()
        assert "never" not in toys.log()
        assert toys.left() == []


def test_a_service_that_never_gets_ready_ends_the_start(tmp_path: Path) -> None:
    with running(tmp_path, "service: sh -c 'exit 1'\nweb: echo never") as toys:
        assert toys.process.wait(10) == 1
        assert "service was not ready after 2 s" in toys.log()
        assert "never" not in toys.log()


def test_a_killed_supervisor_takes_its_children_with_it(tmp_path: Path) -> None:
    with running(tmp_path, f"a: sleep 600\nb: {sys.executable} -c 'import time; time.sleep(600)'") as toys:
        toys.pid("a"), toys.pid("b")
        toys.process.kill()
        toys.process.wait()
        until(lambda: not toys.left(), "nothing is left", 5)


def test_who_left_the_group_does_not_outlive_the_stop(tmp_path: Path) -> None:
    with running(tmp_path, "a: sh -c 'setsid sleep 602 & echo away; wait'") as toys:
        toys.wait_for("away")
        until(lambda: any(left.cmdline()[:2] == ["sleep", "602"] for left in toys.left()), "the runaway runs")
        assert toys.stop() == 0
        assert toys.left() == []


def test_output_is_whole_lines_even_at_the_end(tmp_path: Path) -> None:
    lines = (
        "a: sh -c 'printf half; sleep 0.2; printf \" line\\nlast\"; exec sleep 600'\nbb: sh -c 'seq 20000; sleep 600'"
    )
    with running(tmp_path, lines) as toys:
        toys.wait_for("bb       | 20000")
        toys.wait_for("half line")
        toys.stop()
        lines_of_a = [line.removeprefix("a        | ") for line in toys.log().splitlines() if line.startswith("a  ")]
        assert lines_of_a[1:3] == ["half line", "last"]
        lines_of_b = [line.removeprefix("bb       | ") for line in toys.log().splitlines() if line.startswith("bb ")]
        assert lines_of_b[1:20001] == [str(number) for number in range(1, 20001)]


def test_a_process_that_refuses_to_start_stops_everything(tmp_path: Path) -> None:
    """78 says that starting again would not help: somebody has to change something first."""
    with running(tmp_path, "a: sh -c 'sleep 0.5; echo why; exit 78'\nb: sleep 600") as toys:
        assert toys.process.wait(15) == 78
        log = toys.log()
        assert log.index("a        | why") < log.index("a refuses to start; its reasons are above")
        assert "restarting" not in log
        assert toys.left() == []
