"""The part of a result that somebody may see: the rows a filter lets through, and of all else only what tells of no other row."""

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from analytics.catalogue import row_filters
from analytics.catalogue.columns import ColumnType
from analytics.catalogue.filters import Filter, Op
from analytics.render import chunks


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a result's rows, and what may be said of them."""

    header: dict[str, Any]
    pieces: list[bytes]
    row_count: int


# Words about the report type, which are the same for every result of it.
_OF_THE_TYPE = ("type", "version", "title", "definition", "source", "columns")
# Of the summary: what the question was about. It counts nobody.
_OF_THE_QUESTION = ("as_of", "currency")


def _header(whole: Mapping[str, Any], *, row_count: int) -> dict[str, Any]:
    """Return what may be said about so many of a result's rows.

    Summary, charts, warnings, checks and the manifest are about all rows, and so left out, as are the parameters, which may
    name others.
    """
    summary, params = whole.get("summary") or {}, whole.get("params") or {}
    return {
        **{name: whole[name] for name in _OF_THE_TYPE if name in whole},
        "params": {"timezone": params["timezone"]} if "timezone" in params else {},
        "row_count": row_count,
        "summary": {"rows": row_count, **{name: summary[name] for name in _OF_THE_QUESTION if name in summary}},
        "charts": [],
        "warnings": [],
        "dropped": {},
        "invariants": [],
        "manifest": None,
    }


def of(stored: Iterable[bytes], raw_filter: Mapping[str, Any], whole: Mapping[str, Any]) -> Part:
    """Return the rows that a filter lets through, in their order, as chunks of their own.

    Raises:
        row_filters.UnfitError: the filter does not suit the rows. Nobody gets anything by it.
    """
    node = Filter.model_validate(raw_filter)
    row_filters.refuse_pivot(whole.get("params") or {})
    kinds = {column["name"]: ColumnType(column["type"]) for column in whole["columns"]}
    zone = str((whole.get("params") or {}).get("timezone") or "UTC")
    for misfit in row_filters.misfits(node, kinds, zone=zone):
        raise row_filters.UnfitError(misfit.detail)
    kept = [table for data in stored if (table := _rows(chunks.decode(data), node, kinds, zone=zone)).num_rows]
    row_count = sum(table.num_rows for table in kept)
    made = [piece.data for piece in chunks.encode(pa.concat_tables(kept))] if kept else []
    return Part(_header(whole, row_count=row_count), made, row_count)


def _rows(table: pa.Table, node: Filter, kinds: Mapping[str, ColumnType], *, zone: str) -> pa.Table:
    found = table.filter(pa.array(_mask(table, node, kinds, zone=zone), pa.bool_()))
    # A dictionary would carry every value of the whole with it, and so might what a schema remembers.
    plain = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in found.columns
    ]
    return pa.table(plain, names=found.column_names)


def _mask(table: pa.Table, node: Filter, kinds: Mapping[str, ColumnType], *, zone: str) -> list[bool]:
    if node.and_ is not None:
        return _joined(all, [_mask(table, child, kinds, zone=zone) for child in node.and_])
    if node.or_ is not None:
        return _joined(any, [_mask(table, child, kinds, zone=zone) for child in node.or_])
    if node.not_ is not None:
        return [not held for held in _mask(table, node.not_, kinds, zone=zone)]
    name = str(node.column)
    holds = _test(Op(str(node.op)), row_filters.wanted(node, kinds[name], zone=zone))
    return [holds(_comparable(cell)) for cell in table[name].to_pylist()]


def _joined(how: Callable[[Sequence[bool]], bool], masks: Sequence[list[bool]]) -> list[bool]:
    return [how(held) for held in zip(*masks, strict=True)]


def _comparable(cell: Any) -> Any:
    """Return a cell as it is compared: what is shown as empty is empty, and every time has its zone."""
    if isinstance(cell, float) and not math.isfinite(cell):
        return None
    if isinstance(cell, datetime) and cell.tzinfo is None:
        return cell.replace(tzinfo=UTC)
    return cell


_ORDERED: Mapping[Op, Callable[[Any, Any], bool]] = {
    Op.LT: operator.lt,
    Op.LE: operator.le,
    Op.GT: operator.gt,
    Op.GE: operator.ge,
    Op.BETWEEN: lambda cell, bounds: bool(bounds[0] <= cell <= bounds[1]),
    Op.CONTAINS: lambda cell, text: text in cell,
    Op.STARTS_WITH: lambda cell, text: bool(cell.startswith(text)),
}


def _test(op: Op, wanted: Any) -> Callable[[Any], bool]:
    """Return the comparison with a value; with an empty cell it is false, and `ne` and `not_in` are exact opposites."""
    match op:
        case Op.EQ | Op.NE:
            return lambda cell: (cell == wanted) is (op is Op.EQ)
        case Op.IN | Op.NOT_IN:
            members = frozenset(wanted)
            return lambda cell: (cell in members) is (op is Op.IN)
        case Op.IS_NULL:
            return lambda cell: (cell is None) is wanted
    holds = _ORDERED[op]
    return lambda cell: cell is not None and holds(cell, wanted)
