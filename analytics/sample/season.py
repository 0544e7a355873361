"""When things happen: the weight of every hour of the sample's span, by growth, month, weekday and hour of day."""

from dataclasses import dataclass
from datetime import date
from typing import Self

import numpy as np

from analytics.sample.arrays import SECONDS_PER_DAY, Floats, Ints

MONTHS = np.array([0.84, 0.80, 0.92, 0.95, 0.99, 0.97, 0.94, 0.90, 1.02, 1.08, 1.32, 1.42])
WEEKDAYS = np.array([1.08, 1.13, 1.12, 1.10, 1.06, 0.82, 0.69])
HOURS = np.array([4, 2, 1, 1, 1, 3, 8, 18, 34, 52, 64, 70, 74, 70, 64, 60, 58, 60, 66, 74, 76, 62, 34, 12], dtype=float)
YEARLY_GROWTH = 1.45


@dataclass(frozen=True, slots=True, eq=False)
class Season:
    """Cumulative weight of purchases and of new customers at each hour's edge.

    A process with a changing rate is a steady one on a stretched time axis: draw there, then read the calendar time
    off the cumulative curve. Purchase time is stretched so that a day has weight one on average.
    """

    edges: Ints
    purchases: Floats
    arrivals: Floats

    @classmethod
    def of(cls, start: date, end: date) -> Self:
        days = np.arange(np.datetime64(start), np.datetime64(end), dtype="datetime64[D]")
        number = days.astype(np.int64)
        daily = MONTHS[days.astype("datetime64[M]").astype(np.int64) % 12] * WEEKDAYS[(number + 3) % 7]
        growth = YEARLY_GROWTH ** (np.arange(len(days)) / 365.25)
        first = int(number[0]) * SECONDS_PER_DAY
        edges = first + np.arange(len(days) * 24 + 1, dtype=np.int64) * 3_600
        purchases = _cumulative(daily)
        return cls(edges, purchases * (len(days) / purchases[-1]), _cumulative(daily * growth))

    @property
    def start(self) -> int:
        return int(self.edges[0])

    @property
    def end(self) -> int:
        """The first second outside of the span."""
        return int(self.edges[-1])

    def purchase_time(self, seconds: Ints) -> Floats:
        return np.interp(seconds, self.edges, self.purchases)

    def seconds_of_purchase(self, time: Floats) -> Ints:
        return self._inside(np.interp(time, self.purchases, self.edges))

    def seconds_of_arrival(self, quantile: Floats) -> Ints:
        return self._inside(np.interp(quantile * self.arrivals[-1], self.arrivals, self.edges))

    def _inside(self, seconds: Floats) -> Ints:
        return np.clip(seconds.astype(np.int64), self.start, self.end - 1)


def _cumulative(daily: Floats) -> Floats:
    return np.concatenate(([0.0], np.cumsum(np.outer(daily, HOURS / HOURS.sum()).ravel())))
