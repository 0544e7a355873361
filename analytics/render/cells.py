"""Cells as text, whole columns at a time: exact decimals, RFC 3339 times, no number that is not one."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_SCALE_SHOWN = 2


def plain(values: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return each value as the text that both JSON and CSV show; null where there is none.

    Text stays as it is; decimals keep every digit that says something, and at least two places where they have
    places at all; numbers that are not finite become null.
    """
    column = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    kind = column.type
    if pa.types.is_decimal(kind):
        return _decimals(column)
    if pa.types.is_timestamp(kind):
        return _timestamps(column)
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, kind))
    return column.cast(pa.string())


def values(column: pa.ChunkedArray) -> list[Any]:
    """Return each cell as the JSON value it is in an answer."""
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind):
        found: list[Any] = column.to_pylist()
    elif pa.types.is_floating(kind):
        found = [value if value is not None and value - value == 0 else None for value in column.to_pylist()]
    else:
        found = plain(column).to_pylist()
    return found


def _decimals(column: pa.Array) -> pa.Array:
    text, scale = column.cast(pa.string()), column.type.scale
    if scale <= 0:
        return text
    # Arrow prints what is smaller than a millionth with an exponent, zero included.
    small = pc.fill_null(pc.match_substring(text, "E"), False)
    if pc.any(small).as_py():
        words = [f"{value:.{scale}f}" for value in column.filter(small).to_pylist()]
        text = pc.replace_with_mask(text, small, pa.array(words, pa.string()))
    if scale <= _SCALE_SHOWN:
        return text
    kept = pc.utf8_slice_codeunits(text, 0, -(scale - _SCALE_SHOWN))
    rest = pc.utf8_rtrim(pc.utf8_slice_codeunits(text, -(scale - _SCALE_SHOWN)), "0")
    return pc.binary_join_element_wise(kept, rest, "")


def _timestamps(column: pa.Array) -> pa.Array:
    utc = column.cast(pa.timestamp("us", "UTC"))
    text = pc.replace_substring(pc.strftime(utc, format="%Y-%m-%dT%H:%M:%S"), ".000000", "")
    return pc.binary_join_element_wise(text, "Z", "")
