"""`reckoner import`: send a file to be imported and follow it to the end."""

import json
from pathlib import Path
from typing import Any

import click

from cli import api, invocation, output


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--as", "dataset", required=True, help="Dataset the file belongs to: orders, order_lines, customers …")
@click.option("--mode", type=click.Choice(["upsert", "append", "replace"]), default="upsert", show_default=True)
@click.option(
    "--map", "mapping", multiple=True, metavar="COLUMN=HEADER", help="Which header is which column; repeatable."
)
@click.option("--timezone", help="IANA zone of times without one.")
@click.option("--date-format", help="Format of dates, as in %d/%m/%Y, where the file does not settle it.")
@click.option("--decimal", type=click.Choice([".", ","]), help="Decimal sign.")
@click.option("--currency", help="ISO code for rows without one.")
@click.option("--refund-pattern", help="Orders whose id matches this regular expression are refunds.")
@click.option("--null", "null_values", multiple=True, help="A further word that means nothing; repeatable.")
@click.option("--max-rejects", type=click.FloatRange(0, 1), help="Share of bad rows above which nothing is written.")
@click.option(
    "--rejects", type=click.Path(dir_okay=False, path_type=Path), help="Write the rejected rows to this CSV file."
)
@click.option("--no-wait", is_flag=True, help="Answer as soon as the job is accepted.")
def command(file: Path, *, rejects: Path | None, no_wait: bool, **options: Any) -> None:
    """Import FILE (CSV, plain or gzip) into a dataset."""
    params = query(options)
    with api.connect() as server, output.progress(file.name) as report:
        job = server.upload(file, params, report)
        if not no_wait:
            job = server.wait(job, report)
            if rejects is not None:
                _save_rejects(server, job, rejects)
    if invocation.current().as_json:
        output.emit_json(job)
    else:
        describe(job)


def query(options: dict[str, Any]) -> dict[str, Any]:
    """Turn the command's options into the API's query parameters; what was not given is left to the server's defaults."""
    given = {name: value for name, value in options.items() if value not in (None, (), [])}
    if "mapping" in given:
        given["mapping"] = json.dumps(dict(_pair(text) for text in given["mapping"]))
    if "null_values" in given:
        given["null_values"] = ",".join(given["null_values"])
    return given


def describe(job: dict[str, Any]) -> None:
    """Say how an import went."""
    rows = job.get("rows")
    if not rows:
        output.say(f"accepted as job {job['id']}")
        return
    counts = ", ".join(f"{rows[name]:,} {name}" for name in ("inserted", "updated", "unchanged", "rejected"))
    output.say(f"{rows['read']:,} rows read: {counts} ({job['type']} version {job['dataset_version']})")
    for warning in job.get("warnings") or []:
        output.say(f"  {warning['code']}: {warning['detail']}")


def _pair(text: str) -> tuple[str, str]:
    column, equals, header = text.partition("=")
    if not equals or not column or not header:
        raise click.BadParameter(f"{text!r} is not COLUMN=HEADER", param_hint="--map")
    return column, header


def _save_rejects(server: api.Api, job: dict[str, Any], target: Path) -> None:
    with server.stream(f"/v1/imports/{job['id']}/rejects") as answer, target.open("wb") as file:
        for block in answer.iter_bytes():
            file.write(block)
