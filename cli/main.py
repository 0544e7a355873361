"""The command `reckoner`: one list of its commands, each in a module of its own that is imported when it is called."""

import importlib
from typing import NamedTuple

import click
import pydantic

from cli import invocation
from cli.exit_codes import ExitCode


class Registered(NamedTuple):
    """Where a command is: `module` has the click command as its attribute `command`."""

    module: str
    summary: str


# The order is the order of `reckoner --help`, which must not import them.
COMMANDS = {
    "up": Registered("cli.up", "Run the whole stack on this machine."),
    "demo": Registered("cli.demo", "See it work: start a stack, import data, run three reports, stop."),
    "sample": Registered("cli.sample", "Write generated CRM data to a folder."),
    "import": Registered("cli.import_file", "Import a file into a dataset."),
    "customers": Registered("cli.customers", "Erase a customer for good, with a certificate."),
    "report": Registered("cli.report", "Run a report and show or save it."),
    "diff": Registered("cli.diff", "See what changed between two runs of a report."),
    "datasets": Registered("cli.datasets", "List datasets and their versions, and restore an older one."),
    "schedules": Registered("cli.schedules", "Have reports asked for by the clock: make, see in advance, pause, run."),
    "jobs": Registered("cli.jobs", "List jobs, see why they wait, cancel them and run them again."),
    "webhooks": Registered("cli.webhooks", "Be told of what happens, and see what was sent to whom."),
    "listen": Registered("cli.listen", "Receive webhooks on this machine, verify and print them."),
    "organisations": Registered("cli.organisations", "List organisations and set their share of the workers."),
    "keys": Registered("cli.keys", "Create, list, rotate and revoke API keys."),
    "lake": Registered("cli.lake", "See how the datasets' files lie, and have them tidied now."),
    "health": Registered("cli.health", "Tell a process manager whether a process does its work."),
    "doctor": Registered("cli.doctor", "Check that this installation is safe to trust with jobs."),
}


class CommandGroup(click.Group):
    """Finds commands in the list above, and gives each of them the common options."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        registered = COMMANDS.get(cmd_name)
        if registered is None:
            return super().get_command(ctx, cmd_name)
        command = importlib.import_module(registered.module).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{registered.module}.command is not a click command")
        add_common_options(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl([(name, registered.summary) for name, registered in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except pydantic.ValidationError as error:
            if error.title != "Settings":
                raise
            raise invocation.Failure(_explain(error), ExitCode.USAGE) from error


def add_common_options(command: click.Command) -> None:
    """Add `--home` and `--json` to a command and to all below it, once."""
    if not any(parameter.name == "home" for parameter in command.params):
        command.params.extend(invocation.common_options())
    if isinstance(command, click.Group):
        for below in command.commands.values():
            add_common_options(below)


def _explain(error: pydantic.ValidationError) -> str:
    lines = [f"{'.'.join(map(str, item['loc'])).upper()}: {item['msg']}" for item in error.errors(include_input=False)]
    return "the environment holds a setting that cannot be used: " + "; ".join(lines)


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="reckoner", prog_name="reckoner")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Reckoner: CRM data in, reports out.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 already running, 4 no stack answers, 5 the job failed, 6 not done in time,
    78 unsafe, not started.
    """
    ctx.ensure_object(invocation.Invocation)


add_common_options(main)

if __name__ == "__main__":
    main(prog_name="reckoner")
