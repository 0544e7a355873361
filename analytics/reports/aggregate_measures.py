"""Measures of `aggregate` as expressions, and what their numbers become once they are out of the engine."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
from ibis.expr import datatypes as dt
from ibis.expr import types as ir

from analytics import errors
from analytics.catalogue import aggregate, columns
from analytics.catalogue.aggregate import MeasureOp
from analytics.catalogue.filters import Filter
from analytics.reports import aggregate_rows, cells, filters

_NUMERIC_OPS = frozenset({MeasureOp.SUM, MeasureOp.AVG, MeasureOp.MEDIAN, MeasureOp.PERCENTILE})
_NOT_A_NUMBER = "'{op}' needs numbers, and '{column}' is {kind}."


@dataclass(frozen=True, slots=True)
class Terms:
    """The names under which the engine gives the parts of a measure; only a mean and a ratio have two."""

    upper: str
    lower: str | None


def terms(position: int, measure: aggregate.Measure) -> Terms:
    divides = measure.op in {MeasureOp.AVG, MeasureOp.RATIO}
    return Terms(f"m{position}", f"d{position}" if divides else None)


def expressions(measures: tuple[aggregate.Measure, ...], rows: aggregate_rows.Rows, zone: str) -> dict[str, ir.Scalar]:
    """Return the aggregates to ask the engine for, by the names of `terms`.

    Raises:
        errors.Refusal: a measure does not suit its column.
    """
    found: dict[str, ir.Scalar] = {}
    for position, measure in enumerate(measures):
        named = terms(position, measure)
        upper, lower = _pair(measure, rows.table, zone)
        found[named.upper] = upper
        if named.lower is not None and lower is not None:
            found[named.lower] = lower
    return found


def _pair(measure: aggregate.Measure, table: ir.Table, zone: str) -> tuple[ir.Scalar, ir.Scalar | None]:
    if measure.numerator is not None and measure.denominator is not None:
        upper, lower = (
            _one(part.op, part.column, _where(part.where, table, zone), table)
            for part in (measure.numerator, measure.denominator)
        )
        return upper, lower
    where = _where(measure.where, table, zone)
    if measure.op is MeasureOp.AVG:
        return (
            _one(MeasureOp.SUM, measure.column, where, table),
            _one(MeasureOp.COUNT, measure.column, where, table),
        )
    return _one(measure.op, measure.column, where, table, p=measure.p), None


def _where(test: Filter | None, table: ir.Table, zone: str) -> ir.BooleanValue | None:
    if test is None:
        return None
    return filters.condition(test, {name: table[name] for name in test.columns()}, zone=zone)


def _one(
    op: MeasureOp, name: str | None, where: ir.BooleanValue | None, table: ir.Table, *, p: float | None = None
) -> ir.Scalar:
    if name is None:
        return table.count(where=where)
    column = table[name]
    if op in _NUMERIC_OPS:
        column = _as_number(op, name, column)
    ways: dict[MeasureOp, Callable[[], ir.Scalar]] = {
        MeasureOp.COUNT: lambda: column.count(where=where),
        MeasureOp.COUNT_DISTINCT: lambda: column.nunique(where=where),
        # Nothing adds up to nothing, and an exact one.
        MeasureOp.SUM: lambda: column.sum(where=where).fill_null(0),
        MeasureOp.MIN: lambda: column.min(where=where),
        MeasureOp.MAX: lambda: column.max(where=where),
        MeasureOp.MEDIAN: lambda: column.cast("float64").quantile(0.5, where=where),
        MeasureOp.PERCENTILE: lambda: column.cast("float64").quantile((p or 0) / 100, where=where),
    }
    return ways[op]()


def _as_number(op: MeasureOp, name: str, column: ir.Value) -> ir.NumericValue:
    kind = column.type()
    if kind.is_boolean():
        return column.cast("int64")
    if not kind.is_numeric():
        detail = _NOT_A_NUMBER.format(op=op.value, column=name, kind=_WORDS.get(type(kind), str(kind)))
        raise errors.Refusal("measure-type", detail, {"column": name, "op": op.value})
    return column


_WORDS = {dt.String: "text", dt.Date: "a date", dt.Timestamp: "a time"}


def finished(measures: tuple[aggregate.Measure, ...], found: pd.DataFrame) -> pd.DataFrame:
    """Return the measures under their names, one column each: exact means, ratios, and the others as they came."""
    done = {}
    for position, measure in enumerate(measures):
        named = terms(position, measure)
        upper = found[named.upper]
        if named.lower is None:
            done[measure.label] = upper
        elif measure.op is MeasureOp.RATIO:
            done[measure.label] = cells.shares(upper, found[named.lower])
        else:
            done[measure.label] = cells.means(upper.fillna(0), found[named.lower])
    return pd.DataFrame(done, index=found.index)


def described(measures: tuple[aggregate.Measure, ...], rows: aggregate_rows.Rows) -> Iterator[columns.Column]:
    """Yield the column of each measure: its type follows from what it is of."""
    for measure in measures:
        yield columns.Column(measure.label, _type(measure, rows.table), _sentence(measure), _unit(measure, rows))


def _type(measure: aggregate.Measure, table: ir.Table) -> columns.ColumnType:
    match measure.op:
        case MeasureOp.COUNT | MeasureOp.COUNT_DISTINCT:
            return columns.ColumnType.INTEGER
        case MeasureOp.MEDIAN | MeasureOp.PERCENTILE | MeasureOp.RATIO:
            return columns.ColumnType.NUMBER
        case MeasureOp.AVG:
            return columns.ColumnType.DECIMAL
        case MeasureOp.SUM | MeasureOp.MIN | MeasureOp.MAX:
            kind = table[measure.column].type()
            return columns.ColumnType.INTEGER if kind.is_boolean() else column_type(kind)


def column_type(kind: dt.DataType) -> columns.ColumnType:
    """Return what a column of the engine is in a result."""
    types = columns.ColumnType
    tests = (
        (types.BOOLEAN, kind.is_boolean()),
        (types.INTEGER, kind.is_integer()),
        (types.DECIMAL, kind.is_decimal()),
        (types.NUMBER, kind.is_floating()),
        (types.DATE, kind.is_date()),
        (types.TIMESTAMP, kind.is_timestamp()),
    )
    return next((name for name, holds in tests if holds), types.TEXT)


def _sentence(measure: aggregate.Measure) -> str:
    if measure.numerator is not None and measure.denominator is not None:
        return f"{_part(measure.numerator)} / {_part(measure.denominator)}"
    name = f"percentile {measure.p:g}" if measure.p is not None else measure.op.value.replace("_", " ")
    of = f" of {measure.column}" if measure.column is not None else " of rows"
    return f"{name.capitalize()}{of}{' where its condition holds' if measure.where is not None else ''}"


def _part(part: aggregate.Part) -> str:
    of = f" of {part.column}" if part.column is not None else " of rows"
    return f"{part.op.value.replace('_', ' ')}{of}{' where its condition holds' if part.where is not None else ''}"


def _unit(measure: aggregate.Measure, rows: aggregate_rows.Rows) -> str | None:
    if measure.op is MeasureOp.RATIO:
        return "ratio"
    if measure.op in {MeasureOp.COUNT, MeasureOp.COUNT_DISTINCT}:
        return "rows" if measure.column is None else None
    return rows.currency if measure.column in aggregate_rows.MONEY else None


def change(now: "pd.Series[Any]", then: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return (now - then) / |then| of each row; null where a side is, or where there was nothing."""
    pairs = zip(now.tolist(), then.tolist(), strict=True)
    ratios = [None if left is pd.NA or right is pd.NA else _change(left, right) for left, right in pairs]
    return cells.arrow(ratios, pa.float64()).set_axis(now.index)


def _change(now: Any, then: Any) -> float | None:
    if isinstance(now, float):
        return (now - then) / abs(then) if then else None
    return cells.share(now - then, abs(then))
