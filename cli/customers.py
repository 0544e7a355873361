"""`reckoner customers`: look at a person's data, erase them for good, and read or check the certificate of that."""

import urllib.parse
import uuid
from typing import Any

import click

from analytics.datasets import persons
from cli import api, invocation, output
from cli.exit_codes import ExitCode
from cli.invocation import Failure
from models import erasure_subject

Json = dict[str, Any]


@click.group("customers")
def command() -> None:
    """Look at a customer, erase them, and check the certificate."""


@command.command("show")
@click.argument("customer_id")
@click.option("--limit", type=click.IntRange(0, 100), default=5, show_default=True, help="Rows shown of each dataset.")
def show(*, customer_id: str, limit: int) -> None:
    """Show everything the datasets hold of CUSTOMER_ID."""
    with api.connect() as server:
        found = server.get(f"/v1/customers/{api.quoted(customer_id)}", limit=limit)
    if invocation.current().as_json:
        output.emit_json(found)
        return
    names = ("dataset", "version", "rows", "first", "last", "money")
    rows = [
        [one["dataset"], one["version"], one["rows"], _day(one["first_at"]), _day(one["last_at"]), _money(one["money"])]
        for one in found["datasets"]
        if one["rows"]
    ]
    output.rows(names, rows, title=found["id"], numeric=frozenset({"version", "rows"}))
    for one in found["datasets"]:
        if one["data"]:
            columns = [name for name in one["data"][0] if any(row[name] is not None for row in one["data"])]
            output.rows(columns, [[row[name] for name in columns] for row in one["data"]], title=one["dataset"])


@command.command("erase")
@click.argument("customer_id")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--no-wait", is_flag=True, help="Answer as soon as the job is accepted.")
def erase(*, customer_id: str, dry_run: bool, yes: bool, no_wait: bool) -> None:
    """Remove CUSTOMER_ID from all datasets and their old versions, from stored results and the records of jobs.

    It cannot be undone. Needs a key with the scope `admin`.
    """
    if not (dry_run or yes):
        if invocation.current().as_json:
            raise Failure("this cannot be undone; say --yes to do it", ExitCode.USAGE)
        click.confirm(f"Remove everything about customer {customer_id!r}, for good?", abort=True)
    with api.connect() as server, output.progress("erasing") as report:
        job = server.delete(f"/v1/customers/{urllib.parse.quote(customer_id, safe='')}", dry_run=dry_run)
        if not no_wait:
            job = server.wait(job, report)
    _show(job)


@command.command("certificate")
@click.argument("job_id", type=click.UUID)
@click.option("--verify", metavar="CUSTOMER_ID", help="Check that the certificate is about this customer.")
def certificate(*, job_id: uuid.UUID, verify: str | None) -> None:
    """Show the certificate of an erasure by the JOB_ID that was given for it."""
    with api.connect() as server:
        job = server.get(f"/v1/jobs/{job_id}")
    found = job.get("certificate")
    if found is None:
        raise Failure(f"job {job_id} is {_what(job)} and has no certificate", ExitCode.FAILED)
    if verify is not None and not erasure_subject.is_about(found["subject"], persons.canonical(verify)):
        raise Failure("the certificate is about somebody else", ExitCode.FAILED)
    _show(job)
    if verify is not None:
        output.say("The certificate is about this customer.")


def _day(moment: str | None) -> str:
    return moment[:10] if moment is not None else ""


def _money(sums: list[Json]) -> str:
    return ", ".join(f"{one['amount']} {one['currency'] or '?'}" for one in sums if one["amount"] is not None)


def _what(job: Json) -> str:
    kind = "an erasure" if job["kind"] == "erasure" else f"of kind {job['kind']}"
    return f"{kind} that is {job['status']}"


def _show(job: Json) -> None:
    if invocation.current().as_json:
        output.emit_json(job)
    elif job.get("certificate") is not None:
        _show_certificate(job["id"], job["certificate"])
    elif job.get("plan") is not None:
        _show_plan(job["plan"])
    else:
        output.say(f"accepted as job {job['id']}")


def _show_plan(plan: Json) -> None:
    names = ("dataset", "rows", "found by", "unreadable versions")
    rows = [
        [one["dataset"], one["rows"], _matched(one["matched"]), _numbers(one["versions"])]
        for one in plan["datasets"]
        if one["rows"] or one["versions"]
    ]
    output.rows(names, rows, title="Would be removed", numeric=frozenset({"rows"}))
    output.say(
        f"{len(plan['results'])} stored results, {len(plan['uploads'])} kept files; "
        f"{plan['records']} jobs and {plan['deliveries']} deliveries would forget the customer. Nothing has been changed."
    )


def _show_certificate(job_id: str, found: Json) -> None:
    names = ("dataset", "rows", "found by", "version", "unreadable versions", "files")
    rows = [
        [
            one["dataset"],
            one["rows_removed"],
            _matched(one["matched"]),
            one["version_after"],
            _numbers(one["versions_made_unreadable"]),
            one["files_removed"],
        ]
        for one in found["datasets"]
        if one["rows_removed"] or one["versions_made_unreadable"] or one["files_removed"]
    ]
    output.rows(names, rows, title="Removed", numeric=frozenset({"rows", "files"}))
    output.say(
        f"{len(found['results_removed'])} stored results, {len(found['uploads_removed'])} kept files; "
        f"{found['records_redacted']} jobs and {found['deliveries_redacted']} deliveries have forgotten the customer."
    )
    read = found["verification"]
    output.say(
        f"Verified at {found['completed_at']}: {read['rows_found']} rows of the customer among {read['rows_read']:,} in "
        f"{read['files_read']:,} files. Asked for by {found['requested_by']}. Certificate: job {job_id}."
    )
    output.say("Not covered:")
    for one in found["not_covered"]:
        output.say(f"  {one['code']}: {one['detail']}")


def _matched(by_column: dict[str, int]) -> str:
    return ", ".join(f"{column}: {count}" for column, count in by_column.items())


def _numbers(versions: list[int]) -> str:
    return ", ".join(map(str, versions))
