"""`reckoner organisations`: who is served, and how much of the workers each may have at once."""

from typing import Any

import click

from cli import invocation, output, server_side
from cli.invocation import Failure
from models import organisations, settings

DEFAULT = "default"


class Limit(click.ParamType[int | str]):
    """A number of jobs, or the word for what the settings say."""

    name = f"number|{DEFAULT}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if value == DEFAULT:
            return DEFAULT
        return click.IntRange(min=1).convert(value, param, ctx)


@click.group("organisations")
def command() -> None:
    """List organisations and set their share."""


@command.command("list")
def list_() -> None:
    """List organisations and how many jobs of each queue they may have under way."""
    with server_side.transaction() as db:
        found = organisations.every(db)
    standard = settings.load().max_in_flight
    names = ("name", "max_in_flight", "own_limit", "timezone", "currency", "created_at")
    rows = [
        [
            one.name,
            one.max_in_flight or standard,
            one.max_in_flight is not None,
            one.timezone,
            one.currency,
            one.created_at.isoformat(timespec="seconds"),
        ]
        for one in found
    ]
    output.rows(names, rows, title="Organisations", numeric=frozenset({"max_in_flight"}))


@command.command("limit")
@click.argument("name")
@click.option("--max-in-flight", type=Limit(), required=True, help="Jobs of each queue published or running at once.")
def limit(*, name: str, max_in_flight: int | str) -> None:
    """Set how many jobs of each queue an organisation may have under way. Jobs that are under way stay so."""
    chosen = max_in_flight if isinstance(max_in_flight, int) else None
    with server_side.transaction() as db:
        if not organisations.limit(db, name, chosen):
            raise Failure(f"there is no organisation {name!r}")
    effective = chosen or settings.load().max_in_flight
    if invocation.current().as_json:
        output.emit_json({"name": name, "max_in_flight": effective, "own_limit": chosen is not None})
    else:
        output.say(f"{name} may have {effective} jobs of each queue under way")
