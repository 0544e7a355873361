"""`reckoner schedules alerts` and `check-alerts`: how a schedule's alerts stand, what has happened, what they would say."""

import json
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cli import api, invocation, named_schedules, output
from cli.exit_codes import ExitCode
from cli.invocation import Failure

STANDING = ("alert", "state", "since", "figure", "value", "when", "rows", "evaluated")
LOGGED = ("due_at", "alert", "change", "row", "value", "previous", "problem")
TRIED = ("alert", "holds", "figure", "value", "previous", "when", "rows")
ROWS = ("row", "value", "previous")
# What a remark of the server means.
REMARKS = {
    "no-previous": "there is no earlier result to compare with",
    "no-value": "there was no value",
    "report-failed": "there was no report",
}

ALERT = click.option(
    "--alert",
    "alerts",
    multiple=True,
    metavar="JSON|@FILE",
    help="An alert as the API takes it, or a file of one or a list of them. May be given several times.",
)


def declared(given: Sequence[str]) -> list[Any]:
    """Return the alerts that are given as JSON or in files."""
    found: list[Any] = []
    for text in given:
        one = _parsed(text)
        found += one if isinstance(one, list) else [one]
    return found


def _parsed(text: str) -> Any:
    named = f"the file {text[1:]}" if text.startswith("@") else repr(text)
    try:
        value = json.loads(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
    except OSError as error:
        raise Failure(f"{named} cannot be read: {error.strerror}", ExitCode.USAGE) from error
    except ValueError as error:
        raise Failure(f"{named} is not JSON: {error}", ExitCode.USAGE) from error
    if not isinstance(value, dict | list):
        raise Failure(f"{named} is no alert: give a JSON object, or a list of them", ExitCode.USAGE)
    return value


@click.command("alerts")
@click.argument("schedule")
@click.option("--changes", is_flag=True, help="Show what began to fire and recovered, newest first.")
@click.option("--name", help="With --changes: only of the alert of this name.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many rows at most.")
def alerts(schedule: str, *, changes: bool, name: str | None, limit: int) -> None:
    """Show how the alerts of a schedule stand, and which rows fire."""
    if name is not None and not changes:
        raise Failure("--name is for --changes", ExitCode.USAGE)
    with api.connect() as server:
        here = named_schedules.find(server, schedule)["links"]["alerts"]
        if changes:
            query = "" if name is None else f"?{urllib.parse.urlencode({'name': name})}"
            _show_changes(named_schedules.pages(server, f"{here}/changes{query}", limit))
        else:
            _show(server.get(here)["data"], limit)


@click.command("check-alerts")
@click.argument("schedule")
@ALERT
@click.option("--save", is_flag=True, help="Then let the schedule have these alerts, and no others.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many rows at most.")
def check_alerts(schedule: str, *, alerts: tuple[str, ...], save: bool, limit: int) -> None:
    """Show what alerts would say of a schedule's newest result: its own, or those given. Nobody is told."""
    wanted = declared(alerts)
    if save and not wanted:
        raise Failure("--save needs --alert: it says which alerts the schedule is to have", ExitCode.USAGE)
    with api.connect() as server:
        found = named_schedules.find(server, schedule)
        tried = server.post(f"{found['links']['alerts']}/preview", {"alerts": wanted} if wanted else None)
        _show_tried(tried, limit)
        broken = [one["name"] for one in tried["alerts"] if one["problem"] is not None]
        if broken:
            unsaved = "; nothing is saved" if save else ""
            raise Failure(f"cannot be evaluated: {', '.join(broken)}{unsaved}", ExitCode.FAILED)
        if save:
            server.patch(found["links"]["self"], {"alerts": wanted})
            output.say(f"{found['name']} has {len(wanted)} alert{'' if len(wanted) == 1 else 's'} now")


def _show(found: Sequence[dict[str, Any]], limit: int) -> None:
    if invocation.current().as_json:
        output.emit_json(found)
        return
    output.rows(STANDING, [_standing(one) for one in found], title="Alerts")
    for one in found:
        if one["problem"] is not None:
            output.say(f"{one['name']} cannot be evaluated since {one['problem']['since']}: {one['problem']['detail']}")
        if one["remark"] is not None:
            output.say(f"{one['name']}: {REMARKS.get(one['remark'], one['remark'])}")
        _show_rows(one["name"], one["firing"], one["counts"]["firing"], limit)


def _standing(one: dict[str, Any]) -> list[Any]:
    counts, evaluated = one["counts"], one["evaluated"]
    state = one["state"] or "not evaluated yet"
    return [
        one["name"],
        state if one["problem"] is None else f"{state}, broken",
        one["since"],
        one["figure"],
        printed(one["value"]),
        one["condition"],
        counts["firing"],
        None if evaluated is None else evaluated["due_at"],
    ]


def _show_changes(found: Sequence[dict[str, Any]]) -> None:
    if invocation.current().as_json:
        output.emit_json(found)
        return
    rows = [
        [
            one["due_at"],
            one["name"],
            one["change"],
            key(one["key"]),
            printed(one["value"]),
            printed(one["previous"]),
            None if one["problem"] is None else one["problem"]["detail"],
        ]
        for one in found
    ]
    output.rows(LOGGED, rows, title="Alerts")


def _show_tried(tried: dict[str, Any], limit: int) -> None:
    if invocation.current().as_json:
        output.emit_json(tried)
        return
    if not tried["alerts"]:
        output.say("the schedule has no alerts; try some with --alert")
        return
    compared = "" if tried["before"] is None else f", after that of {tried['before']['due_at']}"
    title = f"Result of {tried['run']['due_at']}{compared}"
    output.rows(TRIED, [_tried(one) for one in tried["alerts"]], title=title)
    for one in tried["alerts"]:
        if one["problem"] is not None:
            output.say(f"{one['name']}: {one['problem']['detail']}")
        if one["remark"] is not None:
            output.say(f"{one['name']}: {REMARKS.get(one['remark'], one['remark'])}")
        _show_rows(one["name"], one["rows"], one["count"], limit)


def _tried(one: dict[str, Any]) -> list[Any]:
    holds = {True: "yes", False: "no", None: "cannot be told"}[one["holds"]]
    value, previous = printed(one["value"]), printed(one["previous"])
    return [one["name"], holds, one["figure"], value, previous, one["condition"], one["count"]]


def _show_rows(name: str, rows: Sequence[dict[str, Any]], count: int, limit: int) -> None:
    """Show rows that have a key; of one figure everything has been said."""
    keyed = [one for one in rows if one["key"] is not None]
    if not keyed:
        return
    shown = keyed[:limit]
    rows_of = "1 row" if count == 1 else f"{count:,} rows"
    title = f"{name}: {len(shown)} of {rows_of}" if count > len(shown) else f"{name}: {rows_of}"
    cells = [[key(one["key"]), printed(one["value"]), printed(one["previous"])] for one in shown]
    output.say("")
    output.say(title)
    output.rows(ROWS, cells)


def key(found: dict[str, Any] | None) -> str:
    """Return the cells by which a row is known, as one reads them; a column is named where there are several."""
    if found is None:
        return ""
    if len(found) == 1:
        return printed(next(iter(found.values())))
    return ", ".join(f"{name} {printed(value)}" for name, value in found.items())


def printed(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
