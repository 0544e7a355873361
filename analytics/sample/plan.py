"""How a sample is cut into blocks of customers, each of which can be made alone from its own random stream."""

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from analytics.sample import options as sample_options
from analytics.sample import season, wording
from analytics.sample.arrays import Floats, Ints

ORDERS_PER_BLOCK = 40_960
MOST_CUSTOMERS_PER_BLOCK = 4_096
ROWS_PER_BLOCK = 1_000_000  # room for the numbers of one block's rows within their keys
ROW_DIGITS = 12
CUSTOMER_DIGITS = 9
BUYERS = 0.88
PACE_SHAPE = 0.9
DROPOUT_SHAPE = (0.8, 6.0)
PILOT_CUSTOMERS = 16_384


class Stream(enum.IntEnum):
    """One independent random stream per subject, so that a dataset can be made without making the others."""

    PEOPLE = 1
    DETAILS = 2
    PURCHASES = 3
    LINES = 4
    REFUNDS = 5
    DEALS = 6
    LEADS = 7
    TOUCHES = 8
    ACTIVITIES = 9
    SUBSCRIPTIONS = 10
    RATES = 11


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    options: sample_options.SampleOptions
    season: season.Season
    pace: float
    block_customers: int

    @classmethod
    def of(cls, options: sample_options.SampleOptions) -> Self:
        when = season.Season.of(options.start, options.end)
        size = int(np.clip(ORDERS_PER_BLOCK / options.orders_per_customer, 1, MOST_CUSTOMERS_PER_BLOCK))
        return cls(options, when, _pace(options, when), size)

    def blocks(self) -> Iterator[int]:
        return iter(range(-(-self.options.customers // self.block_customers)))

    def customers(self, block: int) -> Ints:
        first = block * self.block_customers
        return np.arange(first, min(first + self.block_customers, self.options.customers), dtype=np.int64)

    def rng(self, stream: Stream, block: int) -> np.random.Generator:
        # PCG64 by name: what `default_rng` uses may change with numpy, and the data must not.
        sequence = np.random.SeedSequence(self.options.seed, spawn_key=(int(stream), block))
        return np.random.Generator(np.random.PCG64(sequence))

    def keys(self, block: int, rows: int) -> Ints:
        """Numbers for a block's rows that no other block has."""
        if rows > ROWS_PER_BLOCK:
            raise OverflowError(f"Block {block} has {rows:,} rows; its keys have room for {ROWS_PER_BLOCK:,}.")
        return block * ROWS_PER_BLOCK + np.arange(rows, dtype=np.int64)

    def price_levels(self) -> Floats:
        """For each of the currencies, its units for one pound; the price lists are in pounds."""
        dollars = np.array([wording.DOLLARS_PER_UNIT[code] for code in self.options.currencies])
        return wording.DOLLARS_PER_UNIT["GBP"] / dollars


def dropout(rng: np.random.Generator, options: sample_options.SampleOptions, rows: int) -> Floats:
    """The chance to leave after a repeat purchase; busier samples lose customers less often per order."""
    chance = rng.beta(*DROPOUT_SHAPE, rows) * min(1.0, 5.0 / options.orders_per_customer)
    return np.maximum(chance, 1e-4)


def _pace(options: sample_options.SampleOptions, when: season.Season) -> float:
    """Purchases per day of a customer of pace one, so that the expected number of sales is the one asked for.

    In BG/NBD a customer with rate r and dropout p expects (1 - exp(-r p t)) / p repeats in time t
    (Fader, Hardie & Lee 2005); its mean over a fixed pilot population grows with r, so bisection finds the rate.
    """
    rng = np.random.Generator(np.random.PCG64(7))
    quantile = (np.arange(PILOT_CUSTOMERS) + 0.5) / PILOT_CUSTOMERS
    span = when.purchases[-1] - when.purchase_time(when.seconds_of_arrival(quantile))
    weights = np.array([segment.weight for segment in wording.SEGMENTS])
    kinds = rng.choice(len(weights), PILOT_CUSTOMERS, p=weights / weights.sum())
    rate = rng.gamma(PACE_SHAPE, 1.0, PILOT_CUSTOMERS) * np.array([s.pace for s in wording.SEGMENTS])[kinds]
    leave = dropout(rng, options, PILOT_CUSTOMERS)
    wanted = options.orders_per_customer / BUYERS - 1.0
    low, high = -30.0, 15.0
    for _ in range(60):
        middle = (low + high) / 2
        repeats = float(np.mean(-np.expm1(-np.exp(middle) * rate * leave * span) / leave))
        low, high = (middle, high) if repeats < wanted else (low, middle)
    return float(np.exp((low + high) / 2))
