"""A result as a PDF to be printed or passed on: what the page shows, typeset, with charts as lines and letters."""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from analytics.render import document_template, outline, pictures

# With more columns than this the page is turned on its side.
_UPRIGHT_COLUMNS = 8
# Letters of a table of up to so many columns have this size in points.
_ROW_SIZES = ((8, 8.0), (12, 7.0), (16, 6.0))
_SMALLEST = 5.0
_TILES_ACROSS = 4
# Where a long word, such as an id, may be broken: typesetting else runs it into the next cell.
_LONG = re.compile(r"\S{24,}")
_BREAK = "\u200b"


def write(header: Mapping[str, Any], first_rows: pa.Table | None, target: Path) -> None:
    """Write the document. `first_rows` are the rows of the first chunk, None where there are none."""
    import typst  # noqa: PLC0415 - thirty megabytes that only this format pays for

    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name)
        charts = list(_draw(header["charts"], folder))
        words = json.dumps(_data(header, first_rows, charts), ensure_ascii=False)
        (folder / "data.json").write_text(words, encoding="utf-8")
        (folder / "main.typ").write_text(document_template.SOURCE, encoding="utf-8")
        typst.compile(folder / "main.typ", output=target, format="pdf", root=folder)


def _draw(charts: Sequence[Mapping[str, Any]], folder: Path) -> Iterator[dict[str, Any]]:
    for position, chart in enumerate(charts):
        file = f"chart-{position}.pdf"
        (folder / file).write_bytes(pictures.for_print(chart))
        yield {"title": chart["title"], "file": file}


def _data(header: Mapping[str, Any], first_rows: pa.Table | None, charts: list[dict[str, Any]]) -> dict[str, Any]:
    columns = header["columns"]
    return {
        "title": outline.title(header),
        "subtitle": outline.subtitle(header),
        "footer": f"{outline.title(header)} · {outline.subtitle(header)}",
        "wide": len(columns) > _UPRIGHT_COLUMNS,
        "row-size": next((size for most, size in _ROW_SIZES if len(columns) <= most), _SMALLEST),
        "notices": [{"name": notice.name, "detail": notice.detail} for notice in outline.notices(header)],
        "tiles": [{"label": label, "text": _soft(value.text)} for label, value in outline.tiles(header["summary"])],
        "tiles-across": _TILES_ACROSS,
        "sentences": [[name, text] for name, text in outline.sentences(header["summary"])],
        "charts": charts,
        "lists": [_list(table) for table in outline.lists(header["summary"])],
        "caption": outline.caption(header),
        "rows": _rows(header, first_rows),
        "definition": (header.get("definition") or "").replace("`", ""),
        "source": header.get("source") or "",
        "columns": [[name, meaning] for name, meaning in outline.columns(header)],
        "params": _pairs(header.get("params") or {}),
        "dropped": _pairs(header["dropped"]),
        "checks": [[name, found] for name, found, _ in outline.checks(header["invariants"])],
        "made": [[name, _soft(text)] for name, text, _ in outline.made(header)],
    }


def _list(table: outline.SmallTable) -> dict[str, Any]:
    return {
        "title": table.title,
        "names": [outline.words(name) for name in table.names],
        "numeric": table.numeric,
        "rows": [[_soft(cell.text) for cell in row] for row in table.rows],
        "more": table.more,
    }


def _rows(header: Mapping[str, Any], first_rows: pa.Table | None) -> dict[str, Any]:
    shown = outline.rows(header, first_rows) if first_rows is not None else ()
    return {
        "names": [_heading(column) for column in header["columns"]],
        "numeric": [column["type"] in outline.NUMERIC for column in header["columns"]],
        "rows": [[outline.NULL if cell is None else _soft(cell) for cell in row] for row in shown],
    }


def _heading(column: Mapping[str, Any]) -> str:
    unit = f" ({column['unit']})" if column.get("unit") else ""
    return f"{outline.words(column['name'])}{unit}"


def _pairs(values: Mapping[str, Any]) -> list[list[str]]:
    return [[name, _soft(text)] for name, text, _ in outline.pairs(values)]


def _soft(text: str) -> str:
    return _LONG.sub(lambda found: _BREAK.join(found[0][at : at + 12] for at in range(0, len(found[0]), 12)), text)
