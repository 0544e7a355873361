"""The stack of the chaos suite runs what the project's own runs, with the same options: only the applications also know probes."""

from cli import procfile
from cli.stack_plan import PROCFILE
from tests.chaos.harness import running

APPS = {
    "python -m tests.chaos.stack.release": "python -m models.migrate",
    "'tests.chaos.stack.web_app:create_app()'": "'web.app:create_app()'",
    "-A tests.chaos.stack.workers": "-A workers",
}


def _as_in_the_product(command: str) -> str:
    for ours, theirs in APPS.items():
        command = command.replace(ours, theirs)
    return command


def test_the_same_lines_with_the_same_options() -> None:
    ours, theirs = procfile.read(running.PROCFILE), procfile.read(PROCFILE)
    assert ours.release is not None
    assert theirs.release is not None
    assert _as_in_the_product(ours.release.command) == theirs.release.command
    assert [(line.name, _as_in_the_product(line.command)) for line in ours.processes] == [
        (line.name, line.command) for line in theirs.processes
    ]
