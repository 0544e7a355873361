"""The Procfile: what is accepted, what is refused with a line number, and how a line becomes a process."""

import re
import subprocess
from pathlib import Path

import pytest

from cli import procfile

ROOT = Path(__file__).parents[3]


def test_release_stands_apart_and_order_is_kept() -> None:
    parsed = procfile.parse("# comment\n\nb: run b\nrelease: migrate\na:run a  \n")
    assert parsed.release == procfile.Entry("release", "migrate")
    assert parsed.processes == (procfile.Entry("b", "run b"), procfile.Entry("a", "run a"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("web run", "line 1: expected `name: command`"),
        ("web: a\n\nweb: b", "line 3: there is already a process named 'web'"),
        ("release: a", "no process"),
        ("", "no process"),
        ("web: a && b", "'&&' would need a shell"),
        ("web: a | b", "would need a shell"),
        ("web: a;b", "would need a shell"),
        ("web: a > log", "would need a shell"),
        ("web: a 'b", "line 1: No closing quotation"),
    ],
)
def test_what_cannot_be_run_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(procfile.ProcfileError, match=re.escape(message)):
        procfile.parse(text, source="Procfile")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(procfile.ProcfileError, match="nowhere: cannot be read: No such file"):
        procfile.read(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("echo $PORT ${PORT:-1} ${MISSING:-2}", "81 81 2"),
        ("echo '$PORT' \"a  b\" '|' \"x;y\"", "$PORT a  b | x;y"),
        ("GREETING='good day' sh -c 'echo $GREETING'", "good day"),
        ("echo 'web.app:create_app()' # not a comment for us", "web.app:create_app()"),
    ],
)
def test_a_line_runs_as_in_a_shell(command: str, printed: str) -> None:
    entry = procfile.parse(f"web: {command}").processes[0]
    done = subprocess.run(
        entry.argv, env={"PORT": "81", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == printed


def test_no_shell_stays_between() -> None:
    entry = procfile.parse("web: sh -c 'echo $$; exit 3'").processes[0]
    with subprocess.Popen(entry.argv, stdout=subprocess.PIPE, text=True) as process:
        printed, _ = process.communicate()
    assert int(printed) == process.pid
    assert process.returncode == 3


def test_the_projects_own_procfile() -> None:
    own = procfile.read(ROOT / "Procfile")
    assert own.release is not None
    names = [entry.name for entry in own.processes]
    workers = [f"worker-{queue}" for queue in ("reports", "imports", "heavy", "upkeep", "deliveries")]
    assert names == ["web", *workers, "beat", "flower"]
    assert not any("password" in entry.command or "basic" in entry.command for entry in own.processes)
