"""A preview for people: how the columns are understood, the first rows, the rejects, the questions, what to do next."""

import shlex
import sys
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from analytics.datasets import next_request

WIDTH = 100
SHOWN_COLUMNS = 40
LONGEST_CELL = 24
LONGEST_HEADER = 28

Json = dict[str, Any]


def show(preview: Json, file: Path) -> None:
    """Draw a whole preview, as wide as the terminal and at most 100 columns."""
    width = min(WIDTH, Console().width) if sys.stdout.isatty() else WIDTH
    console = Console(width=width, highlight=False)
    _say_dataset(console, preview, file)
    _draw_columns(console, preview)
    _draw_rows(console, preview)
    _draw_rejects(console, preview)
    for notice in preview["warnings"]:
        console.print(f"[yellow]![/] {escape(notice['code'])}: {escape(notice['detail'])}")
    _ask(console, preview)
    _say_next(console, preview, file)


def in_words(preview: Json, file: Path) -> str:
    """Say in plain lines why an import without further options would not go through."""
    lines = [f"{file.name} cannot be imported without an answer; `--dry-run` shows what is meant"]
    for question in preview["questions"]:
        lines.append(f"  {question['detail']}")
        lines += [f"    {option(question, choice)}  {_meaning(choice)}" for choice in question["choices"]]
    return "\n".join(lines)


def option(question: Json, choice: Json) -> str:
    """Return the option of `reckoner import` that gives this answer."""
    name: str = question["parameter"]
    flag = f"--{next_request.FLAGS.get(name, name).replace('_', '-')}"
    value = "" if choice["value"] is None else str(choice["value"])
    said = f"{question['column']}={value}" if name == "mapping" else value
    return f"{flag} {shlex.quote(said)}"


def _say_dataset(console: Console, preview: Json, file: Path) -> None:
    choice = preview["dataset"]
    if choice["chosen"] is None:
        console.print(f"[bold]{escape(file.name)}[/] is like none of the datasets.")
    else:
        console.print(f"[bold]{escape(file.name)}[/] as [bold]{choice['chosen']}[/] ({choice['how']})")
    for candidate in choice["candidates"][:3]:
        console.print(
            f"  {candidate['dataset']} {candidate['confidence']:.2f}: {escape(candidate['why'])}", style="dim"
        )
    facts = ", ".join(f"{name} {value!r}" for name, value in preview["facts"].items())
    console.print(escape(facts), style="dim")


def _draw_columns(console: Console, preview: Json) -> None:
    table = Table(title="Columns", title_justify="left", box=box.SIMPLE_HEAD, header_style="bold", expand=True)
    for name, justify in (("header", "left"), ("column", "left"), ("how", "left"), ("type", "left"), ("sure", "right")):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    table.add_column("empty", justify="right")
    table.add_column("for example", overflow="ellipsis", no_wrap=True, ratio=1)
    for column in preview["mapping"][:SHOWN_COLUMNS]:
        table.add_row(
            escape(_cut(column["header"], LONGEST_HEADER)),
            escape(_cut(column["column"], LONGEST_HEADER)),
            column["how"],
            column["type"],
            f"{column['confidence']:.2f}",
            f"{column['empty']:.0%}",
            escape(" · ".join(column["samples"])),
            style="dim" if column["how"] == "extra" else None,
        )
    console.print(table)
    if (more := len(preview["mapping"]) - SHOWN_COLUMNS) > 0:
        console.print(f"… and {more} more columns (--json has them all)")
    if preview["unmapped"]:
        missing = ", ".join(column["column"] for column in preview["unmapped"])
        console.print(f"Nothing in the file is: {missing}")


def _draw_rows(console: Console, preview: Json) -> None:
    rows = preview["rows"]
    if not rows:
        return
    names = [column["name"] for column in preview["columns"]]
    cells = [[_cut(_plain(cell), LONGEST_CELL) for cell in row] for row in rows]
    shown = _fitting(names, cells, console.width)
    table = Table(
        title="The first rows, as they would be stored", title_justify="left", box=box.SIMPLE_HEAD, header_style="bold"
    )
    for name in names[:shown]:
        table.add_column(name, no_wrap=True)
    for row in cells:
        table.add_row(*map(escape, row[:shown]))
    console.print(table)
    if shown < len(names):
        console.print(f"not shown for lack of width: {', '.join(names[shown:])}", style="dim")


def _draw_rejects(console: Console, preview: Json) -> None:
    counts = preview["counts"]
    if counts is None:
        return
    words = ", ".join(f"{counts[name]:,} {name}" for name in ("inserted", "updated", "unchanged", "rejected"))
    console.print(f"[bold]{counts['read']:,} rows read[/]: {words}")
    if not preview["rejects"]:
        return
    table = Table(title="Rejects", title_justify="left", box=box.SIMPLE_HEAD, header_style="bold")
    for name in ("code", "rows", "for example"):
        table.add_column(name, justify="right" if name == "rows" else "left", overflow="fold")
    for kind in preview["rejects"]:
        samples = (
            f"line {sample['line']}{_in_column(sample)}: {_plain(sample['value']) or 'empty'}"
            for sample in kind["samples"]
        )
        table.add_row(kind["code"], f"{kind['count']:,}", escape("\n".join(samples)))
    console.print(table)


def _ask(console: Console, preview: Json) -> None:
    for question in preview["questions"]:
        console.print(f"[bold red]?[/] [bold]{question['code']}[/]: {escape(question['detail'])}")
        for choice in question["choices"]:
            mark = "  (assumed here)" if question["goes_on"] and choice["value"] == question["assumed"] else ""
            console.print(f"    [cyan]{escape(option(question, choice))}[/]  {escape(_meaning(choice))}{mark}")


def _say_next(console: Console, preview: Json, file: Path) -> None:
    if preview["next"] is None:
        console.print("[bold]Answer the questions[/], then preview again.")
        return
    words = shlex.split(preview["next"]["command"])
    command = shlex.join([*words[:2], str(file), *words[3:]])
    title = "To import it" if preview["ready"] else "To import it with the answers assumed here"
    console.print(f"[bold]{title}[/]")
    # A command that is to be copied must not be broken into lines.
    console.print(f"  {escape(command)}", soft_wrap=True)


def _meaning(choice: Json) -> str:
    example = f" ({choice['example']})" if choice["example"] else ""
    return f"{choice['means']}{example}"


def _in_column(sample: Json) -> str:
    return f", {sample['column']}" if sample["column"] else ""


def _fitting(names: list[str], cells: list[list[str]], width: int) -> int:
    """Return how many of the first columns fit into the width; at least one."""
    used = 2
    for position, name in enumerate(names):
        used += 3 + max(len(name), *(len(row[position]) for row in cells))
        if used > width:
            return max(position, 1)
    return len(names)


def _plain(cell: Any) -> str:
    return "" if cell is None else str(cell)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
