"""Relative dates in a filter: `{"column": "ordered_at", "op": "ge", "value": "today - 7 days"}` as it is at one slot.

Only values that are compared with a column of dates or timestamps are looked at: in a column of text, "today" is a word.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from pydantic_core import PydanticCustomError

from analytics.catalogue import filters
from analytics.catalogue.filters import LIST_OPS, Op
from analytics.datasets.schemas import ColumnKind
from workers.field_errors import FieldError
from workers.schedules import relative
from workers.schedules.relative import Slot

MOMENTS = frozenset({ColumnKind.DATE, ColumnKind.TIMESTAMP})
FILTER = "filter"
_COMPARING_ONE = frozenset({Op.EQ, Op.NE, Op.LT, Op.LE, Op.GT, Op.GE})
_COMPARING_MANY = LIST_OPS | {Op.BETWEEN}


@dataclass(slots=True)
class _Resolving:
    """What a filter is resolved with, and what has been found wrong with it."""

    slot: Slot
    kinds: Mapping[str, ColumnKind]
    wrong: list[FieldError] = field(default_factory=list)


def is_written(raw: Any) -> bool:
    """Whether a filter has a text that would be a relative date if its column were one of dates."""
    return any(isinstance(value, str) for _, value in _values(raw)) if _is_sound(raw) else False


def resolve(raw: Any, *, slot: Slot, kinds: Mapping[str, ColumnKind]) -> tuple[Any, list[FieldError]]:
    """Return a filter with the dates in it resolved, and what is wrong with them.

    A tree that is none is returned as it is: whoever validates the parameters says what is wrong with it.
    """
    if not _is_sound(raw):
        return raw, []
    resolving = _Resolving(slot, kinds)
    return _node(raw, resolving, f"#/params/{FILTER}"), resolving.wrong


def _is_sound(raw: Any) -> bool:
    """Whether a tree is shallow and small enough to go into."""
    try:
        filters.check_size(raw)
    except PydanticCustomError:
        return False
    return isinstance(raw, dict)


def _values(node: Any) -> Iterator[tuple[str, Any]]:
    """Yield the columns and values of all comparisons."""
    if not isinstance(node, dict):
        return
    for _, child in _children(node):
        yield from _values(child)
    value = node.get("value")
    for one in value if isinstance(value, list) else [value]:
        yield str(node.get("column")), one


def _children(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in ("and", "or"):
        if isinstance(node.get(name), list):
            yield from ((f"{name}/{number}", child) for number, child in enumerate(node[name]))
    if "not" in node:
        yield "not", node["not"]


def _node(node: Any, resolving: _Resolving, pointer: str) -> Any:
    if not isinstance(node, dict):
        return node
    made = dict(node)
    for name in ("and", "or"):
        if isinstance(node.get(name), list):
            made[name] = [
                _node(child, resolving, f"{pointer}/{name}/{number}") for number, child in enumerate(node[name])
            ]
    if "not" in node:
        made["not"] = _node(node["not"], resolving, f"{pointer}/not")
    kind = resolving.kinds.get(str(node.get("column")))
    if kind in MOMENTS and "value" in node:
        made["value"] = _compared(node, kind, resolving, f"{pointer}/value")
    return made


def _compared(leaf: Mapping[str, Any], kind: ColumnKind, resolving: _Resolving, pointer: str) -> Any:
    op, value = leaf.get("op"), leaf["value"]
    if op in _COMPARING_MANY and isinstance(value, list):
        return [_value(one, kind, resolving, f"{pointer}/{number}") for number, one in enumerate(value)]
    return _value(value, kind, resolving, pointer) if op in _COMPARING_ONE else value


def _value(value: Any, kind: ColumnKind, resolving: _Resolving, pointer: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        resolved = relative.resolved(value, resolving.slot)
    except relative.NotRelativeError as error:
        resolving.wrong.append(FieldError(pointer, error.code, str(error)))
        return value
    if not _suits(resolved, kind):
        resolving.wrong.append(FieldError(pointer, "filter-date", _unsuitable(value, resolved, kind)))
    return resolved


def _suits(text: str, kind: ColumnKind) -> bool:
    for read in (date.fromisoformat, datetime.fromisoformat)[: 1 if kind is ColumnKind.DATE else 2]:
        try:
            read(text)
        except ValueError:
            continue
        return True
    return False


def _unsuitable(value: str, resolved: str, kind: ColumnKind) -> str:
    if value != resolved:
        return f"The column has days, and {value!r} is a moment of one, {resolved}. Give a day, such as `today`."
    example = "2026-11-22" if kind is ColumnKind.DATE else "2026-11-22 or 2026-11-22T06:00:00Z"
    return f"{value!r} is not a {kind}, such as {example}."
