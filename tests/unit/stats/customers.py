"""Customers who behave exactly as the models say, from a seed."""

import numpy as np

from analytics.stats.histories import Floats


def simulate(name: str, parameters: tuple[float, ...], *, customers: int, seed: int) -> tuple[Floats, Floats, Floats]:
    """Return x, recency and age of customers who were first seen evenly over the first half of a hundred days."""
    chance = np.random.default_rng(seed)
    r, alpha, third, fourth = parameters
    age = chance.integers(50, 101, customers).astype(np.float64)
    rate = chance.gamma(r, 1 / alpha, customers)
    # In Pareto/NBD a lifetime ends at some moment; in the others each purchase may be the last.
    lasts = chance.exponential(1 / chance.gamma(third, 1 / fourth, customers)) if name == "pareto_nbd" else np.inf
    leaves = np.zeros(customers) if name == "pareto_nbd" else chance.beta(third, fourth, customers)
    end = np.minimum(age, lasts)
    x, recency, now = np.zeros(customers), np.zeros(customers), np.zeros(customers)
    stays = chance.random(customers) >= leaves if name == "mbg_nbd" else np.ones(customers, dtype=bool)
    while stays.any():
        who = np.flatnonzero(stays)
        now[who] += chance.exponential(1 / rate[who])
        stays[who] = now[who] <= end[who]
        buyers = who[stays[who]]
        x[buyers] += 1
        recency[buyers] = now[buyers]
        stays[buyers] = chance.random(buyers.size) >= leaves[buyers]
    return x, recency, age
