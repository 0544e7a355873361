"""A result as one self-contained HTML page: headline numbers, pictures, the first rows, and how they were made."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from analytics.render import cells, page_style, pictures

ROWS_SHOWN = 200
_NUMERIC = frozenset({"integer", "decimal", "number"})
_LIST_SHOWN = 60
_SHARES = frozenset({"rate", "share"})
_EXACT = re.compile(r"-?\d+\.\d{2,}")


def start(header: Mapping[str, Any]) -> bytes:
    """Return the page up to the body of the table of rows."""
    title = _text(header.get("title") or header["type"])
    heads = "".join(_head_cell(column) for column in header["columns"])
    shown, count = min(ROWS_SHOWN, header["row_count"]), header["row_count"]
    caption = f"All {count:,} rows" if shown == count else f"The first {shown:,} of {count:,} rows"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:">'
        f"<title>{title}</title><style>{page_style.CSS}</style></head><body><main>"
        f"<header><h1>{title}</h1><p>{_subtitle(header)}</p></header>"
        f"{_warnings(header)}{_headline(header['summary'])}{_pictures(header['charts'])}{_lists(header['summary'])}"
        f'<section><h2>Rows</h2><div class="scroll"><table><caption>{caption}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>\n"
    ).encode()


def chunk(header: Mapping[str, Any], rows: pa.Table) -> bytes:
    """Return the first rows as rows of the table."""
    few = rows.slice(0, ROWS_SHOWN)
    printed = [cells.plain(column).to_pylist() for column in few.columns]
    kinds = [column["type"] for column in header["columns"]]
    lines = (
        "<tr>" + "".join(_cell(value, kind) for value, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in zip(*printed, strict=True)
    )
    return ("\n".join(lines) + "\n").encode() if few.num_rows else b""


def end(header: Mapping[str, Any]) -> bytes:
    """Return the rest of the page: definition, parameters, what was left out, what was checked."""
    none = "" if header["row_count"] else '<p class="quiet">No rows: nothing in the data answers the question.</p>'
    return (
        f"</tbody></table></div>{none}</section>"
        f"<section><h2>What the numbers mean</h2><p>{_text(header.get('definition'))}</p>"
        f'<p class="quiet">Source: {_text(header.get("source"))}</p></section>'
        f"<section><h2>Columns</h2>{_columns(header['columns'])}</section>"
        f'<div class="pair"><section><h2>Parameters</h2>{_pairs(header.get("params") or {})}</section>'
        f"<section><h2>Rows left out</h2>{_pairs(header['dropped']) or _quiet('None.')}"
        f"<h2>Checks</h2>{_checks(header['invariants'])}</section></div>"
        f"{_manifest(header)}</main></body></html>\n"
    ).encode()


def _text(value: Any) -> str:
    return html.escape("" if value is None else str(value))


def _words(name: str) -> str:
    return _text(name.replace("_", " "))


def _quiet(sentence: str) -> str:
    return f'<p class="quiet">{sentence}</p>'


def _subtitle(header: Mapping[str, Any]) -> str:
    params, summary = header.get("params") or {}, header["summary"]
    parts = [
        f"{_text(header['type'])} v{_text(header['version'])}",
        f"as of {_text(summary['as_of'])}" if summary.get("as_of") else "",
        f"zone {_text(params['timezone'])}" if params.get("timezone") else "",
        f"money in {_text(summary['currency'])}" if summary.get("currency") else "",
    ]
    return " · ".join(part for part in parts if part)


def _head_cell(column: Mapping[str, Any]) -> str:
    unit = f"<small>{_text(column['unit'])}</small>" if column.get("unit") else ""
    kind = ' class="n"' if column["type"] in _NUMERIC else ""
    return f'<th scope="col"{kind} title="{_text(column["description"])}">{_words(column["name"])}{unit}</th>'


def _cell(value: str | None, kind: str) -> str:
    if value is None:
        return '<td class="null">—</td>'
    if kind not in _NUMERIC:
        return f"<td>{_text(value)}</td>"
    return f'<td class="n">{_text(_shorten(value) if kind == "number" else value)}</td>'


def _shorten(value: str) -> str:
    """Print a ratio or mean to four places, for reading; the other formats have every digit."""
    return f"{float(value):.4f}".rstrip("0").rstrip(".") or "0"


def _warnings(header: Mapping[str, Any]) -> str:
    items = "".join(
        f"<li><strong>{_words(item['code'])}</strong> {_text(item['detail'])}</li>" for item in header["warnings"]
    )
    broken = "".join(
        f"<li><strong>check failed: {_words(item['name'])}</strong> {_text(item['detail'])}</li>"
        for item in header["invariants"]
        if not item["holds"]
    )
    return f'<ul class="warn">{broken}{items}</ul>' if items or broken else ""


def _headline(summary: Mapping[str, Any]) -> str:
    """Show the plain values of the summary, and those one level below, as tiles."""
    tiles: list[tuple[str, Any]] = []
    for name, value in summary.items():
        if isinstance(value, Mapping):
            tiles.extend(
                (label if name == "totals" else f"{name} {label}", inner)
                for label, inner in value.items()
                if not isinstance(inner, list | Mapping)
            )
        elif not isinstance(value, list) and name not in {"as_of", "currency"}:
            tiles.append((name, value))
    shown = "".join(f"<div><dt>{_words(name)}</dt><dd>{_headline_value(value)}</dd></div>" for name, value in tiles)
    return f'<dl class="tiles">{shown}</dl>' if shown else ""


def _headline_value(value: Any) -> str:
    """Print exact money rounded to hundredths with its thousands apart; every digit is in the tooltip and the rows."""
    if isinstance(value, str) and _EXACT.fullmatch(value):
        return f'<span title="{_text(value)}">{Decimal(value):,.2f}</span>'
    return _scalar(value)


def _scalar(value: Any) -> str:
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _shorten(str(value))
    return _text(value)


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
        f"<section><h2>{_words(name).capitalize()}</h2>{_small_table(value)}</section>"
        for name, value in summary.items()
        if isinstance(value, list) and value and isinstance(value[0], Mapping)
    )


def _small_table(items: Sequence[Mapping[str, Any]]) -> str:
    names = list(items[0])
    numeric = {name for name in names if any(isinstance(item.get(name), int | float) for item in items)}
    numeric |= {name for name in names if name in {"revenue", "amount"}}
    marks = {name: ' class="n"' if name in numeric else "" for name in names}
    heads = "".join(f'<th scope="col"{marks[name]}>{_words(name)}</th>' for name in names)
    rows = "".join(
        "<tr>" + "".join(f"<td{marks[name]}>{_small_cell(name, item.get(name))}</td>" for name in names) + "</tr>"
        for item in items[:_LIST_SHOWN]
    )
    more = _quiet(f"{len(items) - _LIST_SHOWN:,} more in the data.") if len(items) > _LIST_SHOWN else ""
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{more}'


def _small_cell(name: str, value: Any) -> str:
    if isinstance(value, float) and (name in _SHARES or name.endswith("_share")):
        return f"{value:.1%}"
    return _headline_value(value)


def _columns(columns: Sequence[Mapping[str, Any]]) -> str:
    items = "".join(
        f"<dt>{_text(column['name'])}</dt><dd>{_text(column['description'])}{_unit(column)}</dd>" for column in columns
    )
    return f'<dl class="pairs">{items}</dl>'


def _unit(column: Mapping[str, Any]) -> str:
    return f", in {_text(column['unit'])}" if column.get("unit") else ""


def _pairs(values: Mapping[str, Any]) -> str:
    given = {name: value for name, value in values.items() if value not in (None, [], ())}
    items = "".join(f"<dt>{_words(name)}</dt><dd>{_param(value)}</dd>" for name, value in given.items())
    return f'<dl class="pairs">{items}</dl>' if items else ""


def _param(value: Any) -> str:
    if isinstance(value, list | tuple | dict):
        return f"<code>{_text(json.dumps(value, ensure_ascii=False))}</code>"
    return _scalar(value) if isinstance(value, bool | int | float) else _text(value)


def _checks(invariants: Sequence[Mapping[str, Any]]) -> str:
    items = "".join(
        f'<li class="{"ok" if item["holds"] else "bad"}"><strong>{_words(item["name"])}</strong> '
        f"{'holds' if item['holds'] else 'does not hold'}: {_text(item['detail'])}</li>"
        for item in invariants
    )
    return f'<ul class="checks">{items}</ul>' if items else _quiet("None.")


def _manifest(header: Mapping[str, Any]) -> str:
    link = header.get("manifest")
    return f'<p class="quiet">How this was made: <a href="{_text(link)}">{_text(link)}</a></p>' if link else ""
