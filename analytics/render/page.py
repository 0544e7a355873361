"""A result as one self-contained HTML page: headline numbers, pictures, the first rows, and how they were made."""

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from analytics.render import outline, page_style, pictures

_NAMES = re.compile(r"`([^`]+)`")


def start(header: Mapping[str, Any]) -> bytes:
    """Return the page up to the body of the table of rows."""
    title = _text(outline.title(header))
    heads = "".join(_head_cell(column) for column in header["columns"])
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:">'
        f"<title>{title}</title><style>{page_style.CSS}</style></head><body><main>"
        f"<header><h1>{title}</h1><p>{_text(outline.subtitle(header))}</p></header>"
        f"{_notices(header)}{_headline(header['summary'])}{_sentences(header['summary'])}{_pictures(header['charts'])}{_lists(header['summary'])}"
        f'<section><h2>Rows</h2><div class="scroll"><table><caption>{_text(outline.caption(header))}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>\n"
    ).encode()


def chunk(header: Mapping[str, Any], rows: pa.Table) -> bytes:
    """Return the first rows as rows of the table."""
    kinds = [column["type"] for column in header["columns"]]
    lines = [
        "<tr>" + "".join(_cell(value, kind) for value, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in outline.rows(header, rows)
    ]
    return ("\n".join(lines) + "\n").encode() if lines else b""


def end(header: Mapping[str, Any]) -> bytes:
    """Return the rest of the page: definition, parameters, what was left out, what was checked."""
    none = "" if header["row_count"] else '<p class="quiet">No rows: nothing in the data answers the question.</p>'
    return (
        f"</tbody></table></div>{none}</section>"
        f"<section><h2>What the numbers mean</h2><p>{_prose(header.get('definition'))}</p>"
        f'<p class="quiet">Source: {_text(header.get("source"))}</p></section>'
        f"<section><h2>Columns</h2>{_columns(header)}</section>"
        f'<div class="pair"><section><h2>Parameters</h2>{_pairs(header.get("params") or {})}</section>'
        f"<section><h2>Rows left out</h2>{_pairs(header['dropped']) or _quiet('None.')}"
        f"<h2>Checks</h2>{_checks(header['invariants'])}</section></div>"
        f"{_manifest(header)}</main></body></html>\n"
    ).encode()


def _text(value: Any) -> str:
    return html.escape("" if value is None else str(value))


def _prose(text: str | None) -> str:
    """Names in backticks are set as what one types."""
    return _NAMES.sub(r"<code>\1</code>", _text(text))


def _words(name: str) -> str:
    return _text(outline.words(name))


def _quiet(sentence: str) -> str:
    return f'<p class="quiet">{sentence}</p>'


def _head_cell(column: Mapping[str, Any]) -> str:
    unit = f"<small>{_text(column['unit'])}</small>" if column.get("unit") else ""
    kind = ' class="n"' if column["type"] in outline.NUMERIC else ""
    return f'<th scope="col"{kind} title="{_text(column["description"])}">{_words(column["name"])}{unit}</th>'


def _cell(value: str | None, kind: str) -> str:
    if value is None:
        return f'<td class="null">{outline.NULL}</td>'
    return f'<td class="n">{_text(value)}</td>' if kind in outline.NUMERIC else f"<td>{_text(value)}</td>"


def _notices(header: Mapping[str, Any]) -> str:
    items = "".join(
        f"<li><strong>{_text(notice.name)}</strong> {_text(notice.detail)}</li>" for notice in outline.notices(header)
    )
    return f'<ul class="warn">{items}</ul>' if items else ""


def _headline(summary: Mapping[str, Any]) -> str:
    shown = "".join(
        f"<div><dt>{_text(label)}</dt><dd>{_value(value)}</dd></div>" for label, value in outline.tiles(summary)
    )
    return f'<dl class="tiles">{shown}</dl>' if shown else ""


def _sentences(summary: Mapping[str, Any]) -> str:
    items = "".join(f"<dt>{_text(name)}</dt><dd>{_text(text)}</dd>" for name, text in outline.sentences(summary))
    return f'<section><dl class="pairs">{items}</dl></section>' if items else ""


def _value(value: outline.Value) -> str:
    text = _text(value.text)
    return text if value.exact is None else f'<span title="{_text(value.exact)}">{text}</span>'


def _pictures(charts: Sequence[Mapping[str, Any]]) -> str:
    drawn = pictures.charts_svg(charts)
    figures = "".join(
        f"<figure><figcaption>{_text(chart['title'])}</figcaption>{svg}</figure>"
        for chart, svg in zip(charts, drawn, strict=True)
    )
    return f'<div class="charts">{figures}</div>' if figures else ""


def _lists(summary: Mapping[str, Any]) -> str:
    """Show each list of objects in the summary as a small table."""
    return "".join(
        f"<section><h2>{_text(table.title)}</h2>{_small_table(table)}</section>" for table in outline.lists(summary)
    )


def _small_table(table: outline.SmallTable) -> str:
    marks = [' class="n"' if numeric else "" for numeric in table.numeric]
    heads = "".join(f'<th scope="col"{mark}>{_words(name)}</th>' for name, mark in zip(table.names, marks, strict=True))
    rows = "".join(
        "<tr>" + "".join(f"<td{mark}>{_value(cell)}</td>" for cell, mark in zip(row, marks, strict=True)) + "</tr>"
        for row in table.rows
    )
    more = _quiet(f"{table.more:,} more in the data.") if table.more else ""
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{more}'


def _columns(header: Mapping[str, Any]) -> str:
    items = "".join(f"<dt>{_text(name)}</dt><dd>{_text(meaning)}</dd>" for name, meaning in outline.columns(header))
    return f'<dl class="pairs">{items}</dl>'


def _pairs(values: Mapping[str, Any]) -> str:
    items = "".join(
        f"<dt>{_text(name)}</dt><dd>{f'<code>{_text(text)}</code>' if is_json else _text(text)}</dd>"
        for name, text, is_json in outline.pairs(values)
    )
    return f'<dl class="pairs">{items}</dl>' if items else ""


def _checks(invariants: Sequence[Mapping[str, Any]]) -> str:
    items = "".join(
        f'<li class="{"ok" if holds else "bad"}"><strong>{_text(name)}</strong> {_text(found)}</li>'
        for name, found, holds in outline.checks(invariants)
    )
    return f'<ul class="checks">{items}</ul>' if items else _quiet("None.")


def _manifest(header: Mapping[str, Any]) -> str:
    link = header.get("manifest")
    return f'<p class="quiet">How this was made: <a href="{_text(link)}">{_text(link)}</a></p>' if link else ""
