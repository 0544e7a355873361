"""`reckoner demo`: the whole way once, on a real stack of its own: data in, three reports out."""

import contextlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from cli import api, child_environment, import_file, invocation, output, report, server_side, stack
from cli.exit_codes import ExitCode
from cli.invocation import Failure
from models import organisations, settings
from models.api_key import Scope

REPORTS: dict[str, dict[str, Any]] = {
    "rfm": {},
    "cohort_retention": {"period": "month"},
    "revenue_trend": {"period": "month"},
}
SHOWN_ROWS = 8


@dataclass(frozen=True, slots=True)
class Source:
    """A file to import, and the dataset it belongs to."""

    path: Path
    dataset: str


@click.command("demo")
@click.option(
    "--data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Your orders or order lines (CSV, may be gzip).",
)
@click.option("--as", "dataset", help="Dataset of --data; found out from its headers unless given.")
@click.option(
    "--customers", type=click.IntRange(min=50), default=2_000, show_default=True, help="Size of the generated data."
)
@click.option("--keep", is_flag=True, help="Leave the stack running until Ctrl-C, to look at Flower and /docs.")
def command(*, data: Path | None, dataset: str | None, customers: int, keep: bool) -> None:
    """Start a stack, import data over HTTP, run three reports over HTTP, show them, stop."""
    home = settings.load().home / "demo"
    home.mkdir(parents=True, exist_ok=True)
    sources = [Source(data, dataset or _guess(data))] if data is not None else _generate(home, customers)
    with _started(home) as running:
        key = _new_organisation()
        with api.Api(running.web_url, key) as server:
            imports = [_import(server, source) for source in sources]
            jobs = _run_reports(server)
            pages = _show(server, jobs, home)
        summary = {
            "web": running.web_url,
            "flower": running.flower_url,
            "imports": imports,
            "reports": jobs,
            "pages": [str(page) for page in pages],
        }
        _tell(running, summary)
        if keep:
            _wait_for_interrupt()
    output.say("stopped; everything the demo made is in " + str(home))


def _generate(home: Path, customers: int) -> list[Source]:
    from analytics.sample import files, options  # noqa: PLC0415 - loads numpy and Arrow

    wanted = options.SampleOptions(customers=customers)
    folder = home / "sample"
    output.say(f"generating data of {customers:,} customers (seed {wanted.seed})")
    return [Source(files.write_csv(name, wanted, folder / f"{name}.csv.gz"), name) for name in ("customers", "orders")]


@contextlib.contextmanager
def _started(home: Path) -> Iterator[stack.Stack]:
    running = stack.Stack(home=home)
    started = time.monotonic()
    output.say("starting PostgreSQL, Redis, web, workers, beat and Flower")
    try:
        running.start()
    except stack.StackError as error:
        raise Failure(str(error)) from error
    try:
        output.say(f"ready after {time.monotonic() - started:.1f} s: {running.web_url}")
        child_environment.use_home(home)
        yield running
    finally:
        running.stop()


def _new_organisation() -> str:
    """Make an organisation for this run alone, so that a second demo does not mix its data with the first's."""
    with server_side.transaction() as db:
        organisation = organisations.ensure(db, f"demo {secrets.token_hex(4)}")
        return organisations.issue_key(db, organisation, name="demo", scopes=[Scope.ADMIN]).secret


def _import(server: api.Api, source: Source) -> dict[str, Any]:
    with output.progress(f"import {source.path.name}") as reporter:
        job = server.upload(source.path, {"dataset": source.dataset}, reporter)
        job = server.wait(job, reporter)
    import_file.describe(job)
    return job


def _run_reports(server: api.Api) -> list[dict[str, Any]]:
    """Ask for all reports at once, so that they run side by side, then follow each."""
    accepted = [server.post("/v1/reports", {"type": name, "params": params}) for name, params in REPORTS.items()]
    finished = []
    for job in accepted:
        with output.progress(job["type"]) as reporter:
            finished.append(server.wait(job, reporter))
    return finished


def _show(server: api.Api, jobs: list[dict[str, Any]], home: Path) -> list[Path]:
    pages = []
    for job in jobs:
        if not invocation.current().as_json:
            report.show(server, job, SHOWN_ROWS)
        page = home / f"{job['type']}.html"
        report.save(server, job, "html", page)
        pages.append(page)
    return pages


def _tell(running: stack.Stack, summary: dict[str, Any]) -> None:
    if invocation.current().as_json:
        output.emit_json(summary)
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"\n[bold]API[/bold]     {summary['web']}/docs")
    console.print(f"[bold]Flower[/bold]  {summary['flower']}  (password in {running.home}/flower_password)")
    for job, page in zip(summary["reports"], summary["pages"], strict=True):
        console.print(f"[bold]{job['type']}[/bold]  {page}  (job {job['id']})")


def _wait_for_interrupt() -> None:
    output.say("running until Ctrl-C")
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)


def _guess(file: Path) -> str:
    """Find out which dataset a file belongs to, from its headers.

    Raises:
        Failure: it fits neither orders nor order lines.
    """
    from analytics.datasets import guessing  # noqa: PLC0415 - loads Arrow

    guess = guessing.guess_dataset(file, among=("order_lines", "orders"))
    if guess is None:
        raise Failure(f"{file.name} has neither the columns of orders nor of order_lines", ExitCode.USAGE)
    return guess
