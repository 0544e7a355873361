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
    """Yield the plain values of the summary, and those one level below."""
    for name, found in summary.items():
        if isinstance(found, Mapping):
            for label, inner in found.items():
                if not isinstance(inner, list | Mapping):
                    yield words(label if name == "totals" else f"{name} {label}"), value(inner)
        elif not isinstance(found, list) and name not in {"as_of", "currency"}:
            yield words(name), value(found)


def lists(summary: Mapping[str, Any]) -> Iterator[SmallTable]:
    """Yield each list of objects in the summary, one level below as well."""
    for name, found in summary.items():
        inner = found.items() if isinstance(found, Mapping) else [("", found)]
        for label, items in inner:
            if isinstance(items, list) and items and isinstance(items[0], Mapping):
                yield _small_table(words(f"{name} {label}".strip()).capitalize(), items)


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
        return shorten(str(found))
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
