"""`reckoner datasets`: what has been imported, the versions it went through, and the way back to one of them."""

from typing import Any

import click

from cli import api, invocation, output
from cli.exit_codes import ExitCode
from cli.invocation import Failure

DATASETS = ("name", "version", "rows", "last_changed_at")
VERSIONS = ("version", "rows", "made_by", "committed_at", "files", "bytes", "readable", "job_id")
NUMERIC = frozenset({"version", "rows", "files", "bytes"})
PAGE = 100


@click.group("datasets")
def command() -> None:
    """List datasets and their versions, and restore an older one."""


@command.command("list")
@click.option("--all", "everything", is_flag=True, help="Those too into which nothing has been imported.")
def list_(*, everything: bool) -> None:
    """List the datasets that have data."""
    with api.connect() as server:
        found = server.get("/v1/datasets")["data"]
    rows = [[one[name] for name in DATASETS] for one in found if everything or one["available"]]
    output.rows(DATASETS, rows, title="Datasets", numeric=NUMERIC)


@command.command("show")
@click.argument("name")
def show(name: str) -> None:
    """Show the columns of a dataset, its own and further ones."""
    with api.connect() as server:
        found = server.get(f"/v1/datasets/{name}")
    if invocation.current().as_json:
        output.emit_json(found)
        return
    stored = found["stored_columns"] or {}
    known = {column["name"]: column for column in found["columns"]}
    rows = [[column["name"], column["type"], _note(column), column["description"]] for column in known.values()]
    rows += [[column, kind, "further", ""] for column, kind in stored.items() if column not in known]
    title = f"{name}, version {found['version']}, {found['rows']:,} rows" if found["available"] else f"{name}, no data"
    output.rows(("column", "type", "note", "description"), rows, title=title)


@command.command("versions")
@click.argument("name")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many of the newest.")
def versions(name: str, *, limit: int) -> None:
    """List the versions of a dataset, newest first: what made each, and whether it can still be read."""
    with api.connect() as server:
        found = _newest(server, name, limit)
    for one in found:
        one["made_by"] = one["kind"]
    output.rows(
        VERSIONS, [[one[column] for column in VERSIONS] for one in found], title=f"Versions of {name}", numeric=NUMERIC
    )


@command.command("restore")
@click.argument("name")
@click.option("--version", "version", type=click.IntRange(min=0), required=True, help="Which one; see `versions`.")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--no-wait", is_flag=True, help="Answer as soon as the job is accepted.")
def restore(*, name: str, version: int, dry_run: bool, yes: bool, no_wait: bool) -> None:
    """Make an older version of a dataset its newest one. Nothing is lost: what it replaces stays as a version, too."""
    path, body = f"/v1/datasets/{name}/restore", {"version": version}
    with api.connect() as server:
        plan = server.post(f"{path}?dry_run=true", body)
        if dry_run:
            output.emit_json(plan) if invocation.current().as_json else _tell(plan)
            return
        if not yes:
            _ask(plan)
        with output.progress(f"restore {name}") as report:
            job = server.post(path, body)
            if not no_wait:
                job = server.wait(job, report)
    if invocation.current().as_json:
        output.emit_json(job)
    elif no_wait:
        output.say(f"accepted as job {job['id']}")
    else:
        output.say(f"{name} has the rows of version {version} again, as version {job['dataset_version']}")


def _newest(server: api.Api, name: str, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    following: str | None = f"/v1/datasets/{name}/versions?limit={min(limit, PAGE)}"
    while following is not None and len(found) < limit:
        page = server.get(following)
        found += page["data"]
        following = page["next"]
    return found[:limit]


def _note(column: dict[str, Any]) -> str:
    if column["key"]:
        return "key"
    return "required" if column["required"] else ""


def _tell(plan: dict[str, Any]) -> None:
    output.say(
        f"{plan['dataset']} has {plan['rows_now']:,} rows in version {plan['current_version']}; "
        f"it would have the {plan['rows_then']:,} rows of version {plan['version']}"
    )
    for names, what in (("columns_lost", "without its columns"), ("columns_back", "with columns again")):
        if plan[names]:
            output.say(f"  {what}: {', '.join(plan[names])}")


def _ask(plan: dict[str, Any]) -> None:
    if invocation.current().as_json:
        raise Failure("say --yes to restore it, or --dry-run to see what would change", ExitCode.USAGE, plan=plan)
    _tell(plan)
    click.confirm("Restore it?", abort=True)
