"""The group `reckoner`: its help is quick, and every command takes the common options on either side of its name."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cli import invocation, main
from cli.exit_codes import ExitCode
from models import settings

PROBE = "cli_probe"


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> str:
    """A command of a test, registered as the real ones are; it says what it was given, or fails when told to."""

    @click.command()
    @click.option("--fail", is_flag=True)
    def command(*, fail: bool) -> None:
        if fail:
            raise invocation.Failure("it did not work", ExitCode.UNREACHABLE, job="j1")
        click.echo(json.dumps({"home": str(settings.load().home), "json": invocation.current().as_json}))

    module = type(sys)(PROBE)
    module.__dict__["command"] = command
    monkeypatch.setitem(sys.modules, PROBE, module)
    monkeypatch.setitem(main.COMMANDS, "probe", main.Registered(PROBE, "A command of a test."))
    monkeypatch.setenv("RECKONER_HOME", os.fspath(Path("elsewhere").resolve()))
    settings.load.cache_clear()
    return "probe"


@pytest.mark.parametrize("before", [True, False])
def test_common_options_are_taken_on_either_side(probe: str, tmp_path: Path, *, before: bool) -> None:
    options = ["--home", str(tmp_path), "--json"]
    arguments = [*options, probe] if before else [probe, *options]
    result = CliRunner().invoke(main.main, arguments, catch_exceptions=False)
    assert json.loads(result.stdout) == {"home": str(tmp_path), "json": True}


def test_without_options_the_environment_counts(probe: str) -> None:
    result = CliRunner().invoke(main.main, [probe], catch_exceptions=False)
    assert json.loads(result.stdout) == {"home": str(Path("elsewhere").resolve()), "json": False}


def test_a_failure_is_a_sentence_or_an_object(probe: str) -> None:
    plain = CliRunner().invoke(main.main, [probe, "--fail"])
    assert (plain.exit_code, plain.stderr) == (4, "Error: it did not work\n")
    as_json = CliRunner().invoke(main.main, [probe, "--fail", "--json"])
    assert as_json.exit_code == 4
    assert json.loads(as_json.stderr) == {"error": "it did not work", "exit_code": 4, "job": "j1"}


def test_a_wrong_setting_is_named(probe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "http")
    result = CliRunner().invoke(main.main, [probe])
    assert result.exit_code == ExitCode.USAGE
    assert "PORT: Input should be a valid integer" in result.stderr


def test_every_registered_command_exists() -> None:
    context = click.Context(main.main)
    for name in main.COMMANDS:
        assert isinstance(main.main.get_command(context, name), click.Command), name


def test_help_loads_no_command_and_no_settings() -> None:
    script = (
        "import sys; from cli import main\n"
        "try: main.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'cli.up', 'models.settings', 'sqlalchemy', 'celery', 'psutil'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Run the whole stack" in done.stdout
