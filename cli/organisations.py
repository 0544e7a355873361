"""`reckoner organisations`: who is served, and how much each may ask for and have under way at once."""

import email.utils
import re
from dataclasses import asdict
from typing import Any

import click

from cli import invocation, output, server_side
from cli.invocation import Failure
from models import limits, organisations

DEFAULT = "default"
NOBODY = "none"


class Limit(click.ParamType[int | str]):
    """A number, or the word for what the settings say."""

    name = f"number|{DEFAULT}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if value == DEFAULT:
            return DEFAULT
        return click.IntRange(min=1).convert(value, param, ctx)


class Address(click.ParamType[str]):
    """An e-mail address, or the word for none."""

    name = f"address|{NOBODY}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        plain = re.fullmatch(r"[^\s@<>,;\x00-\x1f]+@[^\s@<>,;\x00-\x1f]+", text) and text.isascii()
        if text != NOBODY and not (plain and email.utils.parseaddr(text) == ("", text)):
            self.fail(f"{text!r} is no e-mail address", param, ctx)
        return text


@click.group("organisations")
def command() -> None:
    """List organisations and set their limits."""


@command.command("list")
def list_() -> None:
    """List organisations and what each may ask for."""
    with server_side.transaction() as db:
        found = organisations.every(db)
    numbers = tuple(asdict(limits.standard()))
    names = ("name", *numbers, "own_limit", "timezone", "currency", "contact_email", "created_at")
    rows = [
        [
            one.name,
            *asdict(limits.of_row(one)).values(),
            limits.has_own(one),
            one.timezone,
            one.currency,
            one.contact_email,
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


@command.command("contact")
@click.argument("name")
@click.argument("address", type=Address())
def contact(*, name: str, address: str) -> None:
    """Set who is told by e-mail when a delivery fails for good or a schedule is paused; `none` tells nobody."""
    with server_side.transaction() as db:
        organisation = organisations.find(db, name)
        if organisation is None:
            raise Failure(f"there is no organisation {name!r}")
        organisation.contact_email = None if address == NOBODY else address
        told = organisation.contact_email
    if invocation.current().as_json:
        output.emit_json({"name": name, "contact_email": told})
    else:
        output.say(f"{name}: {told or 'nobody'} is told")
