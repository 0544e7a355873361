"""Purchase histories as the models of repeat buying see them: each distinct one once, with how many customers have it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pairs:
    """The distinct pairs of two columns, and where each row finds its own.

    Attributes:
        x: the first value of each pair.
        time: the second value of each pair.
        at: the place of every row's pair.
    """

    x: Floats
    time: Floats
    at: Places


@dataclass(frozen=True, slots=True)
class Histories:
    """Distinct histories, ordered by x, recency and age; every row stands for `count` customers.

    What costs much is evaluated once per distinct value: `x == xs[x_at]`, `recency == times[recency_at]` and
    `age == times[age_at]`.

    Attributes:
        x: repeat purchases (in distinct periods, such as days).
        recency: time from the first purchase to the last; 0 without repeats.
        age: time from the first purchase to the end of observation.
        count: customers with this history.
        customer_at: for each customer, in the order they were given, the place of their history.
    """

    x: Floats
    recency: Floats
    age: Floats
    count: Floats
    xs: Floats
    x_at: Places
    times: Floats
    recency_at: Places
    age_at: Places
    customer_at: Places

    @classmethod
    def of(cls, x: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike) -> "Histories":
        """Collect the histories of customers, one element of each array per customer."""
        xs, x_at = np.unique(np.asarray(x, dtype=np.float64), return_inverse=True)
        whens = np.stack([np.asarray(recency, dtype=np.float64), np.asarray(age, dtype=np.float64)])
        times, time_at = np.unique(whens, return_inverse=True)
        recency_at, age_at = time_at.reshape(whens.shape)
        _check(xs, whens)
        width = max(times.size, 1)
        keys, customer_at, count = np.unique(
            (x_at * width + recency_at) * width + age_at, return_inverse=True, return_counts=True
        )
        rest, last = np.divmod(keys, width)
        first, middle = np.divmod(rest, width)
        return cls(
            x=xs[first],
            recency=times[middle],
            age=times[last],
            count=count.astype(np.float64),
            xs=xs,
            x_at=first,
            times=times,
            recency_at=middle,
            age_at=last,
            customer_at=customer_at,
        )

    @property
    def customers(self) -> int:
        return self.customer_at.size

    @property
    def repeats(self) -> float:
        """All repeat purchases of all customers."""
        return float((self.x * self.count).sum())

    @property
    def repeat_customers(self) -> int:
        return int(self.count[self.x > 0].sum())

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
        size = self.x.size
        return Pairs(pairs.x, pairs.time, pairs.at[:size]), pairs.at[size:]

    def _pairs(self, x_at: Places, time_at: Places) -> Pairs:
        width = max(self.times.size, 1)
        keys, at = np.unique(x_at * width + time_at, return_inverse=True)
        first, second = np.divmod(keys, width)
        return Pairs(self.xs[first], self.times[second], at)


def _sums(at: Places, weights: Floats, size: int) -> Floats:
    return np.asarray(np.bincount(at, weights=weights, minlength=size), dtype=np.float64)


def _check(xs: Floats, whens: Floats) -> None:
    recency, age = whens
    if xs.size and (xs[0] < 0 or np.any(xs % 1) or np.any(recency < 0) or np.any(recency > age)):
        raise ValueError("a history has whole x >= 0 and 0 <= recency <= age")
