"""The pages of `docs/reports`: a report type's declaration, and an example of it, as Markdown."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from analytics.catalogue import registry
from analytics.catalogue.report_type import ReportType
from analytics.render import manifest, outline, pictures
from tests.documentation import examples

FOLDER = Path(__file__).parents[2] / "docs" / "reports"
ROWS_SHOWN = 8
LISTED = 6
# What every report takes is said once, on the page of all of them.
_SHARED = frozenset(
    {"timezone", "currency", "base_currency", "start", "end", "as_of", "week_start", "refunds", "filter", "segment_by"}
)


def build(name: str) -> tuple[str, bytes | None]:
    """Return the page of a type, and its first chart as SVG if the example has one."""
    kind = registry.REPORT_TYPES[name]
    answer, params = examples.ask(name)
    header = manifest.header(answer, kind, params=params)
    # As the page prints it after it has come from the database.
    header = json.loads(json.dumps(header))
    picture = pictures.alone_svg(header["charts"][0]) if header["charts"] else None
    parts = [*_about(kind), *_params(kind), *_columns(kind), *_example(kind, header, answer)]
    return "\n".join(parts).rstrip() + "\n", picture


def index() -> str:
    """Return the page that lists all types and says what they share."""
    lines = [
        "# Reports",
        "",
        "What each report means, generated from its declaration by `make docs`; a test keeps these pages true.",
        "",
        "| report | what it answers |",
        "|---|---|",
        *(f"| [`{name}`]({name}.md) | {kind.title} |" for name, kind in sorted(registry.REPORT_TYPES.items())),
        "",
        "## Parameters that all of them take",
        "",
        *_table_of_params(next(iter(registry.REPORT_TYPES.values())), shared=True),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _about(kind: ReportType) -> Iterator[str]:
    yield from (f"# {kind.title}", "", f"`{kind.name}`, version {kind.version}", "", kind.definition, "")
    yield from (f"Source: {kind.source}", "")
    if kind.needs_of is None:
        needed = " and ".join(" or ".join(f"`{name}`" for name in names) for names in kind.datasets)
        also = ", ".join(f"`{name}`" for name in kind.optional_datasets)
        yield f"Reads {needed}" + (f"; where there are any, also {also}." if also else ".")
    else:
        yield "What it reads follows from its parameters."
    yield ""


def _params(kind: ReportType) -> Iterator[str]:
    yield from ("## Parameters", "")
    yield from _table_of_params(kind, shared=False)
    yield from ("", "And [those that all reports take](README.md#parameters-that-all-of-them-take).", "")


def _table_of_params(kind: ReportType, *, shared: bool) -> Iterator[str]:
    yield from ("| parameter | default | meaning |", "|---|---|---|")
    for name, field in kind.params.model_fields.items():
        if (name in _SHARED) == shared:
            default = "required" if field.is_required() else f"`{_default(field.default)}`"
            if name in {"timezone", "currency"}:
                default = "the organisation's"
            yield f"| `{name}` | {default} | {_cell(field.description or '')} |"


def _default(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value, default=str)


def _columns(kind: ReportType) -> Iterator[str]:
    yield from ("## Columns", "", "| column | type | unit | meaning |", "|---|---|---|---|")
    for column in kind.columns:
        key = " (key)" if column.key else ""
        yield f"| `{column.name}`{key} | {column.type} | {column.unit or ''} | {_cell(column.description)} |"
    yield ""


def _example(kind: ReportType, header: Mapping[str, Any], answer: Any) -> Iterator[str]:
    asked = {"type": kind.name, "params": dict(examples.EXAMPLES[kind.name].params)}
    yield from ("## Example", "", "Asked of the generated sample data (`reckoner sample`):", "")
    yield from ("```json", json.dumps(asked, indent=2), "```", "")
    yield from _summary(header["summary"])
    if header["charts"]:
        title = header["charts"][0]["title"]
        yield from (f"![{title}]({kind.name}.svg)", "")
    for notice in outline.notices(header):
        yield f"> **{notice.name}**: {notice.detail}"
        yield ">"
    yield from (f"The first of {header['row_count']:,} rows:", "")
    yield from _rows(header, answer)
    yield from ("", "Checked on every run:", "")
    yield from (f"- {name}: {found}" for name, found, _ in outline.checks(header["invariants"]))


def _summary(summary: Mapping[str, Any]) -> Iterator[str]:
    tiles = list(outline.tiles(summary))
    said = [*((label, value.text) for label, value in tiles), *outline.sentences(summary)]
    yield from ("| summary | |", "|---|---|", *(f"| {label} | {_cell(text)} |" for label, text in said), "")
    for table in outline.lists(summary):
        yield from (f"{table.title}:", "", _line(outline.words(name) for name in table.names))
        yield _line("--:" if numeric else "---" for numeric in table.numeric)
        yield from (_line(_cell(cell.text) for cell in row) for row in table.rows[:LISTED])
        yield ""


def _rows(header: Mapping[str, Any], answer: Any) -> Iterator[str]:
    columns = header["columns"]
    yield _line(column["name"] for column in columns)
    yield _line("--:" if column["type"] in outline.NUMERIC else "---" for column in columns)
    for row in outline.rows(header, answer.rows.slice(0, ROWS_SHOWN)):
        yield _line(outline.NULL if cell is None else _cell(cell) for cell in row)


def _line(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
