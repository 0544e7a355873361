"""What a letter says of an alert: which line was crossed by what, as a piece that a report may follow."""

from collections.abc import Mapping, Sequence
from typing import Any

from analytics.render import letter, outline
from analytics.render.letter import Letter

_COLOURS = {"firing": "#c6362c", "recovered": "#23804a", "broken": "#b7791f"}
_WORDS = {"firing": "Alert", "recovered": "Recovered", "broken": "Cannot be evaluated"}
_LONGEST_CELL = 80


def subject(told: str, about: Mapping[str, Any]) -> str:
    return f"{_WORDS[told]}: {about['alert']} ({about['schedule']})"


def lead(told: str, about: Mapping[str, Any], address: str | None) -> Letter:
    """Say what happened.

    Args:
        told: firing, recovered or broken.
        about: `data` of the delivery's payload.
        address: where all of the schedule's alerts are to be seen; None: that is not for this receiver.
    """
    sentences = [*_sentences(told, about), *([f"All alerts of the schedule: {address}"] if address else [])]
    heads, rows = _table(about)
    return Letter(_html(told, about, sentences, (heads, rows)), _text(told, about, sentences, (heads, rows)))


def alone(told: str, about: Mapping[str, Any], piece: Letter) -> Letter:
    """Make a whole letter of the piece."""
    closing = "Sent by Reckoner, because a schedule names this address."
    below = f'<p style="{letter.QUIET};margin-top:20px">{closing}</p>'
    return Letter(letter.frame(subject(told, about), piece.html + below), f"{piece.text}\n\n{closing}\n")


def _sentences(told: str, about: Mapping[str, Any]) -> list[str]:
    slot = str(about["due_at"]).replace("T", " ").replace("Z", " UTC")
    of_report = f"Schedule {about['schedule']}, slot {slot}."
    if told == "broken":
        return [str(about["detail"]), of_report]
    changed, firing = int(about["changed"]), int(about["firing"])
    line = f"{about['figure']}: {about['condition']}"
    if not about.get("has_report", True):
        return [line, "There is no report: it failed, or could not be asked for.", of_report]
    if not about["of_each"]:
        return [line if told == "firing" else f"No more: {line}", of_report]
    how = "newly" if told == "firing" else "no more"
    return [f"{line}. {_rows(changed)} {how}, {_rows(firing)} now.", of_report]


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _table(about: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the rows that are told of: their keys, the value, and, where it is known, the one before."""
    told = about.get("rows") or []
    shown = None if any(row[-1] is not None for row in told) else -1
    heads = [*map(outline.words, about.get("key") or []), "now", "before"][:shown]
    lines = [[_cell(cell) for cell in row[:shown]] for row in told]
    return heads, lines


def _cell(value: Any) -> str:
    text = outline.value(value).text
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"


def _more(about: Mapping[str, Any], shown: int) -> str | None:
    changed = int(about.get("changed", 0))
    return f"The first {shown:,} of {changed:,} rows" if changed > shown > 0 else None


def _html(
    told: str, about: Mapping[str, Any], sentences: Sequence[str], table: tuple[list[str], list[list[str]]]
) -> str:
    colour = _COLOURS[told]
    parts = [
        f'<p style="margin:0;{letter.FONT};font-size:12px;font-weight:600;color:{colour}">{_WORDS[told]}</p>',
        (
            f'<h1 style="margin:0 0 4px;{letter.FONT};font-size:22px;line-height:1.3;{letter.INK}">'
            f"{letter.esc(str(about['alert']))}</h1>"
        ),
        *(f'<p style="{letter.QUIET}">{letter.esc(sentence)}</p>' for sentence in sentences),
        _html_table(*table),
    ]
    more = _more(about, len(table[1]))
    if more is not None:
        parts.append(f'<p style="{letter.QUIET};margin-top:8px">{letter.esc(more)}</p>')
    return (
        f'<div style="border-left:4px solid {colour};padding:2px 0 2px 16px;margin-bottom:28px">{"".join(parts)}</div>'
    )


def _html_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    figures = 2 if heads[-1] == "before" else 1
    sides = ["left"] * (len(heads) - figures) + ["right"] * figures
    above = "".join(
        f'<th align="{side}" style="{letter.HEAD}">{letter.esc(head)}</th>'
        for head, side in zip(heads, sides, strict=True)
    )
    lines = "".join(
        "<tr>"
        + "".join(
            f'<td align="{side}" style="{letter.CELL}">{letter.esc(cell)}</td>'
            for cell, side in zip(row, sides, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        '<table width="100%" cellpadding="0" cellspacing="0" style="margin-top:14px;border-collapse:collapse">'
        f"<thead><tr>{above}</tr></thead><tbody>{lines}</tbody></table>"
    )


def _text(
    told: str, about: Mapping[str, Any], sentences: Sequence[str], table: tuple[list[str], list[list[str]]]
) -> str:
    heads, rows = table
    more = _more(about, len(rows))
    listed = ["  ".join(f"{head}: {cell}" for head, cell in zip(heads, row, strict=True)) for row in rows]
    return "\n".join([f"{_WORDS[told]}: {about['alert']}", *sentences, "", *listed, *([more] if more else [])]).rstrip()
