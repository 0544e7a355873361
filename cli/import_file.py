"""`reckoner import`: send a file to be imported and follow it to the end, or see first what would be done with it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cli import api, import_preview, invocation, output
from cli.exit_codes import ExitCode
from cli.invocation import Failure

PREVIEW_PATH = "/v1/imports/preview"


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--as", "dataset", help="Dataset the file belongs to: orders, deals, customers …; found out unless given."
)
@click.option("--dry-run", is_flag=True, help="Only show what an import would do: columns, rows, rejects, questions.")
@click.option("--mode", type=click.Choice(["upsert", "append", "replace"]), help="upsert unless given.")
@click.option(
    "--map",
    "mapping",
    multiple=True,
    metavar="COLUMN=HEADER",
    help="Which header is which column; no header: the file has none. Repeatable.",
)
@click.option("--format", "format_", help="csv, tsv, ndjson, json, xlsx or parquet; found out unless given.")
@click.option("--sheet", help="Sheet of a workbook.")
@click.option("--timezone", help="IANA zone of times without one.")
@click.option("--date-format", help="DMY, MDY, YMD or a format such as %d/%m/%Y, where the file does not settle it.")
@click.option("--decimal", type=click.Choice([".", ","]), help="Decimal sign.")
@click.option("--currency", help="ISO code for rows without one.")
@click.option("--refund-pattern", help="Orders whose id matches this regular expression are refunds.")
@click.option("--null", "null_values", multiple=True, help="A further word that means nothing; repeatable.")
@click.option("--max-rejects", type=click.FloatRange(0, 1), help="Share of bad rows above which nothing is written.")
@click.option(
    "--rejects",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what is wrong to this CSV file: line, column, code and value of each rejected row.",
)
@click.option(
    "--mend",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the rejected rows to this CSV file as they came, under their headers: correct them and import it.",
)
@click.option("--no-wait", is_flag=True, help="Answer as soon as the job is accepted.")
def command(
    file: Path, *, dry_run: bool, rejects: Path | None, mend: Path | None, no_wait: bool, **options: Any
) -> None:
    """Import FILE into a dataset: CSV, TSV, JSON, Excel or Parquet, plain or compressed."""
    if (dry_run or no_wait) and (rejects or mend):
        raise click.UsageError("--rejects and --mend need the end of an import: leave --dry-run and --no-wait out.")
    params = query(options)
    with api.connect() as server, output.progress(file.name) as report:
        if dry_run:
            job = _preview(server, file, params, report)
        else:
            job = _import(server, file, params, report)
            if not no_wait:
                job = server.wait(job, report)
                _save_rejects(server, job, {"csv": rejects, "rows.csv": mend})
    if invocation.current().as_json:
        output.emit_json(job)
    elif dry_run:
        import_preview.show(job["preview"], file)
    else:
        describe(job)
    if dry_run and not job["preview"]["ready"]:
        click.get_current_context().exit(ExitCode.FAILED)


def query(options: dict[str, Any]) -> dict[str, Any]:
    """Turn the command's options into the API's query parameters; what was not given is left to the server's defaults."""
    given = {name.rstrip("_"): value for name, value in options.items() if value not in (None, (), [])}
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
    if rows["rejected"]:
        output.say("  --rejects FILE says what is wrong with the rejected rows; --mend FILE has them, to be corrected")
    for warning in job.get("warnings") or []:
        output.say(f"  {warning['code']}: {warning['detail']}")


def _import(server: api.Api, file: Path, params: dict[str, Any], report: output.Reporter) -> dict[str, Any]:
    """Send the file as an import. Where nobody said the dataset, it is previewed first, and imported if nothing is open.

    Raises:
        Failure: the dataset is not certain, or something else has to be said first.
    """
    if "dataset" in params:
        return server.upload(file, params, report)
    previewed = _preview(server, file, params, report)
    preview = previewed["preview"]
    if not preview["ready"]:
        raise Failure(import_preview.in_words(preview, file), ExitCode.USAGE, preview=preview)
    output.say(f"{file.name}: {preview['dataset']['chosen']}")
    return server.post(preview["next"]["path"])


def _preview(server: api.Api, file: Path, params: dict[str, Any], report: output.Reporter) -> dict[str, Any]:
    return server.wait(server.upload(file, {**params, "wait": 0}, report, path=PREVIEW_PATH), report)


def _pair(text: str) -> tuple[str, str | None]:
    column, equals, header = text.partition("=")
    if not equals or not column:
        raise click.BadParameter(f"{text!r} is not COLUMN=HEADER", param_hint="--map")
    return column, header or None


def _save_rejects(server: api.Api, job: dict[str, Any], targets: Mapping[str, Path | None]) -> None:
    """Write the rejects to those files that were asked for, by their formats."""
    for format_, target in targets.items():
        if target is None:
            continue
        path = f"/v1/imports/{job['id']}/rejects"
        with server.stream(path, format=format_) as answer, target.open("wb") as file:
            for block in answer.iter_bytes():
                file.write(block)
