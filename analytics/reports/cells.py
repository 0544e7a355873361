"""Builds the columns and cells of a result: exact money, numbers from Arrow, names for the columns of `segment_by`."""

import dataclasses
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analytics.catalogue import columns, parameters

# Wide enough for every sum, and one type whatever the facts were, so that equal numbers are equal bytes.
MONEY = pa.decimal128(38, 8)

ARROW_TYPES: Mapping[columns.ColumnType, pa.DataType] = {
    columns.ColumnType.TEXT: pa.string(),
    columns.ColumnType.INTEGER: pa.int64(),
    columns.ColumnType.DECIMAL: MONEY,
    columns.ColumnType.NUMBER: pa.float64(),
    columns.ColumnType.BOOLEAN: pa.bool_(),
    columns.ColumnType.DATE: pa.date32(),
    columns.ColumnType.TIMESTAMP: pa.timestamp("us", "UTC"),
}


def describe(
    declared: Sequence[columns.Column], params: parameters.ReportParams, *, currency: str
) -> tuple[columns.Column, ...]:
    """Return the columns of this result: money in its currency, and those of `segment_by` at the end.

    A `segment_by` column whose name the report already uses is called `by_<name>`.
    """
    taken = {column.name for column in declared}
    in_currency = tuple(
        dataclasses.replace(column, unit=currency) if column.unit == "currency" else column for column in declared
    )
    segments = tuple(
        columns.Column(f"by_{name}" if name in taken else name, columns.ColumnType.TEXT, f"Segmented by {name}")
        for name in params.segment_by
    )
    return in_currency + segments


def table(described: Sequence[columns.Column], values: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return the rows with exactly the described columns, from arrays by name or from row dictionaries."""
    schema = pa.schema([(column.name, ARROW_TYPES[column.type]) for column in described])
    if isinstance(values, Mapping):
        return pa.table([_cast(values[field.name], field.type) for field in schema], schema=schema)
    return pa.Table.from_pylist(list(values), schema=schema)


def _cast(values: Any, kind: pa.DataType) -> Any:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values if values.type == kind else values.cast(kind)
    return pa.array(values, type=kind)


def money_text(amount: Decimal) -> str:
    """Print money exactly: trailing zeros trimmed, at least two decimals."""
    whole, _, fraction = f"{amount:f}".partition(".")
    text = f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def total(amounts: pa.Array | pa.ChunkedArray) -> Decimal:
    """Sum exact money; nothing sums to zero."""
    return pc.sum(amounts).as_py() or Decimal(0)


def share(part: Decimal | int, whole: Decimal | int) -> float | None:
    """Return part of whole as a ratio, or None where there is no whole."""
    return None if not whole else float(Decimal(part) / Decimal(whole))


def ordinals(amounts: pa.Array | pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return integers that compare as the amounts do: the unscaled value where it fits 64 bits, else dense ranks."""
    whole = amounts.combine_chunks() if isinstance(amounts, pa.ChunkedArray) else amounts
    if not pa.types.is_decimal(whole.type):
        return np.asarray(whole.cast(pa.int64()))
    if len(whole) == 0:
        return np.empty(0, dtype=np.int64)
    halves = np.frombuffer(whole.buffers()[1], dtype=np.int64).reshape(-1, 2)[whole.offset : whole.offset + len(whole)]
    low, high = halves[:, 0], halves[:, 1]
    if bool((high == (low >> 63)).all()):
        return np.ascontiguousarray(low)
    return np.asarray(pc.rank(whole, tiebreaker="dense").cast(pa.int64()))
