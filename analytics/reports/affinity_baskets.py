"""Gathers order lines into baskets: the engine sorts lines as numbers, in which a basket's items follow each other."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import ibis
import numpy as np
import pyarrow as pa
from ibis.expr import datatypes as dt
from ibis.expr import types as ir

from analytics.stats import itemsets

# So many lines are taken from the engine at a time, and so many are looked at in one step.
_AT_ONCE, _STEP = 16_000_000, 2_000_000
# Bits of a number that stands for a line: its basket above, its item below.
_BITS = 64


@ibis.udf.scalar.builtin(name="hash", signature=((dt.string,), dt.uint64))
def _hash(text):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - the signature is given above
    """Name DuckDB's function from a text to 64 bits."""


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """Baskets of lines.

    Attributes:
        names: the items, in order; a code is a place among them.
        lines: how many there were.
    """

    names: pa.StringArray
    parts: tuple[itemsets.Part, ...]
    lines: int

    @property
    def baskets(self) -> int:
        return sum(len(part.lengths) for part in self.parts)


def gather(lines: ir.Table, count: int) -> Gathered:
    """Return the baskets of at most `count` lines with the columns `item` and `basket`, both text.

    A basket is known by a hash of its name. Where there are as many hashes as names, no two baskets share one; where
    there are not, which with so many bits next to never happens, names are numbered instead, for a second sort.
    """
    names = lines.select("item").distinct().order_by("item").to_pyarrow()["item"].combine_chunks().cast(pa.string())
    below = max(1, (len(names) - 1).bit_length())
    there = lines.basket.nunique().to_pyarrow().as_py()
    number = _hash(lines.basket) % _unsigned(1 << (_BITS - below))
    hashed = _gathered(lines.mutate(number=number), names, below, times=count // _AT_ONCE + 1)
    if hashed.baskets == there:
        return hashed
    distinct = lines.select(named="basket").distinct().mutate(number=ibis.row_number().cast("uint64"))
    numbered = lines.join(distinct, lines.basket == distinct.named)
    return _gathered(numbered, names, below, times=count // _AT_ONCE + 1)


def _unsigned(number: int) -> ir.IntegerScalar:
    return ibis.literal(number, type="uint64")


def _gathered(numbered: ir.Table, names: pa.StringArray, below: int, *, times: int) -> Gathered:
    codes = ibis.memtable(pa.table({"name": names, "code": np.arange(len(names), dtype=np.uint64)}))
    coded = numbered.join(codes, numbered.item == codes.name)
    parts, lines = [], 0
    for time in range(times):
        some = coded if times == 1 else coded.filter(coded.number % _unsigned(times) == _unsigned(time))
        keys = some.select(key=some.number * _unsigned(1 << below) + some.code).order_by("key").to_pyarrow()["key"]
        lines += len(keys)
        parts += [itemsets.Part.of(step, below) for step in _whole(keys.chunks, below)]
    return Gathered(names, tuple(parts), lines)


def _whole(chunks: Iterable[pa.UInt64Array], below: int) -> Iterator[itemsets.Keys]:
    """Yield rising keys, some at a time, so that no basket is in two parts."""
    pending: list[itemsets.Keys] = []
    size = 0
    for chunk in chunks:
        pending.append(chunk.to_numpy())
        size += len(chunk)
        if size >= _STEP:
            together = np.concatenate(pending)
            border = int(np.searchsorted(together, together[-1] >> below << below))
            if border:
                yield together[:border]
            pending, size = [together[border:]], len(together) - border
    if size:
        yield np.concatenate(pending)
