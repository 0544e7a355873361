"""Headers that stand among the rows once more, as where files were joined end to end or a report repeats them on each page."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analytics.datasets import batches, cells

CODE = "repeated-header"
AROUND = " \t\r\n\f\v\u00a0\u202f\u200b\ufeff"


def may_be_repeated(headers: Sequence[str]) -> bool:
    """Tell whether a row like these would be headers again: where they are figures alone, the file has rows only."""
    return any(map(str.isalpha, "".join(headers)))


def take_out(rows: pa.Table, headers: Sequence[str], null_words: frozenset[str]) -> tuple[pa.Table, pa.Table]:
    """Rows that differ from the headers in some cell, and rejects for those that differ in none."""
    places = _places(rows, headers, null_words)
    if not places.size:
        return rows, batches.REJECTS.empty_table()
    kept = np.ones(rows.num_rows, dtype=bool)
    kept[places] = False
    lines = rows[batches.LINE].take(pa.array(places))
    # All of them are one and the same record, so even millions are no work.
    same = cells.reject(0, CODE, None, row=cells.record(headers))
    columns = {
        name: pa.repeat(pa.scalar(value, pa.string()), len(lines)) for name, value in same.items() if name != "line"
    }
    return rows.filter(pa.array(kept)), pa.table({"line": lines, **columns}, schema=batches.REJECTS)


def _places(rows: pa.Table, headers: Sequence[str], null_words: frozenset[str]) -> np.ndarray:
    """Which rows they are."""
    said = {
        name: "" if header in null_words else header.strip(AROUND)
        for name, header in zip(rows.column_names[1:], headers, strict=True)
    }
    # Long headers come first, as they are the least likely among values: nearly always the first one settles it.
    telling = sorted(filter(said.get, said), key=lambda name: -len(said[name]))
    if not telling or not may_be_repeated(headers):
        return np.zeros(0, dtype=np.int64)
    places = np.flatnonzero(_containing(rows[telling[0]], said[telling[0]]))
    for name in (*telling, *(name for name in said if not said[name])):
        if not places.size:
            break
        places = places[_equal(rows[name].take(pa.array(places)), said[name])]
    return places


def _containing(column: pa.ChunkedArray, text: str) -> np.ndarray:
    """Which values have the text somewhere."""
    found = [_containing_of(chunk, text) for chunk in column.chunks]
    return np.concatenate(found) if found else np.zeros(0, dtype=bool)


def _containing_of(values: pa.Array, text: str) -> np.ndarray:
    if not pa.types.is_dictionary(values.type):
        return _as_numpy(pc.match_substring(values, text))
    distinct = pc.match_substring(values.dictionary, text)
    if not pc.any(distinct).as_py():
        return np.zeros(len(values), dtype=bool)
    return _as_numpy(pc.take(distinct, values.indices))


def _equal(column: pa.ChunkedArray, text: str) -> np.ndarray:
    values = pc.fill_null(column.cast(pa.string()), "")
    return _as_numpy(pc.equal(pc.utf8_trim(values, AROUND), text))


def _as_numpy(found: pa.Array | pa.ChunkedArray) -> np.ndarray:
    return np.asarray(pc.fill_null(found, fill_value=False).to_numpy(zero_copy_only=False), dtype=bool)
