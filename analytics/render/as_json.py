"""A result as JSON or as NDJSON, in pieces that follow one another."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from analytics.render import cells

_BEFORE_ROWS = ("type", "version", "columns")
_AFTER_ROWS = ("row_count", "summary", "charts", "warnings", "dropped", "invariants", "manifest")
# What JSON does not allow inside a string as it is.
_SPECIAL = r'["\\\x00-\x1f\x7f]'


def start(header: Mapping[str, Any]) -> bytes:
    """Open the object, up to the bracket of its rows."""
    known = {name: header.get(name) for name in _BEFORE_ROWS}
    return (_dump(known)[:-1] + ',"rows":[').encode()


def chunk(rows: pa.Table, *, is_first: bool) -> bytes:
    """Return rows as arrays in the order of the columns."""
    if not rows.num_rows:
        return b""
    joined = _rows([_json_cells(column) for column in rows.columns])
    return (("\n" if is_first else ",\n") + ",\n".join(joined)).encode()


def end(header: Mapping[str, Any]) -> bytes:
    """Close the rows and the object."""
    known = {name: header.get(name) for name in _AFTER_ROWS}
    return ("]," + _dump(known)[1:] + "\n").encode()


def lines(rows: pa.Table) -> bytes:
    """Return rows as NDJSON: one object per line."""
    if not rows.num_rows:
        return b""
    named = [
        pc.binary_join_element_wise(_dump(name) + ":", _json_cells(column), "")
        for name, column in zip(rows.column_names, rows.columns, strict=True)
    ]
    objects = pc.binary_join_element_wise("{", pc.binary_join_element_wise(*named, ","), "}", "")
    return ("\n".join(objects.to_pylist()) + "\n").encode()


def _rows(columns: Sequence[pa.Array]) -> list[str]:
    inner = pc.binary_join_element_wise(*columns, ",")
    rows: list[str] = pc.binary_join_element_wise("[", inner, "]", "").to_pylist()
    return rows


def _json_cells(column: pa.ChunkedArray) -> pa.Array:
    """Return each cell as JSON text, `null` where there is none."""
    kind = column.type
    text = cells.plain(column)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        text = _escape(text)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        text = pc.binary_join_element_wise('"', text, '"', "")
    return pc.fill_null(text, "null")


def _escape(text: pa.Array) -> pa.Array:
    special = pc.fill_null(pc.match_substring_regex(text, _SPECIAL), False)
    if not pc.any(special).as_py():
        return text
    words = [json.dumps(value, ensure_ascii=False)[1:-1] for value in text.filter(special).to_pylist()]
    return pc.replace_with_mask(text, special, pa.array(words, text.type))


def _dump(value: Any) -> str:
    return json.dumps(finite(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def finite(value: Any) -> Any:
    """Return the value with null for every number that is not finite, however deep."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
