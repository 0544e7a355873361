"""Which rows of a table filters let through: every column is taken apart once, however many filters ask about it."""

import functools
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics.catalogue import row_filters
from analytics.catalogue.columns import ColumnType
from analytics.catalogue.filters import Filter, Op

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Column:
    """A column: what is in it, each once, and of every row the place in that list."""

    cells: list[Any]
    places: npt.NDArray[np.integer[Any]]


@dataclass(slots=True)
class Rows:
    """Some rows of a result, and of which types their columns are."""

    table: pa.Table
    kinds: Mapping[str, ColumnType]
    zone: str
    _columns: dict[str, _Column] = field(default_factory=dict)

    def mask(self, node: Filter) -> Mask:
        """Return for every row whether a filter lets it through; the filter must suit the columns."""
        if node.and_ is not None:
            return functools.reduce(np.logical_and, (self.mask(child) for child in node.and_))
        if node.or_ is not None:
            return functools.reduce(np.logical_or, (self.mask(child) for child in node.or_))
        if node.not_ is not None:
            return ~self.mask(node.not_)
        name = str(node.column)
        holds = _test(Op(str(node.op)), row_filters.wanted(node, self.kinds[name], zone=self.zone))
        column = self._column(name)
        held: Mask = np.fromiter((holds(cell) for cell in column.cells), np.bool_, len(column.cells))
        passing: Mask = held[column.places]
        return passing

    def _column(self, name: str) -> _Column:
        if name not in self._columns:
            self._columns[name] = _taken_apart(self.table[name])
        return self._columns[name]


def _taken_apart(column: pa.ChunkedArray) -> _Column:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    encoded = column.combine_chunks().dictionary_encode()
    cells = [_comparable(cell) for cell in encoded.dictionary.to_pylist()]
    places = encoded.indices.fill_null(len(cells)).to_numpy(zero_copy_only=False)
    return _Column([*cells, None], places)


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
