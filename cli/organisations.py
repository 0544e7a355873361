"""`reckoner organisations`: who is served, and how much each may ask for and have under way at once."""

from dataclasses import asdict
from typing import Any

import click

from cli import invocation, output, server_side
from cli.invocation import Failure
from models import limits, organisations

DEFAULT = "default"


class Limit(click.ParamType[int | str]):
    """A number, or the word for what the settings say."""

    name = f"number|{DEFAULT}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if value == DEFAULT:
            return DEFAULT
        return click.IntRange(min=1).convert(value, param, ctx)


@click.group("organisations")
def command() -> None:
    """List organisations and set their limits."""


@command.command("list")
def list_() -> None:
    """List organisations and what each may ask for."""
    with server_side.transaction() as db:
        found = organisations.every(db)
    numbers = tuple(asdict(limits.standard()))
    names = ("name", *numbers, "own_limit", "timezone", "currency", "created_at")
    rows = [
        [
            one.name,
            *asdict(limits.of_row(one)).values(),
            limits.has_own(one),
            one.timezone,
            one.currency,
            one.created_at.isoformat(timespec="seconds"),
        ]
        for one in found
    ]
    output.rows(names, rows, title="Organisations", numeric=frozenset(numbers))


@command.command("limit")
@click.argument("name")
@click.option("--max-in-flight", type=Limit(), help="Jobs of each queue published or running at once.")
@click.option("--requests-per-minute", type=Limit(), help="Requests answered in a minute.")
@click.option("--max-unfinished", type=Limit(), help="Jobs accepted and not finished.")
@click.option("--max-upload-bytes", type=Limit(), help="Size of one upload.")
def limit(*, name: str, **given: int | str | None) -> None:
    """Set what an organisation may ask for and have under way; `default` goes back to what the settings say.

    Jobs that are accepted stay so. The web learns of it within seconds.
    """
    own = {which: value if isinstance(value, int) else None for which, value in given.items() if value is not None}
    if not own:
        raise click.UsageError("say at least one limit")
    with server_side.transaction() as db:
        changed = limits.change(db, name, own)
        if changed is None:
            raise Failure(f"there is no organisation {name!r}")
        effective, has_own = asdict(limits.of_row(changed)), limits.has_own(changed)
    if invocation.current().as_json:
        output.emit_json({"name": name, **effective, "own_limit": has_own})
    else:
        output.say(f"{name}: " + ", ".join(f"{which} {value:,}" for which, value in effective.items()))
