"""Frequent sets of items in baskets: pairs counted in one table, longer sets by depth-first search on flat arrays."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Keys = npt.NDArray[np.uint64]
Itemset = tuple[int, ...]

# Positions looked at in one step: what bounds the memory of counting, whatever the baskets.
_STEP = 4_000_000
# Pairs of so many frequent items are counted in one table with a place for each pair.
_TABLED = 2_000


class TooManyItemsetsError(Exception):
    """More sets are frequent than were allowed."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some of the baskets: how many distinct items each has, and their codes, rising within each."""

    lengths: Codes
    codes: Codes

    @classmethod
    def of(cls, keys: Keys, below: int) -> "Part":
        """Make a part of rising numbers: the basket, and in the `below` lowest bits an item, which may be there twice."""
        named = keys[_differs(keys)]
        starts = np.flatnonzero(_differs(named >> np.uint64(below)))
        codes = (named & np.uint64((1 << below) - 1)).astype(np.int32)
        return cls(np.diff(starts, append=len(named)).astype(np.int32), codes)


def _differs(numbers: Keys) -> npt.NDArray[np.bool_]:
    """Tell which numbers are not the same as the one before."""
    differs = np.ones(len(numbers), dtype=np.bool_)
    np.not_equal(numbers[1:], numbers[:-1], out=differs[1:])
    return differs


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Frequent sets of two: their codes, the lesser first, and the number of baskets each is in."""

    first: Ints
    second: Ints
    counts: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Frequent:
    """Frequent sets with the number of baskets each is in; the codes of a set rise.

    Attributes:
        supports: the baskets of every item.
        single: the items that are frequent.
        longer: the sets of three and more.
    """

    baskets: int
    supports: Ints
    single: Ints
    pairs: Pairs
    longer: dict[Itemset, int]

    @property
    def count(self) -> int:
        return len(self.single) + len(self.pairs.counts) + len(self.longer)

    def sets(self) -> dict[Itemset, int]:
        """Return all of them by what is in them."""
        pairs = (each.tolist() for each in (self.pairs.first, self.pairs.second, self.pairs.counts))
        return {
            **{(code,): int(self.supports[code]) for code in self.single.tolist()},
            **{(first, second): count for first, second, count in zip(*pairs, strict=True)},
            **self.longer,
        }


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
    single = np.flatnonzero(supports >= min_count)
    _bound(len(single), limit)
    longer: dict[Itemset, int] = {}
    if max_length == 2 and len(single) <= _TABLED:
        pairs = _counted_pairs(parts, single, items, min_count)
    else:
        pairs = _searched(
            parts, supports, longer, min_count=min_count, max_length=max_length, limit=limit - len(single)
        )
    found = Frequent(sum(len(part.lengths) for part in parts), supports, single, pairs, longer)
    _bound(found.count, limit)
    return found


def _bound(count: int, limit: int) -> None:
    if count > limit:
        raise TooManyItemsetsError


def _counted_pairs(parts: Sequence[Part], single: Ints, items: int, min_count: int) -> Pairs:
    """Count every pair of frequent items in a table of all such pairs."""
    width = len(single)
    place_of = np.full(items, -1, dtype=np.int32)
    place_of[single] = np.arange(width, dtype=np.int32)
    counts = np.zeros(width * width, dtype=np.int64)
    for part in parts:
        places, sizes = _kept(part, place_of)
        for pairs in _together(places, sizes, width):
            counts += np.bincount(pairs, minlength=width * width)
    found = np.flatnonzero(counts >= min_count)
    return Pairs(single[found // max(width, 1)], single[found % max(width, 1)], counts[found])


def _kept(part: Part, place_of: Codes) -> tuple[Codes, Ints]:
    """Return the places of the frequent items of baskets with at least two, and how many each basket has."""
    baskets = np.repeat(np.arange(len(part.lengths)), part.lengths)
    found = place_of[part.codes]
    kept = found >= 0
    sizes = np.bincount(baskets[kept], minlength=len(part.lengths))
    kept &= sizes[baskets] > 1
    return found[kept], sizes[sizes > 1]


def _together(places: Codes, sizes: Ints, width: int) -> Iterator[Ints]:
    """Yield the numbers of all pairs: each position with the next in its basket, with the one after it, and so on."""
    pending, waiting = [], 0
    left = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(places)) - 1
    at, distance = np.flatnonzero(left > 0), 1
    while len(at):
        pending.append(places[at].astype(np.int64) * width + places[at + distance])
        waiting += len(at)
        distance += 1
        at = at[left[at] >= distance]
        if waiting >= _STEP or not len(at):
            yield np.concatenate(pending)
            pending, waiting = [], 0


def _searched(  # noqa: PLR0913 - the question, and where to put what is longer than a pair
    parts: Sequence[Part], supports: Ints, longer: dict[Itemset, int], *, min_count: int, max_length: int, limit: int
) -> Pairs:
    """Search depth first; return the pairs, and put longer sets where they belong."""
    order = np.lexsort((np.arange(len(supports)), supports))
    order = order[supports[order] >= min_count]
    rank_of = np.full(len(supports), -1, dtype=np.int32)
    rank_of[order] = np.arange(len(order), dtype=np.int32)
    rows = _rows(parts, rank_of)
    pairs: list[tuple[int, int, int]] = []
    for itemset, count in _extensions(rows, len(order), min_count=min_count, max_length=max_length):
        codes = tuple(sorted(int(order[rank]) for rank in itemset))
        if len(codes) == 2:
            pairs.append((*codes, count))
        else:
            longer[codes] = count
        _bound(len(pairs) + len(longer), limit)
    return Pairs(*np.array(pairs, dtype=np.int64).reshape(-1, 3).T)


def _rows(parts: Sequence[Part], rank_of: Codes) -> _Rows:
    """Put the frequent items of all baskets with at least two of them behind each other."""
    ranks, lengths = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
    width = max(int(rank_of.max(initial=-1)) + 1, 1)
    for part in parts:
        found, sizes = _kept(part, rank_of)
        named = np.sort(np.repeat(np.arange(len(sizes)), sizes) * width + found)
        ranks.append((named % width).astype(np.int32))
        lengths.append(sizes)
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
