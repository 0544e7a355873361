"""What is common to all commands: the home they work in, how they answer, and how they fail."""

import dataclasses
import json
from pathlib import Path
from typing import IO, Any

import click

from cli.exit_codes import ExitCode


@dataclasses.dataclass
class Invocation:
    """The options every command takes, before or after its name."""

    as_json: bool = False


class Failure(click.ClickException):
    """Ends a command with one sentence (or, with `--json`, an object on standard error) and an exit code that means something."""

    def __init__(self, message: str, exit_code: ExitCode = ExitCode.FAILED, **details: object) -> None:
        super().__init__(message)
        # click reads it from the instance, and declares it on the class.
        self.__dict__["exit_code"] = int(exit_code)
        self.details = details
        self._as_json = current().as_json

    def show(self, file: IO[Any] | None = None) -> None:
        if self._as_json:
            body = {"error": self.message, "exit_code": self.exit_code, **self.details}
            click.echo(json.dumps(body, default=str), file=file, err=file is None)
        else:
            super().show(file)


def current() -> Invocation:
    """The invocation of the command that runs now."""
    context = click.get_current_context(silent=True)
    found = context.find_object(Invocation) if context is not None else None
    return found if found is not None else Invocation()


def common_options() -> list[click.Option]:
    """`--home` and `--json`, as `cli.main` adds them to every command: a command's own function does not see them."""
    return [
        click.Option(
            ["--home"],
            type=click.Path(file_okay=False, path_type=Path),
            expose_value=False,
            is_eager=True,
            callback=_set_home,
            help="Folder of everything that is kept on this machine.  [default: $RECKONER_HOME or var]",
        ),
        click.Option(
            ["--json"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_set_json,
            help="Answer in JSON, for programs.",
        ),
    ]


def _set_home(_context: click.Context, _option: click.Parameter, value: Path | None) -> None:
    if value is not None:
        # Imported here because the settings take longer to load than the help text needs.
        from cli import child_environment  # noqa: PLC0415

        child_environment.use_home(value)


def _set_json(context: click.Context, _option: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click calls it so
    if value:
        context.ensure_object(Invocation).as_json = True
