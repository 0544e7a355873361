"""Cells such as `="00123"`: the formula by which files keep Excel from reading the digits of a text as a number."""

import re
from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from analytics.datasets import batches, cells

START = '="'
# A quote within is written twice; a formula that computes anything, such as ="a"&"b", is none of these.
WHOLE = r'^\s*="((?:[^"]|"")*)"\s*$'


def may_be_in(data: bytes) -> bool:
    """Tell whether such a cell may be in some text. One letter is found sooner than two of which the second is everywhere."""
    return b"=" in data and START.encode() in data


def value(cell: str) -> str:
    """Return the text that one cell stands for."""
    found = re.match(WHOLE, cell)
    return found[1].replace('""', '"') if found else cell


def read(rows: pa.Table, null_words: Collection[str]) -> pa.Table:
    """Return the rows with the text that such cells stand for; columns that have them are without dictionaries then."""
    words = pa.array(sorted(null_words), pa.string())
    for position, name in enumerate(rows.column_names):
        if name != batches.LINE and _may_have_any(rows[name]):
            rows = rows.set_column(position, name, _read_column(rows[name], words))
    return rows


def _may_have_any(column: pa.ChunkedArray) -> bool:
    texts = (chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk for chunk in column.chunks)
    return any(pc.any(pc.match_substring(text, START)).as_py() for text in texts)


def _read_column(column: pa.ChunkedArray, null_words: pa.Array) -> pa.Array:
    text = pa.concat_arrays([chunk.cast(pa.string()) for chunk in column.chunks])
    is_formula = pc.fill_null(pc.match_substring_regex(text, WHOLE), fill_value=False)
    inside = pc.replace_substring_regex(text.filter(is_formula), WHOLE, r"\1")
    values = cells.without_null_words(pc.replace_substring(inside, '""', '"'), null_words)
    return pc.replace_with_mask(text, is_formula, values)
