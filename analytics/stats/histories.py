"""Purchase histories as models of repeat buying see them: coded, so that what costs much is computed once per value."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

# Whole numbers below this are coded by a table of what occurs, which is far quicker than sorting them.
_TABLE = 1 << 22


@dataclass(frozen=True, slots=True)
class Pairs:
    """The distinct pairs of x and a time, and where each row finds its own.

    Attributes:
        x: of each pair.
        time: of each pair.
        at: the place of every row's pair.
    """

    x: Floats
    time: Floats
    at: Places


@dataclass(frozen=True, slots=True)
class Histories:
    """Purchase histories, one per row: `x == xs[x_at]`, `recency == times[recency_at]`, `age == times[age_at]`.

    Attributes:
        xs: the distinct numbers of repeat purchases (in distinct periods, such as days).
        times: the distinct recencies and ages.
        x_at: the place of each row's x in `xs`.
        recency_at: the place of its time from the first purchase to the last; 0 without repeats.
        age_at: the place of its time from the first purchase to the end of observation.
        count: customers with this history.
    """

    xs: Floats
    times: Floats
    x_at: Places
    recency_at: Places
    age_at: Places
    count: Floats

    @classmethod
    def of(cls, x: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike) -> "Histories":
        """Code the histories of customers, one element of each array and one row per customer."""
        repeats = np.asarray(x, dtype=np.float64)
        whens = np.stack([np.asarray(recency, dtype=np.float64), np.asarray(age, dtype=np.float64)])
        if np.any(repeats < 0) or np.any(repeats % 1) or np.any(whens[0] < 0) or np.any(whens[0] > whens[1]):
            raise ValueError("a history has whole x >= 0 and 0 <= recency <= age")
        xs, x_at = coded(repeats)
        times, time_at = coded(whens.ravel())
        recency_at, age_at = time_at.reshape(whens.shape)
        return cls(xs, times, x_at, recency_at, age_at, np.ones(repeats.size))

    def distinct(self) -> "Histories":
        """Return each distinct history once, ordered by x, recency and age, with how many customers have it."""
        width = max(self.times.size, 1)
        keys = (self.x_at * width + self.recency_at) * width + self.age_at
        # Half as wide, whole numbers are sorted in half the time.
        narrow = self.xs.size * width * width < np.iinfo(np.int32).max
        keys = np.sort(keys.astype(np.int32) if narrow else keys).astype(np.int64)
        starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if keys.size else np.zeros(0, dtype=np.int64)
        rest, age_at = np.divmod(keys[starts], width)
        x_at, recency_at = np.divmod(rest, width)
        count = np.diff(np.append(starts, keys.size)).astype(np.float64)
        return Histories(self.xs, self.times, x_at, recency_at, age_at, count)

    def every(self, step: int, *, offset: int = 0) -> "Histories":
        """Return one row of `step`, each standing for as many; rows of as many customers or more stand for themselves.

        The few histories that very many customers share would say too much, or nothing, where one of them is drawn.
        """
        alone = self.count >= step
        drawn = np.flatnonzero(~alone)[offset::step]
        rows = np.sort(np.concatenate([np.flatnonzero(alone), drawn]))
        found = self.part(rows)
        return replace(found, count=np.where(alone[rows], found.count, found.count * step))

    def part(self, rows: "slice | Places | np.ndarray[tuple[int], np.dtype[np.bool_]]") -> "Histories":
        """Return some of the rows."""
        return Histories(
            self.xs, self.times, self.x_at[rows], self.recency_at[rows], self.age_at[rows], self.count[rows]
        )

    @property
    def x(self) -> Floats:
        return self.xs[self.x_at]

    @property
    def recency(self) -> Floats:
        return self.times[self.recency_at]

    @property
    def age(self) -> Floats:
        return self.times[self.age_at]

    @property
    def customers(self) -> float:
        return float(self.count.sum())

    def per_x(self) -> Floats:
        """Return how many customers have each of `xs`."""
        return _sums(self.x_at, self.count, self.xs.size)

    def per_age(self) -> tuple[Floats, Floats]:
        """Return for each of `times` how many customers are of that age, and their repeat purchases."""
        size = self.times.size
        return _sums(self.age_at, self.count, size), _sums(self.age_at, self.count * self.x, size)

    def by_age(self) -> Pairs:
        """Return the distinct pairs of x and age."""
        return self._pairs(self.x_at, self.age_at)

    def by_recency_and_age(self) -> tuple[Pairs, Places]:
        """Return the distinct pairs of x and a time, be it recency or age; each row's recency, and place of its age."""
        pairs = self._pairs(np.concatenate([self.x_at, self.x_at]), np.concatenate([self.recency_at, self.age_at]))
        size = self.x_at.size
        return Pairs(pairs.x, pairs.time, pairs.at[:size]), pairs.at[size:]

    def _pairs(self, x_at: Places, time_at: Places) -> Pairs:
        width = max(self.times.size, 1)
        keys, at = _code_places(x_at * width + time_at, self.xs.size * width)
        first, second = np.divmod(keys, width)
        return Pairs(self.xs[first], self.times[second], at)


def coded(values: Floats) -> tuple[Floats, Places]:
    """Return the distinct values in order, and the place of each value among them."""
    if values.size and values.max() < _TABLE:
        whole = values.astype(np.int64)
        if np.array_equal(whole, values):
            found, at = _code_places(whole, int(whole.max()) + 1)
            return found.astype(np.float64), at
    distinct, places = np.unique(values, return_inverse=True)
    return distinct, places


def _code_places(values: Places, limit: int) -> tuple[Places, Places]:
    """Return the same of whole numbers from 0 to before `limit`."""
    if limit > _TABLE:
        distinct, at = np.unique(values, return_inverse=True)
        return distinct, at
    occurs = np.zeros(limit, dtype=np.int64)
    occurs[values] = 1
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[values]


def _sums(at: Places, weights: Floats, size: int) -> Floats:
    return np.asarray(np.bincount(at, weights=weights, minlength=size), dtype=np.float64)
