"""How commands answer: tables and progress bars on a terminal, plain lines when piped, JSON when asked."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import click
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from cli import invocation

SHOWN_ROWS = 20
# Blanks that the drawing puts around the table, and around each column.
MARGIN = 2
PADDING = 3


class Reporter(Protocol):
    """Says how far something has come; `total` is None where nobody knows."""

    def __call__(self, phase: str, done: float | None, total: float | None) -> None: ...


def emit_json(data: Any) -> None:
    click.echo(json.dumps(data, default=str, ensure_ascii=False))


def say(line: str) -> None:
    """Tell a person something; programs that asked for JSON are not told."""
    if not invocation.current().as_json:
        click.echo(line)


def rows(
    names: Sequence[str], cells: Sequence[Sequence[Any]], *, title: str = "", numeric: frozenset[str] = frozenset()
) -> None:
    """Show rows: a table on a terminal, tab-separated lines with a header when piped, a list of objects with `--json`."""
    if invocation.current().as_json:
        emit_json([dict(zip(names, row, strict=True)) for row in cells])
    elif not sys.stdout.isatty():
        click.echo("\t".join(names))
        for row in cells:
            click.echo("\t".join(_plain(cell) for cell in row))
    else:
        table(names, cells, title=title, numeric=numeric)


def table(
    names: Sequence[str], cells: Sequence[Sequence[Any]], *, title: str = "", numeric: frozenset[str] = frozenset()
) -> None:
    """Draw a table, on a terminal or not. Columns that do not fit beside the first ones are named below, not squeezed."""
    console = Console()
    printed = [[_plain(cell) for cell in row] for row in cells]
    shown = _fitting(names, printed, console.width)
    drawn = Table(title=title or None, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD)
    for name in names[:shown]:
        drawn.add_column(name, justify="right" if name in numeric else "left", overflow="fold")
    for row in printed:
        drawn.add_row(*row[:shown])
    console.print(drawn)
    if shown < len(names):
        console.print(f"not shown for lack of width: {', '.join(names[shown:])}", style="dim")


def _fitting(names: Sequence[str], printed: Sequence[Sequence[str]], width: int) -> int:
    """Return how many of the first columns fit into the width; at least one."""
    used = MARGIN
    for position, name in enumerate(names):
        used += PADDING + max([len(name), *(len(row[position]) for row in printed)])
        if used > width:
            return max(position, 1)
    return len(names)


@contextmanager
def progress(description: str) -> Iterator[Reporter]:
    """Show a progress bar on a terminal; elsewhere nothing, so that a log is not filled with it."""
    if invocation.current().as_json or not sys.stderr.isatty():
        yield lambda _phase, _done, _total: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[phase]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        bar = bars.add_task(description, total=None, phase="")

        def report(phase: str, done: float | None, total: float | None) -> None:
            bars.update(bar, phase=phase, completed=done or 0, total=total)

        yield report


def _plain(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.6g}"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return str(cell)
