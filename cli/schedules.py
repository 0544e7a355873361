"""`reckoner schedules`: reports that are asked for by the clock; made, seen in advance, paused, run by hand, looked back at."""

import json
from pathlib import Path
from typing import Any

import click

from cli import api, invocation, named_schedules, output, report, schedule_alerts
from cli.exit_codes import ExitCode
from cli.invocation import Failure

PATH = named_schedules.PATH
LISTED = ("id", "name", "type", "cron", "timezone", "status", "next", "last")
SLOTS = ("local", "due_at", "parameters")
OCCURRENCES = ("due_at", "status", "job_status", "reason", "job_id")
RECEIVERS = ("entry", "channel", "to", "rows", "formats", "outcome")

_LIMIT = click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most.")


@click.group("schedules")
def command() -> None:
    """Have reports asked for by the clock. A schedule is named by its id, or by its name where only one has it."""


command.add_command(schedule_alerts.alerts)
command.add_command(schedule_alerts.check_alerts)


@command.command("list")
@_LIMIT
def list_(*, limit: int) -> None:
    """List the schedules, newest first."""
    with api.connect() as server:
        found = named_schedules.pages(server, PATH, limit)
    if invocation.current().as_json:
        output.emit_json(found)
        return
    output.rows(LISTED, [_listed(one) for one in found], title="Schedules")


@command.command("create")
@click.argument("name", required=False)
@click.option("--type", "type_", metavar="TYPE", help="The report: rfm, cohort_retention …")
@click.option("--cron", help="When: `0 6 1 * *` is six o'clock on the first of each month; or @daily, @weekly …")
@click.option("--timezone", help="Whose clock that is. Without it: the organisation's.")
@click.option(
    "-p",
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help='A parameter of the report; dates may be relative: `-p start=today`, `-p range={"last":"1 month","complete":true}`.',
)
@click.option("--catch-up", type=click.Choice(["skip", "last", "all"]), help="Which missed slots are made up for.")
@click.option("--overlap", type=click.Choice(["skip", "queue"]), help="What if an earlier one has not ended.")
@schedule_alerts.ALERT
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSON file with everything, as the API takes it. Options come before what it says.",
)
@click.option("--dry-run", is_flag=True, help="Only show when it would fire, and what it would ask for.")
def create(  # noqa: PLR0913 - one argument per option of the command
    name: str | None,
    *,
    type_: str | None,
    cron: str | None,
    timezone: str | None,
    params: tuple[str, ...],
    catch_up: str | None,
    overlap: str | None,
    alerts: tuple[str, ...],
    file: Path | None,
    dry_run: bool,
) -> None:
    """Make a schedule called NAME."""
    body = _read(file) if file is not None else {}
    given = {"name": name, "type": type_, "cron": cron, "timezone": timezone, "catch_up": catch_up, "overlap": overlap}
    body |= {field: value for field, value in given.items() if value is not None}
    if params:
        body["params"] = {**body.get("params", {}), **dict(report.parameter(text) for text in params)}
    if alerts:
        body["alerts"] = schedule_alerts.declared(alerts)
    with api.connect() as server:
        if dry_run:
            _show_slots(server.post(f"{PATH}?dry_run=true", body))
            return
        made = server.post(PATH, body)
    if invocation.current().as_json:
        output.emit_json(made)
        return
    output.say(f"made schedule {made['id']}; it fires first at {made['next_occurrences'][0]}")


@command.command("show")
@click.argument("schedule")
@_LIMIT
def show(schedule: str, *, limit: int) -> None:
    """Show a schedule, and what became of its slots."""
    with api.connect() as server:
        found = named_schedules.find(server, schedule)
        past = named_schedules.pages(server, found["links"]["occurrences"], limit)
    if invocation.current().as_json:
        output.emit_json(found | {"occurrences": past})
        return
    for name, value in found.items():
        if name not in {"links", "last_occurrence"} and value not in (None, []):
            output.say(f"{name:22} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
    output.rows(OCCURRENCES, [[one[column] for column in OCCURRENCES] for one in past], title="Occurrences")


@command.command("preview")
@click.argument("schedule")
@click.option("-n", "count", type=click.IntRange(1, 100), default=10, show_default=True, help="How many slots.")
def preview(schedule: str, *, count: int) -> None:
    """Show the next slots of a schedule, and what it will ask for."""
    with api.connect() as server:
        _show_slots(server.get(named_schedules.find(server, schedule)["links"]["preview"], n=count))


@command.command("preview-deliveries")
@click.argument("schedule")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='A JSON file with other receivers to try: {"deliveries": [...]}.',
)
def preview_deliveries(schedule: str, *, file: Path | None) -> None:
    """Show who would get how many rows of a schedule's newest result, and which rows nobody would. Nothing is sent."""
    body = None if file is None else _read(file)
    with api.connect() as server:
        found = server.post(f"{named_schedules.find(server, schedule)['links']['self']}/preview-deliveries", body)
    if invocation.current().as_json:
        output.emit_json(found)
        return
    title = f"{found['row_count']:,} rows of {found['due_at']}, report {found['job_id']}"
    output.rows(RECEIVERS, [_received(one) for one in found["receivers"]], title=title)
    unshared = found["unshared"]
    if unshared is None or not unshared["rows"]:
        return
    output.say(f"nobody with a filter gets {unshared['rows']:,} of the rows")
    for one in unshared["values"]:
        value = "(empty)" if one["value"] is None else one["value"]
        output.say(f"  {one['column']} = {value}: {one['rows']:,}")


@command.command("pause")
@click.argument("schedule")
@click.option("--reason", help="Shown with the schedule while it is paused.")
def pause(schedule: str, *, reason: str | None) -> None:
    """Let nothing fire until it is resumed."""
    with api.connect() as server:
        paused = server.post(named_schedules.find(server, schedule)["links"]["pause"], {"reason": reason})
    _tell(paused, "paused")


@command.command("resume")
@click.argument("schedule")
def resume(schedule: str) -> None:
    """Let a schedule go on. What it missed is made up for as its `catch_up` says."""
    with api.connect() as server:
        resumed = server.post(named_schedules.find(server, schedule)["links"]["resume"])
    _tell(resumed, "goes on")


@command.command("run")
@click.argument("schedule")
@click.option("--due-at", help="A slot that was missed, or is to be run again, such as 2026-11-01T06:00:00Z.")
@click.option("--no-delivery", is_flag=True, help="Send the result to nobody.")
@click.option("--no-wait", is_flag=True, help="Answer as soon as the job is accepted.")
def run(schedule: str, *, due_at: str | None, no_delivery: bool, no_wait: bool) -> None:
    """Run a schedule's report now, or for one of its slots."""
    with api.connect() as server:
        found = named_schedules.find(server, schedule)
        with output.progress(found["name"]) as progress:
            job = server.post(found["links"]["run"], {"due_at": due_at, "deliver": not no_delivery})
            if not no_wait:
                job = server.wait(job, progress)
        if invocation.current().as_json:
            output.emit_json(job)
        elif no_wait:
            output.say(f"accepted as job {job['id']}")
        else:
            report.show(server, job, output.SHOWN_ROWS)


@command.command("delete")
@click.argument("schedule")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(schedule: str, *, yes: bool) -> None:
    """Delete a schedule. What became of its slots, and its reports, can still be read."""
    with api.connect() as server:
        found = named_schedules.find(server, schedule)
        if not yes:
            if invocation.current().as_json:
                raise Failure("say --yes to delete it", ExitCode.USAGE)
            click.confirm(f"Delete {found['name']!r} ({found['id']})?", abort=True)
        gone = server.delete(found["links"]["self"])
    if invocation.current().as_json:
        output.emit_json(gone)
    output.say(f"deleted schedule {gone['id']}")


def _read(file: Path) -> dict[str, Any]:
    try:
        body = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Failure(f"{file} is not JSON: {error}", ExitCode.USAGE) from error
    if not isinstance(body, dict):
        raise Failure(f"{file} does not hold one JSON object", ExitCode.USAGE)
    return body


def _listed(one: dict[str, Any]) -> list[Any]:
    coming, last = one["next_occurrences"], one["last_occurrence"]
    shown = {
        "next": coming[0] if coming else None,
        "last": f"{last['due_at']} {last['job_status'] or last['status']}" if last else None,
    }
    return [shown[name] if name in shown else one[name] for name in LISTED]


def _received(one: dict[str, Any]) -> list[Any]:
    shown = {
        "to": ", ".join(one["to"]),
        "formats": ", ".join(one["formats"]),
        "outcome": f"{one['outcome']}: {one['problem']}" if one["problem"] else one["outcome"],
    }
    return [shown.get(name, one[name]) for name in RECEIVERS]


def _show_slots(found: dict[str, Any]) -> None:
    if invocation.current().as_json:
        output.emit_json(found)
        return
    rows = [
        [slot["local"], slot["due_at"], slot["problem"] or json.dumps(slot["params"], ensure_ascii=False)]
        for slot in found["slots"]
    ]
    output.rows(SLOTS, rows, title=f"{found['type']}, {found['cron']} in {found['timezone']}")
    if found["problem"]:
        output.say(found["problem"])


def _tell(schedule: dict[str, Any], what: str) -> None:
    if invocation.current().as_json:
        output.emit_json(schedule)
        return
    coming = schedule["next_occurrences"]
    output.say(f"{schedule['name']} {what}" + (f"; next at {coming[0]}" if coming else ""))
