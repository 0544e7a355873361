"""What a result shows to a person, as plain text: the page and the document put the same words on paper of their own."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa

from analytics.render import cells

ROWS_SHOWN = 200
NULL = "—"
NUMERIC = frozenset({"integer", "decimal", "number"})
LONGEST_LIST = 60
# What of the summary is as good as at its top, and what the subtitle says already.
_HEADLINES = frozenset({"totals", "last"})
_SAID_ABOVE = frozenset({"as_of", "currency"})
_LONGEST_TILE = 24
# From here on a thousand is set apart, and two decimals are enough to read.
_LARGE = 1000
_SHARES = frozenset({"rate", "share"})
_EXACT = re.compile(r"-?\d+\.\d{2,}")


@dataclass(frozen=True, slots=True)
class Value:
    """A value as it is read.

    Attributes:
        exact: every digit, where the text has not all.
        number: what is counted or measured, where it is a number; a `share` of 0.25 reads 25.0%.
    """

    text: str
    exact: str | None = None
    number: int | float | None = None
    share: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to know before trusting a number; `broken`: a check that failed."""

    name: str
    detail: str
    broken: bool


@dataclass(frozen=True, slots=True)
class SmallTable:
    """A list of the summary as a table.

    Attributes:
        numeric: for each column, whether it has numbers.
        more: how many items are not shown.
    """

    title: str
    names: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Value, ...], ...]
    more: int


def words(name: str) -> str:
    return name.replace("_", " ")


def title(header: Mapping[str, Any]) -> str:
    return str(header.get("title") or header["type"])


def subtitle(header: Mapping[str, Any]) -> str:
    params, summary = header.get("params") or {}, header["summary"]
    parts = [
        f"{header['type']} v{header['version']}",
        f"as of {summary['as_of']}" if summary.get("as_of") else "",
        f"zone {params['timezone']}" if params.get("timezone") else "",
        f"money in {summary['currency']}" if summary.get("currency") else "",
    ]
    return " · ".join(part for part in parts if part)


def caption(header: Mapping[str, Any]) -> str:
    """Say how many of the rows are shown."""
    count = header["row_count"]
    return f"All {count:,} rows" if count <= ROWS_SHOWN else f"The first {ROWS_SHOWN:,} of {count:,} rows"


def notices(header: Mapping[str, Any]) -> Iterator[Notice]:
    """Yield the checks that failed, then the warnings."""
    for item in header["invariants"]:
        if not item["holds"]:
            yield Notice(f"check failed: {words(item['name'])}", item["detail"], broken=True)
    for item in header["warnings"]:
        yield Notice(words(item["code"]), item["detail"], broken=False)


def tiles(summary: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    """Yield the few values that one reads first: those at the top of the summary, and its totals or its last period."""
    for name, found in summary.items():
        if name in _HEADLINES and isinstance(found, Mapping):
            for label, inner in found.items():
                if _is_plain(inner):
                    yield words(label if name == "totals" else f"{name} {label}"), value(inner)
        elif _is_plain(found) and name not in _SAID_ABOVE:
            yield words(name), value(found)


def sentences(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what the summary says in words."""
    for name, found in summary.items():
        if isinstance(found, str) and not _is_plain(found) and name not in _SAID_ABOVE:
            yield words(name), found


def _is_plain(found: Any) -> bool:
    return not isinstance(found, list | Mapping) and len(str(found)) <= _LONGEST_TILE


def lists(summary: Mapping[str, Any]) -> Iterator[SmallTable]:
    """Yield each list of objects in the summary, and each object that is not among the headlines as a table of one row."""
    for name, found in summary.items():
        title_ = words(name).capitalize()
        if _is_list(found):
            yield _small_table(title_, found)
        elif isinstance(found, Mapping):
            plain = {label: inner for label, inner in found.items() if _is_plain(inner)}
            if plain and name not in _HEADLINES:
                yield _small_table(title_, [plain])
            for label, inner in found.items():
                if _is_list(inner):
                    yield _small_table(words(f"{name} {label}").capitalize(), inner)


def _is_list(found: Any) -> bool:
    return isinstance(found, list) and bool(found) and isinstance(found[0], Mapping)


def _small_table(heading: str, items: Sequence[Mapping[str, Any]]) -> SmallTable:
    names = tuple(items[0])
    numeric = tuple(
        name in {"revenue", "amount"} or any(isinstance(item.get(name), int | float) for item in items)
        for name in names
    )
    rows = tuple(tuple(_small_cell(name, item.get(name)) for name in names) for item in items[:LONGEST_LIST])
    return SmallTable(heading, names, numeric, rows, max(0, len(items) - LONGEST_LIST))


def _small_cell(name: str, found: Any) -> Value:
    if isinstance(found, float) and (name in _SHARES or name.endswith("_share")):
        return Value(f"{found:.1%}", number=found, share=True)
    return value(found)


def value(found: Any) -> Value:
    """Print exact money rounded to hundredths with its thousands apart; every digit is in `exact`."""
    if isinstance(found, str) and _EXACT.fullmatch(found):
        return Value(f"{Decimal(found):,.2f}", exact=found)
    number = found if isinstance(found, int | float) and not isinstance(found, bool) else None
    return Value(_scalar(found), number=number)


def _scalar(found: Any) -> str:
    if found is None:
        return NULL
    if isinstance(found, bool):
        return "yes" if found else "no"
    if isinstance(found, int):
        return f"{found:,}"
    if isinstance(found, float):
        return f"{found:,.2f}" if abs(found) >= _LARGE else shorten(str(found))
    return str(found)


def shorten(number: str) -> str:
    """Print a ratio or mean to four places, for reading; the other formats have every digit."""
    return f"{float(number):.4f}".rstrip("0").rstrip(".") or "0"


def rows(header: Mapping[str, Any], table: pa.Table) -> Iterator[list[str | None]]:
    """Yield the first rows, cell by cell as they are read; None is null."""
    few = table.slice(0, ROWS_SHOWN)
    kinds = [column["type"] for column in header["columns"]]
    printed = [
        [shorten(cell) if cell is not None and kind == "number" else cell for cell in cells.plain(column).to_pylist()]
        for column, kind in zip(few.columns, kinds, strict=True)
    ]
    yield from map(list, zip(*printed, strict=True))


def pairs(values: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Yield what was given, by name; the last says whether it is JSON."""
    for name, found in values.items():
        if found in (None, [], ()):
            continue
        if isinstance(found, list | tuple | dict):
            yield words(name), json.dumps(found, ensure_ascii=False), True
        else:
            yield words(name), _scalar(found), False


def made(header: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Yield how the result was made, as far as nothing else says it."""
    manifest = header.get("made") or {}
    yield from pairs({name: found for name, found in manifest.items() if name not in header})


def checks(invariants: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, bool]]:
    """Yield each check: its name, what was found, and whether it holds."""
    for item in invariants:
        verdict = "holds" if item["holds"] else "does not hold"
        yield words(item["name"]), f"{verdict}: {item['detail']}", item["holds"]


def columns(header: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what each column means."""
    for column in header["columns"]:
        unit = f", in {column['unit']}" if column.get("unit") else ""
        yield column["name"], f"{column['description']}{unit}"
