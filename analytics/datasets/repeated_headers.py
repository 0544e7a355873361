"""Headers that stand among the rows once more, as where files were joined end to end or a report repeats them on each page."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analytics.datasets import batches, cells

CODE = "repeated-header"
AROUND = " \t\r\n\f\v\u00a0\u202f\u200b\ufeff"


def take_out(
    rows: pa.Table, headers: Sequence[str], null_words: frozenset[str]
) -> tuple[pa.Table, list[dict[str, object]]]:
    """Rows that differ from the headers in some cell, and rejects for those that differ in none."""
    said = {
        name: "" if header in null_words else header.strip(AROUND)
        for name, header in zip(rows.column_names[1:], headers, strict=True)
    }
    # Long headers come first, as they are the least likely among values: nearly always the first one settles it.
    telling = sorted(filter(said.get, said), key=lambda name: -len(said[name]))
    if not telling or not (found := _containing(rows[telling[0]], said[telling[0]])).any():
        return rows, []
    places = np.flatnonzero(found)
    for name in (*telling, *(name for name in said if not said[name])):
        places = places[_equal(rows[name].take(pa.array(places)), said[name])]
        if not places.size:
            return rows, []
    rejects = []
    for row in rows.take(pa.array(places)).to_pylist():
        line = row.pop(batches.LINE)
        rejects.append(cells.reject(line, CODE, None, row=cells.record(row.values())))
    kept = np.ones(rows.num_rows, dtype=bool)
    kept[places] = False
    return rows.filter(pa.array(kept)), rejects


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
