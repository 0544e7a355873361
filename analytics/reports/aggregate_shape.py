"""What becomes of the groups of `aggregate` before they are shown: kept or not, sorted, turned into columns."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import pandas as pd
import pyarrow as pa

from analytics import errors
from analytics.catalogue import aggregate, columns, filters
from analytics.reports import aggregate_periods, cells

MAX_PIVOTED = 200
NONE = "(none)"
_COMPARE: Mapping[filters.Op, Callable[[Any, Any], Any]] = {
    filters.Op.EQ: operator.eq,
    filters.Op.LT: operator.lt,
    filters.Op.LE: operator.le,
    filters.Op.GT: operator.gt,
    filters.Op.GE: operator.ge,
}


@dataclass(frozen=True, slots=True)
class Shown:
    """The rows of the answer, and what their columns are."""

    columns: tuple[columns.Column, ...]
    rows: pd.DataFrame


def shape(found: pd.DataFrame, described: tuple[columns.Column, ...], params: aggregate.AggregateParams) -> Shown:
    """Return the groups as they were asked for.

    Raises:
        errors.Refusal: a value of `having` cannot be compared, or `pivot` would make too many columns.
    """
    rows, left_out = found, found.iloc[:0]
    if params.having is not None and not rows.empty:
        kept = pd.Series([holds(params.having, row) for row in _records(rows)], index=rows.index)
        rows, left_out = rows[kept].reset_index(drop=True), rows[~kept]
    shown = Shown(described, _sorted(rows, params.sort))
    return shown if params.pivot is None else _pivoted(shown, params.pivot, params, left_out)


def _sorted(rows: pd.DataFrame, levels: Sequence[aggregate.Sort]) -> pd.DataFrame:
    """Sort by the levels; rows that are equal in all of them keep the order of the dimensions."""
    for level in reversed(levels):
        rows = rows.sort_values(level.by, ascending=not level.descending, kind="stable", na_position="last")
    return rows.reset_index(drop=True)


def holds(node: filters.Filter, row: Mapping[str, Any]) -> bool:
    """Tell whether a row of the answer passes a filter; an empty cell passes no comparison."""
    if node.and_ is not None:
        return all(holds(child, row) for child in node.and_)
    if node.or_ is not None:
        return any(holds(child, row) for child in node.or_)
    if node.not_ is not None:
        return not holds(node.not_, row)
    return _compares(str(node.column), filters.Op(str(node.op)), node.value, row)


def _compares(name: str, op: filters.Op, value: Any, row: Mapping[str, Any]) -> bool:
    cell = row[name]
    empty = cell is None or cell is pd.NA
    if op is filters.Op.IS_NULL:
        return bool(empty == value)
    if op is filters.Op.NE:
        return not _compares(name, filters.Op.EQ, value, row)
    if op is filters.Op.NOT_IN:
        return not _compares(name, filters.Op.IN, value, row)
    return not empty and _matches(name, op, value, cell)


def _matches(name: str, op: filters.Op, value: Any, cell: Any) -> bool:
    if op is filters.Op.IN:
        return any(cell == _like(name, cell, item) for item in value)
    if op is filters.Op.BETWEEN:
        low, high = (_like(name, cell, item) for item in value)
        return bool(low <= cell <= high)
    if op in filters.TEXT_OPS:
        if not isinstance(cell, str):
            raise _unsuitable(name, value)
        return value in cell if op is filters.Op.CONTAINS else cell.startswith(value)
    return bool(_COMPARE[op](cell, _like(name, cell, value)))


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [dict(zip(rows.columns, row, strict=True)) for row in rows.itertuples(index=False, name=None)]


def _like(name: str, cell: Any, value: Any) -> Any:
    """Return the value as something that can be compared with the cell."""
    try:
        if isinstance(cell, bool) or isinstance(value, bool):
            return value
        if isinstance(cell, int | float | Decimal):
            number = Decimal(str(value))
            return float(number) if isinstance(cell, float) else number
        if isinstance(cell, datetime):
            return datetime.fromisoformat(value)
        if isinstance(cell, date):
            return date.fromisoformat(value)
    except (InvalidOperation, ValueError, TypeError) as error:
        raise _unsuitable(name, value) from error
    if not isinstance(value, str):
        raise _unsuitable(name, value)
    return value


def _unsuitable(name: str, value: Any) -> errors.Refusal:
    return errors.Refusal("filter-type", f"'{name}' cannot be compared with {value!r}.", {"column": name})


def _pivoted(shown: Shown, pivot: str, params: aggregate.AggregateParams, left_out: pd.DataFrame) -> Shown:
    """Turn the values of one dimension into columns. Groups that were left out are empty cells, and not zeros."""
    rows = shown.rows
    labels = [measure.label for measure in params.measures]
    keys = [label for label in params.dimension_labels if label != pivot]
    timed = aggregate_periods.timed(params)
    # Whether a period is whole is said of each that has a row of its own.
    about = [aggregate.COMPLETE] if timed is not None and timed.label != pivot else []
    text = rows[pivot].map(_word).astype("string[pyarrow]") if len(rows) else rows[pivot]
    values = list(dict.fromkeys(text.sort_values(kind="stable").tolist()))
    if len(values) > MAX_PIVOTED:
        raise errors.Refusal(
            "too-many-cells", f"'{pivot}' has {len(values):,} values; at most {MAX_PIVOTED} become columns. Use `top`."
        )
    wide = rows[[*keys, *about]].drop_duplicates().reset_index(drop=True) if keys else pd.DataFrame(index=[0])
    described = [column for column in shown.columns if column.name in {*keys, *about}]
    taken = {*keys, *about}
    additive = {measure.label for measure in params.measures if measure.op in aggregate.ADDITIVE}
    hidden = left_out[pivot].map(_word)
    for value in values:
        part = rows[(text == value).to_numpy()]
        unfinished = ", not covered to its end" if _is_incomplete(part) and not about else ""
        is_left_out = _occurs(wide, left_out[(hidden == value).to_numpy(dtype=bool)], keys)
        for measure, column in zip(labels, (column for column in shown.columns if column.name in labels), strict=True):
            name = _free(value if len(labels) == 1 else f"{value} {measure}", taken)
            what = f"{column.description}; {pivot} = {value}{unfinished}"
            described.append(replace(column, name=name, description=what))
            wide = _with_column(wide, part, keys, measure, name)
            if measure in additive:
                wide[name] = _with_zeros(wide[name], described[-1], but_not=is_left_out)
    return Shown(tuple(described), wide)


def _is_incomplete(part: pd.DataFrame) -> bool:
    return aggregate.COMPLETE in part.columns and bool((part[aggregate.COMPLETE] == False).any())  # noqa: E712 - by element


def _word(value: Any) -> str:
    if value is None or value is pd.NA:
        return NONE
    return cells.money_text(value) if isinstance(value, Decimal) else str(value)


def _free(name: str, taken: set[str]) -> str:
    free, number = name, 2
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    taken.add(free)
    return free


def _with_column(wide: pd.DataFrame, part: pd.DataFrame, keys: list[str], measure: str, name: str) -> pd.DataFrame:
    column = part[[*keys, measure]].rename(columns={measure: name})
    if keys:
        return wide.merge(column, on=keys, how="left")
    return wide.assign(**{name: column[name].to_numpy()[:1] if len(column) else None}).astype(
        {name: column[name].dtype}
    )


def _occurs(wide: pd.DataFrame, groups: pd.DataFrame, keys: list[str]) -> "pd.Series[bool]":
    """Tell of each row whether one of the groups is its."""
    if not keys:
        return pd.Series(len(groups) > 0, index=wide.index)
    found = wide[keys].merge(groups[keys].drop_duplicates(), on=keys, how="left", indicator=True)["_merge"]
    return (found == "both").set_axis(wide.index)


def _with_zeros(values: "pd.Series[Any]", column: columns.Column, *, but_not: "pd.Series[bool]") -> "pd.Series[Any]":
    """Where a combination does not occur, what is counted or summed is zero; a mean of nothing is nothing."""
    zero = pa.scalar(0, pa.int64()).cast(cells.ARROW_TYPES[column.type]).as_py()
    return values.where(values.notna() | but_not, zero)
