"""A few rows out of the middle of a result."""

from collections.abc import Iterable

import pyarrow as pa

from analytics.render import as_json, chunks


def as_json_arrays(pieces: Iterable[tuple[bytes, int, int]]) -> bytes:
    """Return rows as JSON arrays in the order of the columns, with commas between them.

    Args:
        pieces: stored chunks, with the first of their rows that is wanted, and how many are.
    """
    rows = pa.concat_tables(chunks.decode(data).slice(first, count) for data, first, count in pieces)
    return as_json.chunk(rows, is_first=True)
