"""Builds the columns and cells of a result: exact money, numbers from Arrow, names for the columns of `segment_by`."""

import dataclasses
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any

import pandas as pd
import pyarrow as pa

from analytics.catalogue import columns, parameters

# Wide enough for every sum, and one type whatever the facts were, so that equal numbers are equal bytes.
MONEY = pa.decimal128(38, 8)
# Arrow gives a difference one digit more than its terms have, so money that is calculated with needs the wider kind.
ROOMY = pa.decimal256(38, 8)
_PLACES = Decimal("0.00000001")

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
        columns.Column(
            f"by_{name}" if name in taken else name, columns.ColumnType.TEXT, f"Segmented by {name}", key=True
        )
        for name in params.segment_by
    )
    return in_currency + segments


def frame(found: pa.Table, *, money: pa.DataType = MONEY) -> pd.DataFrame:
    """Return what the engine found as a frame of Arrow columns, so that dates stay dates and money stays exact."""
    schema = pa.schema([field.with_type(money) if pa.types.is_decimal(field.type) else field for field in found.schema])
    typed: pd.DataFrame = found.cast(schema).to_pandas(types_mapper=pd.ArrowDtype)
    return typed


def arrow(values: Sequence[Any], kind: pa.DataType) -> "pd.Series[Any]":
    """Return a column of one Arrow type from Python values."""
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(values, type=kind)))


def table(described: Sequence[columns.Column], rows: pd.DataFrame) -> pa.Table:
    """Return the rows with exactly the described columns."""
    schema = pa.schema([(column.name, ARROW_TYPES[column.type]) for column in described])
    found = pa.Table.from_pandas(rows[schema.names], preserve_index=False)
    return pa.table([found[field.name].cast(field.type).combine_chunks() for field in schema], schema=schema)


def money_text(amount: Decimal) -> str:
    """Print money exactly: trailing zeros trimmed, at least two decimals."""
    whole, _, fraction = f"{amount:f}".partition(".")
    text = f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def total(amounts: "pd.Series[Any]") -> Decimal:
    """Sum exact money; nothing sums to zero."""
    return Decimal(amounts.sum())


def share(part: Decimal | int, whole: Decimal | int) -> float | None:
    """Return part of whole as a ratio, or None where there is no whole."""
    return None if not whole else float(Decimal(part) / Decimal(whole))


def shares(parts: "pd.Series[Any]", wholes: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return each part of its whole as a ratio; null where a side is, or where there is no whole.

    Python divides, because Arrow's step from a decimal to a float may miss the nearest one.
    """
    pairs = zip(parts.tolist(), wholes.tolist(), strict=True)
    ratios = [None if part is pd.NA or whole is pd.NA else share(part, whole) for part, whole in pairs]
    return arrow(ratios, pa.float64()).set_axis(parts.index)


def mean(amount: Decimal, count: int) -> Decimal | None:
    """Return the mean to eight places, rounded half to even; None of nothing."""
    with localcontext(prec=50):
        return (amount / count).quantize(_PLACES, rounding=ROUND_HALF_EVEN) if count else None


def means(amounts: "pd.Series[Any]", counts: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return the mean of each row, as `mean` does: Arrow would cut the quotient off instead of rounding it."""
    pairs = zip(amounts.tolist(), counts.tolist(), strict=True)
    return arrow([mean(amount, int(count)) for amount, count in pairs], MONEY).set_axis(amounts.index)
