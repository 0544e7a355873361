"""`reckoner report`: ask for a report, follow it, show or save the answer."""

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from cli import api, invocation, output, spans
from cli.exit_codes import ExitCode
from cli.invocation import Failure

NUMERIC = {"integer", "decimal", "number"}


@click.command("report")
@click.argument("report_type", metavar="TYPE")
@click.option(
    "-p",
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter; the value may be JSON. Repeatable.",
)
@click.option("--label", help="A name of your own for this run.")
@click.option(
    "--max-age",
    type=spans.Span(),
    help="Use a stored result only if it was made no longer ago than 90s, 15m, 2h or 3d.",
)
@click.option("--fresh", is_flag=True, help="Make a new result, whatever is stored.")
@click.option("--format", "format_", help="json, csv, html … Without it: a table on a terminal, CSV when piped.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the answer to this file.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=output.SHOWN_ROWS, show_default=True, help="Rows of the table."
)
@click.option("--no-wait", is_flag=True, help="Answer as soon as the job is accepted.")
def command(  # noqa: PLR0913 - one argument per option of the command
    report_type: str,
    *,
    params: tuple[str, ...],
    label: str | None,
    max_age: timedelta | None,
    fresh: bool,
    format_: str | None,
    out: Path | None,
    limit: int,
    no_wait: bool,
) -> None:
    """Run a report of TYPE (rfm, cohort_retention, revenue_trend …)."""
    body: dict[str, Any] = {"type": report_type, "params": dict(parameter(text) for text in params), "label": label}
    body |= _age(max_age, fresh=fresh)
    with api.connect() as server:
        with output.progress(report_type) as report:
            job = server.post("/v1/reports", body)
            reused = job["reused"]
            if not no_wait:
                job = server.wait(job, report)
        if reused and not invocation.current().as_json:
            # Beside what may be a file that is piped on.
            click.echo(_reused(job), err=True)
        if no_wait:
            output.emit_json(job) if invocation.current().as_json else output.say(f"accepted as job {job['id']}")
        elif out is not None:
            save(server, job, format_ or out.suffix.lstrip(".") or "csv", out)
            output.emit_json(job) if invocation.current().as_json else output.say(f"wrote {out}")
        elif invocation.current().as_json or format_ is not None or not sys.stdout.isatty():
            _copy_to_stdout(server, job, format_ or ("json" if invocation.current().as_json else "csv"))
        else:
            show(server, job, limit)


def _age(max_age: timedelta | None, *, fresh: bool) -> dict[str, int]:
    """Return what the request says of how old a result may be, if anything.

    Raises:
        Failure: two things are said.
    """
    if fresh and max_age is not None:
        raise Failure("say either --fresh or --max-age", ExitCode.USAGE)
    if max_age is not None:
        return {"max_age": int(max_age.total_seconds())}
    return {"max_age": 0} if fresh else {}


def _reused(job: dict[str, Any]) -> str:
    finished = job["finished_at"]
    if finished is None:
        return f"joined job {job['id']}, which is under way (--fresh makes a new one)"
    made = finished[:16].replace("T", " ")
    return f"result of job {job['id']}, made at {made} of the same data (--fresh makes a new one)"


def save(server: api.Api, job: dict[str, Any], format_: str, target: Path) -> None:
    """Write a result to a file, block by block."""
    with server.stream(job["links"]["result"], format=format_) as answer, target.open("wb") as file:
        for block in answer.iter_bytes():
            file.write(block)


def show(server: api.Api, job: dict[str, Any], limit: int) -> None:
    """Draw the first rows of a result, and say how many there are and what one must know about them."""
    result = server.get(job["links"]["result"], format="json")
    columns = result["columns"]
    names = [column["name"] for column in columns]
    numeric = frozenset(column["name"] for column in columns if column["type"] in NUMERIC)
    timestamps = {position for position, column in enumerate(columns) if column["type"] == "timestamp"}
    rows = [
        [cell[:16].replace("T", " ") if cell and position in timestamps else cell for position, cell in enumerate(row)]
        for row in result["rows"][:limit]
    ]
    output.table(names, rows, title=job["type"], numeric=numeric)
    if result["row_count"] > limit:
        output.say(f"… and {result['row_count'] - limit:,} more rows (--out FILE.csv has them all)")
    for warning in result["warnings"]:
        output.say(f"{warning['code']}: {warning['detail']}")


def _copy_to_stdout(server: api.Api, job: dict[str, Any], format_: str) -> None:
    with server.stream(job["links"]["result"], format=format_) as answer:
        for block in answer.iter_bytes():
            sys.stdout.buffer.write(block)


def parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="-p")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
