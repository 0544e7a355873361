"""`reckoner diff`: what changed between two runs of a report."""

import json
from collections.abc import Iterator
from typing import Any

import click

from cli import api, invocation, output


@click.command("diff")
@click.argument("this", metavar="JOB")
@click.argument("against", metavar="EARLIER_JOB")
@click.option(
    "--limit", type=click.IntRange(0, 1000), default=output.SHOWN_ROWS, show_default=True, help="Most rows to show."
)
def command(this: str, against: str, *, limit: int) -> None:
    """Compare the report JOB with EARLIER_JOB, a run of the same type: its rows by their key, and its summary."""
    with api.connect() as server:
        found = server.get(f"/v1/reports/{this}/diff", against=against, limit=limit)
    if invocation.current().as_json:
        output.emit_json(found)
    else:
        show(found)


def show(found: dict[str, Any]) -> None:
    """Say what is different: the data, the question, the summary, and then the rows, a line for each cell."""
    counts = found["rows"]
    said = ", ".join(f"{counts[name]:,} {name}" for name in ("added", "removed", "changed", "unchanged"))
    output.say("The results are the same." if found["same"] else f"rows: {said}")
    for title, versions in (("this", found["this"]), ("against", found["against"])):
        read = ", ".join(f"{name} {number}" for name, number in versions["dataset_versions"].items())
        output.say(f"{title}: {versions['row_count']:,} rows of {read or 'no dataset'}")
    places = [[one["path"], one["against"], one["this"]] for one in (*found["params"], *found["summary"])]
    if places:
        output.table(["where", "before", "now"], [[_shown(cell) for cell in row] for row in places])
    if found["changes"]:
        key = found["key"]
        output.table([*key, "change", "column", "before", "now"], list(_cells(found, key)))
    hidden = counts["added"] + counts["removed"] + counts["changed"] - found["shown"]
    if hidden:
        output.say(f"… and {hidden:,} more rows (--limit shows up to 1000)")


def _cells(found: dict[str, Any], key: list[str]) -> Iterator[list[Any]]:
    for row in found["changes"]:
        names = [row["key"][name] for name in key]
        if row["change"] == "changed":
            for column, cell in row["values"].items():
                yield [*names, "changed", column, _shown(cell["against"]), _shown(cell["this"])]
        else:
            yield [*names, row["change"], "", "", ""]


def _shown(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
