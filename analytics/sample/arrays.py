"""From numpy arrays to Arrow arrays without a Python object per row."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# Money is counted in ten-thousandths, the scale of decimal(18,4), so that every sum is a sum of integers.
MONEY = pa.decimal128(18, 4)
MONEY_UNITS = 10_000
TIMESTAMP = pa.timestamp("us", tz="UTC")
SECONDS_PER_DAY = 86_400


def money(units: Ints) -> pa.Array:
    """Ten-thousandths as decimal(18,4): each is the low half of a 128-bit integer, its sign fills the high half."""
    halves = np.empty((len(units), 2), dtype="<i8")
    halves[:, 0] = units
    halves[:, 1] = units >> 63
    return pa.Array.from_buffers(MONEY, len(units), [None, pa.py_buffer(halves)])


def timestamps(seconds: Ints, *, known: Bools | None = None) -> pa.Array:
    return _masked(seconds * 1_000_000, known).view(TIMESTAMP)


def dates(days: Ints, *, known: Bools | None = None) -> pa.Array:
    return _masked(days.astype(np.int32), known).view(pa.date32())


def integers(values: Ints) -> pa.Array:
    return pa.array(values)


def texts(words: Sequence[str | None], index: Ints, *, known: Bools | None = None) -> pa.Array:
    """`words[index]` as text, null where not `known`."""
    return pa.array(words, type=pa.string()).take(_masked(index, known))


def constant(word: str, rows: int) -> pa.Array:
    return texts((word,), np.zeros(rows, dtype=np.int64))


def numbered(prefix: str, numbers: Ints, digits: int, *, known: Bools | None = None) -> pa.Array:
    """`prefix` and the number, filled with zeros to `digits`; null where not `known`."""
    head = np.frombuffer(prefix.encode("ascii"), dtype=np.uint8)
    width = len(head) + digits
    letters = np.empty((len(numbers), width), dtype=np.uint8)
    letters[:, : len(head)] = head
    rest = numbers.copy()
    for position in range(width - 1, len(head) - 1, -1):
        rest, digit = np.divmod(rest, 10)
        letters[:, position] = digit + ord("0")
    offsets = np.arange(len(numbers) + 1, dtype=np.int32) * np.int32(width)
    whole = pa.StringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(letters))
    if known is None:
        return whole
    return whole.take(_masked(np.arange(len(numbers)), known))


def positions_within(counts: Ints) -> Ints:
    """0, 1, 2 … anew for each group of `counts` rows."""
    starts = np.cumsum(counts) - counts
    positions: Ints = np.arange(int(counts.sum())) - np.repeat(starts, counts)
    return positions


def weighted_table(weights: Sequence[float], size: int = 4_096) -> Ints:
    """A table in which index i stands in proportion to `weights[i]`: drawing is then one uniform integer."""
    share = np.cumsum(np.asarray(weights, dtype=np.float64))
    middle = (np.arange(size) + 0.5) / size * share[-1]
    table: Ints = np.searchsorted(share, middle).astype(np.int64)
    return table


def draw(rng: np.random.Generator, table: Ints, rows: int) -> Ints:
    drawn: Ints = table[rng.integers(0, len(table), rows)]
    return drawn


def _masked(values: npt.NDArray[np.signedinteger], known: Bools | None) -> pa.Array:
    return pa.array(values) if known is None else pa.array(values, mask=~known)
