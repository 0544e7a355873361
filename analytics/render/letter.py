"""A result as an e-mail: what one reads at a glance, in the few ways of HTML that mail programs agree on, and as plain text."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from analytics.render import outline

ROWS_SHOWN = 15
COLUMNS_SHOWN = 8
TILES_SHOWN = 8
TILES_ACROSS = 4
LONGEST_CELL = 40

# Mail programs drop style sheets, so each element says how it looks.
FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
INK = "color:#1f2328"
QUIET = f"margin:0;{FONT};font-size:13px;line-height:1.5;color:#59636e"
CELL = f"padding:6px 10px;border-bottom:1px solid #e5e8ec;{FONT};font-size:13px;{INK}"
HEAD = f"padding:6px 10px;border-bottom:2px solid #c7ccd3;{FONT};font-size:12px;color:#59636e;font-weight:600"
_WARNING = f"padding:10px 14px;background:#fff8e5;border-left:3px solid #d4a72c;{FONT};font-size:13px;{INK}"


@dataclass(frozen=True, slots=True)
class Letter:
    """The two bodies of the message."""

    html: str
    text: str


@dataclass(frozen=True, slots=True)
class Enclosed:
    """What comes with the letter.

    Attributes:
        pictures: title and content id of each chart that is shown.
        attached: the names of the files.
        left_out: the names of files that would have been too large.
        address: where the report is to be had; None where nobody has said under which address the server is reached.
        links: name and address of what can be had without a key, the report itself first.
        links_until: until when.
    """

    pictures: Sequence[tuple[str, str]] = ()
    attached: Sequence[str] = ()
    left_out: Sequence[str] = ()
    address: str | None = None
    links: Sequence[tuple[str, str]] = ()
    links_until: datetime | None = None


def compose(
    title: str,
    header: Mapping[str, Any],
    first_rows: pa.Table | None,
    enclosed: Enclosed,
    *,
    lead: Letter | None = None,
) -> Letter:
    """Write the letter about a result; `lead` is what comes before it, as pieces of the two bodies."""
    rows = [*outline.rows(header, first_rows.slice(0, ROWS_SHOWN))] if first_rows is not None else []
    html_, text = _html(title, header, rows, enclosed), _text(title, header, enclosed)
    if lead is None:
        return Letter(frame(title, html_), text)
    return Letter(frame(title, lead.html + html_), f"{lead.text}\n\n{text}")


def _html(title: str, header: Mapping[str, Any], rows: list[list[str | None]], enclosed: Enclosed) -> str:
    parts = (
        f'<h1 style="margin:0 0 4px;{FONT};font-size:22px;line-height:1.3;{INK}">{esc(title)}</h1>',
        f'<p style="{QUIET}">{esc(outline.subtitle(header))}</p>',
        _notices(header),
        _tiles(header),
        "".join(_picture(name, cid) for name, cid in enclosed.pictures),
        _table(header, rows),
        _links(enclosed),
        f'<p style="{QUIET};margin-top:20px">{"<br>".join(map(esc, _closing(enclosed)))}</p>',
    )
    return "".join(parts)


def frame(title: str, content: str) -> str:
    """Return a whole page around the content of a letter."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{esc(title)}</title></head>'
        '<body style="margin:0;padding:0;background:#f3f4f6">'
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0"><tr><td align="center" style="padding:24px 12px">'
        '<table role="presentation" width="680" cellpadding="0" cellspacing="0" style="max-width:680px;width:100%;'
        'background:#ffffff;border:1px solid #e0e3e8;border-radius:6px"><tr><td style="padding:28px">'
        f"{content}</td></tr></table></td></tr></table></body></html>"
    )


def _notices(header: Mapping[str, Any]) -> str:
    return "".join(
        f'<p style="{_WARNING};margin:14px 0 0"><strong>{esc(notice.name)}</strong> {esc(notice.detail)}</p>'
        for notice in outline.notices(header)
    )


def _tiles(header: Mapping[str, Any]) -> str:
    tiles = list(outline.tiles(header["summary"]))[:TILES_SHOWN]
    if not tiles:
        return ""
    width = 100 // TILES_ACROSS
    cells = [
        f'<td width="{width}%" valign="top" style="padding:8px 8px 8px 0;{FONT}">'
        f'<div style="font-size:12px;color:#59636e">{esc(label)}</div>'
        f'<div style="font-size:19px;font-weight:600;{INK}">{esc(value.text)}</div></td>'
        for label, value in tiles
    ]
    lines = (f"<tr>{''.join(cells[start : start + TILES_ACROSS])}</tr>" for start in range(0, len(cells), TILES_ACROSS))
    return (
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="margin-top:16px">'
        f"{''.join(lines)}</table>"
    )


def _picture(title: str, cid: str) -> str:
    return (
        f'<img src="cid:{esc(cid)}" alt="{esc(title)}" width="624" '
        'style="display:block;width:100%;max-width:624px;height:auto;margin-top:18px;border:0">'
    )


def _table(header: Mapping[str, Any], rows: list[list[str | None]]) -> str:
    if not rows:
        return f'<p style="{QUIET};margin-top:18px">No rows: nothing in the data answers the question.</p>'
    columns = header["columns"][:COLUMNS_SHOWN]
    are_times = [column["type"] == "timestamp" for column in columns]
    sides = ["right" if column["type"] in outline.NUMERIC else "left" for column in columns]
    heads = "".join(
        f'<th align="{side}" style="{HEAD}">{esc(outline.words(column["name"]))}</th>'
        for column, side in zip(columns, sides, strict=True)
    )
    lines = "".join(
        "<tr>"
        + "".join(
            f'<td align="{side}" style="{CELL}">{esc(_short(cell, is_time=is_time))}</td>'
            for cell, side, is_time in zip(row[:COLUMNS_SHOWN], sides, are_times, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        '<table width="100%" cellpadding="0" cellspacing="0" style="margin-top:20px;border-collapse:collapse">'
        f"<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"
        f'<p style="{QUIET};margin-top:8px">{esc(_shown(header, len(rows)))}</p>'
    )


def _shown(header: Mapping[str, Any], rows: int) -> str:
    count, width = header["row_count"], len(header["columns"])
    said = f"All {count:,} rows" if rows == count else f"The first {rows:,} of {count:,} rows"
    return said if width <= COLUMNS_SHOWN else f"{said}, and {COLUMNS_SHOWN} of {width} columns"


def _links(enclosed: Enclosed) -> str:
    """Show what can be had without a key: the report as a button, the files below it."""
    if not enclosed.links:
        return ""
    (title, address), *files = enclosed.links
    lines = "".join(
        f'<p style="margin:8px 0 0;{FONT};font-size:13px"><a href="{esc(link)}" style="color:#0b5cad">{esc(name)}</a></p>'
        for name, link in files
    )
    return (
        '<table role="presentation" cellpadding="0" cellspacing="0" style="margin-top:22px"><tr>'
        f'<td style="background:#0b5cad;border-radius:5px"><a href="{esc(address)}" style="display:inline-block;'
        f'padding:9px 16px;{FONT};font-size:14px;font-weight:600;color:#ffffff;text-decoration:none">{esc(title)}</a></td>'
        f'</tr></table>{lines}<p style="{QUIET};margin-top:8px">{esc(_links_said(enclosed))}</p>'
    )


def _links_said(enclosed: Enclosed) -> str:
    until = enclosed.links_until
    good = f"Good until {until.day} {until:%B %Y, %H:%M} UTC. " if until is not None else ""
    return f"{good}No key is needed: whoever has such a link can open it, so pass it on with care."


def _text(title: str, header: Mapping[str, Any], enclosed: Enclosed) -> str:
    tiles = [f"{label}: {value.text}" for label, value in list(outline.tiles(header["summary"]))[:TILES_SHOWN]]
    notices = [f"! {notice.name}: {notice.detail}" for notice in outline.notices(header)]
    count = header["row_count"]
    parts = (
        [title, outline.subtitle(header)],
        notices,
        tiles,
        [f"{count:,} rows" if count else "No rows: nothing in the data answers the question."],
        [*(f"{name}: {link}" for name, link in enclosed.links), _links_said(enclosed)] if enclosed.links else [],
        _closing(enclosed),
    )
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _closing(enclosed: Enclosed) -> list[str]:
    """Say what is attached, what is not, and where the rest is."""
    lines = []
    if enclosed.attached:
        lines.append(f"Attached: {', '.join(enclosed.attached)}.")
    if enclosed.left_out:
        lines.append(f"Too large to be attached: {', '.join(enclosed.left_out)}.")
    if enclosed.address is not None and not enclosed.links:
        lines.append(f"The whole report, with a key that may read it: {enclosed.address}")
    lines.append("Sent by Reckoner, because a schedule or a request names this address.")
    return lines


def _short(cell: str | None, *, is_time: bool) -> str:
    """Cut a cell to what a narrow column has room for: of a time the date and the minute."""
    if cell is None:
        return outline.NULL
    if is_time:
        return cell[: len("2026-11-22T10:00")].replace("T", " ")
    return cell if len(cell) <= LONGEST_CELL else cell[: LONGEST_CELL - 1] + "…"


def esc(words: str) -> str:
    """Return words as they are written in HTML."""
    return html.escape(words)
