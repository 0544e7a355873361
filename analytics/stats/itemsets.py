"""Frequent sets of items in baskets, by depth-first search with conditional counting on flat arrays."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Itemset = tuple[int, ...]

# Positions looked at in one step: what bounds the memory of counting, whatever the baskets.
_STEP = 4_000_000


class TooManyItemsetsError(Exception):
    """More sets are frequent than were allowed."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some of the baskets: how many distinct items each has, and their codes, rising within each."""

    lengths: Ints
    codes: Codes

    @classmethod
    def of(cls, lengths: Ints, codes: Codes, items: int) -> "Part":
        """Make a part of baskets in which an item may be named twice."""
        baskets = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
        # Sorting is several times as fast as numpy's own search for distinct numbers.
        named = np.sort(baskets * items + codes)
        named = named[np.diff(named, prepend=-1) > 0]
        return cls(np.bincount(named // items, minlength=len(lengths)), (named % items).astype(np.int32))


@dataclass(frozen=True, slots=True, eq=False)
class Frequent:
    """Frequent sets with the number of baskets each is in; the codes of a set rise."""

    baskets: int
    supports: Ints
    sets: dict[Itemset, int]


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """All baskets in one array: frequent items by rank, rarest first; `ends` is where a position's basket ends."""

    ranks: Codes
    ends: Ints


def frequent(parts: Sequence[Part], items: int, *, min_count: int, max_length: int, limit: int) -> Frequent:
    """Return every set of at most `max_length` items that is in at least `min_count` baskets.

    Raises:
        TooManyItemsetsError: there are more than `limit`.
    """
    supports = np.zeros(items, dtype=np.int64)
    for part in parts:
        supports += np.bincount(part.codes, minlength=items)
    order = np.lexsort((np.arange(items), supports))
    order = order[supports[order] >= min_count]
    sets: dict[Itemset, int] = {(int(code),): int(supports[code]) for code in np.sort(order)}
    _bound(sets, limit)
    rank_of = np.full(items, -1, dtype=np.int32)
    rank_of[order] = np.arange(len(order), dtype=np.int32)
    rows = _rows(parts, rank_of)
    for itemset, count in _extensions(rows, len(order), min_count=min_count, max_length=max_length):
        sets[tuple(sorted(int(order[rank]) for rank in itemset))] = count
        _bound(sets, limit)
    return Frequent(sum(len(part.lengths) for part in parts), supports, sets)


def _bound(sets: dict[Itemset, int], limit: int) -> None:
    if len(sets) > limit:
        raise TooManyItemsetsError


def _rows(parts: Sequence[Part], rank_of: Codes) -> _Rows:
    """Put the frequent items of all baskets with at least two of them behind each other."""
    ranks, lengths = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
    width = max(int(rank_of.max(initial=-1)) + 1, 1)
    for part in parts:
        baskets = np.repeat(np.arange(len(part.lengths), dtype=np.int64), part.lengths)
        found = rank_of[part.codes]
        kept = found >= 0
        sizes = np.bincount(baskets[kept], minlength=len(part.lengths))
        kept &= sizes[baskets] > 1
        named = np.sort(baskets[kept] * width + found[kept])
        ranks.append((named % width).astype(np.int32))
        lengths.append(sizes[sizes > 1])
    sizes = np.concatenate(lengths)
    return _Rows(np.concatenate(ranks), np.repeat(np.cumsum(sizes), sizes))


def _extensions(rows: _Rows, width: int, *, min_count: int, max_length: int) -> Iterator[tuple[Itemset, int]]:
    """Yield frequent sets of two and more items, by rank.

    A set is known by where its last item stands in each of its baskets; it is extended by what stands behind.
    """
    by_rank = np.argsort(rows.ranks, kind="stable")
    borders = np.searchsorted(rows.ranks[by_rank], np.arange(width + 1))
    for rank in range(width):
        pending: list[tuple[Itemset, Ints]] = [((rank,), by_rank[borders[rank] : borders[rank + 1]])]
        while pending:
            prefix, places = pending.pop()
            counts = np.zeros(width, dtype=np.int64)
            for behind in _behind(rows, places):
                counts += np.bincount(rows.ranks[behind], minlength=width)
            found = np.flatnonzero(counts >= min_count)
            for item in found:
                yield (*prefix, int(item)), int(counts[item])
            if len(prefix) + 1 < max_length and len(found):
                pending.extend(_children(rows, prefix, places, counts >= min_count))


def _behind(rows: _Rows, places: Ints) -> Iterator[Ints]:
    """Yield the positions behind the given ones in their baskets, some at a time."""
    left = rows.ends[places] - places - 1
    places, left = places[left > 0], left[left > 0]
    total = np.cumsum(left)
    begin = 0
    while begin < len(places):
        before = int(total[begin - 1]) if begin else 0
        stop = max(int(np.searchsorted(total, before + _STEP, side="right")), begin + 1)
        some = left[begin:stop]
        offsets = np.cumsum(some) - some
        yield np.repeat(places[begin:stop] + 1 - offsets, some) + np.arange(int(some.sum()), dtype=np.int64)
        begin = stop


def _children(
    rows: _Rows, prefix: Itemset, places: Ints, wanted: npt.NDArray[np.bool_]
) -> Iterable[tuple[Itemset, Ints]]:
    """Return the frequent extensions of a prefix with where their last items stand."""
    behind = np.concatenate([some[wanted[rows.ranks[some]]] for some in _behind(rows, places)])
    ranks = rows.ranks[behind]
    order = np.argsort(ranks, kind="stable")
    found, borders = np.unique(ranks[order], return_index=True)
    return [
        ((*prefix, int(rank)), some) for rank, some in zip(found, np.split(behind[order], borders[1:]), strict=True)
    ]
