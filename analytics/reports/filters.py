"""Turns the filter tree of a question into an Ibis condition on a table."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import reduce
from typing import Any

import ibis
from ibis.expr import datatypes as dt
from ibis.expr import types as ir

from analytics import errors
from analytics.catalogue import filters, parameters

_COMPARE: Mapping[filters.Op, Callable[[Any, Any], Any]] = {
    filters.Op.EQ: operator.eq,
    filters.Op.LT: operator.lt,
    filters.Op.LE: operator.le,
    filters.Op.GT: operator.gt,
    filters.Op.GE: operator.ge,
}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def condition(node: filters.Filter, columns: Mapping[str, ir.Value], *, zone: str) -> ir.BooleanValue:
    """Return the condition a tree means on the given columns; a row for which it is null is left out.

    Columns in: those the tree names. A null comparison behaves as false: `and` and `or` keep that by themselves,
    and every negation fills it in first.

    Raises:
        errors.Refusal: a value cannot be compared with its column.
    """
    if node.and_ is not None:
        return reduce(operator.and_, [condition(child, columns, zone=zone) for child in node.and_])
    if node.or_ is not None:
        return reduce(operator.or_, [condition(child, columns, zone=zone) for child in node.or_])
    if node.not_ is not None:
        return _opposite(condition(node.not_, columns, zone=zone))
    return _comparison(node, columns, zone=zone)


def _opposite(held: ir.BooleanValue) -> ir.BooleanValue:
    return ~held.fill_null(False)


def _comparison(leaf: filters.Filter, columns: Mapping[str, ir.Value], *, zone: str) -> ir.BooleanValue:
    name, op, value = str(leaf.column), filters.Op(str(leaf.op)), leaf.value
    column = columns[name]
    if op is filters.Op.IS_NULL:
        return column.isnull() if value else column.notnull()
    if op in filters.TEXT_OPS:
        if not column.type().is_string():
            raise _unsuitable(name, column.type(), value)
        return column.contains(value) if op is filters.Op.CONTAINS else column.startswith(value)
    if op in (filters.Op.IN, filters.Op.NOT_IN):
        found = column.isin([_literal(name, column.type(), item, zone=zone) for item in value])
        return found if op is filters.Op.IN else _opposite(found)
    if op is filters.Op.BETWEEN:
        low, high = (_literal(name, column.type(), item, zone=zone) for item in value)
        return (column >= low) & (column <= high)
    literal = _literal(name, column.type(), value, zone=zone)
    if op is filters.Op.NE:
        return _opposite(column == literal)
    return _COMPARE[op](column, literal)


def _literal(name: str, kind: dt.DataType, value: Any, *, zone: str) -> ir.Scalar:
    """Return the value as a literal of the column's kind, so that text never meets a number by a silent cast."""
    try:
        if kind.is_boolean() and isinstance(value, bool):
            return ibis.literal(value)
        if kind.is_numeric() and not isinstance(value, bool):
            return _number(kind, value)
        if kind.is_string() and isinstance(value, str):
            return ibis.literal(value)
        if kind.is_date() and isinstance(value, str):
            return ibis.literal(date.fromisoformat(value))
        if kind.is_timestamp() and isinstance(value, str):
            moment = date.fromisoformat(value) if _DAY.fullmatch(value) else datetime.fromisoformat(value)
            return ibis.literal(parameters.instant(moment, zone), type=kind)
    except (ValueError, InvalidOperation) as error:
        raise _unsuitable(name, kind, value) from error
    raise _unsuitable(name, kind, value)


def _number(kind: dt.DataType, value: Any) -> ir.Scalar:
    if kind.is_floating():
        return ibis.literal(float(value))
    number = Decimal(str(value))
    if not number.is_finite() or abs(number) >= Decimal(10) ** 20:
        raise ValueError("out of range")
    scale = max(0, -int(number.normalize().as_tuple().exponent))
    if scale > 12:
        raise ValueError("more decimals than any column keeps")
    if isinstance(kind, dt.Decimal) and kind.precision is not None and kind.scale is not None:
        # The column's own type where the value fits it, so that the engine compares without casting the column.
        fits = scale <= kind.scale and abs(number) < Decimal(10) ** (kind.precision - kind.scale)
        return ibis.literal(number, type=kind if fits else dt.Decimal(38, max(scale, kind.scale)))
    return ibis.literal(number, type=dt.Decimal(38, scale)) if scale else ibis.literal(int(number))


def _unsuitable(name: str, kind: dt.DataType, value: Any) -> errors.Refusal:
    return errors.Refusal(
        "filter-type",
        f"The filter compares column '{name}' ({_word(kind)}) with {value!r}; give a value of that kind.",
        {"column": name, "kind": _word(kind), "value": value},
    )


def _word(kind: dt.DataType) -> str:
    words: Sequence[tuple[bool, str]] = (
        (kind.is_boolean(), "true or false"),
        (kind.is_numeric(), "number"),
        (kind.is_date(), "date"),
        (kind.is_timestamp(), "timestamp"),
    )
    return next((word for fits, word in words if fits), "text")
