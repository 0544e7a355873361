"""Gamma-Gamma (Fader & Hardie 2013): what a transaction of each customer is worth on average."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from analytics.stats import histories, maximum
from analytics.stats.histories import Floats

# Customers on whom the search is made where there are at least twice as many.
_PREVIEW = 20_000
_NAMES = ("p", "q", "gamma")


@dataclass(frozen=True, slots=True)
class GammaGamma:
    """A fitted model. Transactions of a customer are Gamma(p, v), and v differs between customers as Gamma(q, gamma)."""

    p: float
    q: float
    gamma: float

    @property
    def population_mean(self) -> float:
        """The mean transaction of a customer nothing is known about; infinite where q <= 1."""
        return self.p * self.gamma / (self.q - 1) if self.q > 1 else np.inf

    def expected(self, x: Floats, mean: Floats) -> Floats:
        """Return the expected mean transaction of customers with x transactions that were worth `mean` each."""
        weight = self.p * x + self.q - 1
        with np.errstate(divide="ignore"):
            return np.where(weight > 0, self.p * (self.gamma + mean * x) / np.where(weight > 0, weight, 1), np.inf)


def fit(x: npt.ArrayLike, mean: npt.ArrayLike) -> tuple[GammaGamma, maximum.Maximum]:
    """Fit to customers with x >= 1 transactions worth `mean` > 0 each."""
    count, worth = np.asarray(x, dtype=np.float64), np.asarray(mean, dtype=np.float64)
    likelihood = Likelihood(count, worth)
    one_of = count.size // _PREVIEW
    part = slice(one_of // 2, None, one_of)
    preview = _scaled(Likelihood(count[part], worth[part]), count.size) if one_of > 1 else None
    problem = maximum.Problem(likelihood, max(count.size, 1), preview)
    found = maximum.maximise(problem, likelihood.starts(), _NAMES)
    p, q, gamma = (float(each) for each in found.parameters)
    return GammaGamma(p, q, gamma), found


def _scaled(likelihood: "Likelihood", customers: int) -> maximum.Objective:
    """Let the customers of a part stand for all."""
    factor = customers / likelihood.customers

    def objective(logs: Floats) -> tuple[float, Floats]:
        value, gradient = likelihood(logs)
        return value * factor, gradient * factor

    return objective


class Likelihood:
    """The log-likelihood of mean transactions, one per customer."""

    def __init__(self, x: Floats, mean: Floats) -> None:
        if np.any(x < 1) or np.any(mean <= 0):
            raise ValueError("Gamma-Gamma is for customers with transactions worth more than nothing")
        self.customers = x.size
        self._xs, at = histories.coded(x)
        self._per_x = np.bincount(at, minlength=self._xs.size)
        # By x, so that what is summed over customers is summed per x first, and powers are of the distinct x only.
        order = np.argsort(at.astype(np.int16) if self._xs.size < np.iinfo(np.int16).max else at, kind="stable")
        self._begins = np.append(0, np.cumsum(self._per_x))[:-1]
        self._spent = (x * mean)[order]
        self._x_log_x = float((x * np.log(x)).sum())
        log_mean = np.log(mean)
        self._log_means = float(log_mean.sum())
        self._x_log_means = float((x * log_mean).sum())

    def starts(self) -> list[Floats]:
        """Return where to begin, in the currency of the data."""
        typical = float(np.exp(self._log_means / max(self.customers, 1)))
        return [np.log([p, q, typical * (q - 1) / p]) for p, q in ((4.0, 4.0), (1.0, 12.0), (20.0, 3.0))]

    def __call__(self, logs: Floats) -> tuple[float, Floats]:
        """Return log-likelihood and gradient at the logarithms of p, q and gamma."""
        p, q, gamma = np.exp(logs)
        xs, n = self._xs, self._per_x
        total = float(n.sum())
        whole, powers = gamma + self._spent, p * xs + q
        log_whole, inverse = self._per_distinct(np.log(whole)), self._per_distinct(1 / whole)
        value = (
            (n * (special.gammaln(p * xs + q) - special.gammaln(p * xs))).sum()
            + total * (q * np.log(gamma) - special.gammaln(q))
            + p * (self._x_log_means + self._x_log_x)
            - self._log_means
            - (powers * log_whole).sum()
        )
        both = special.psi(p * xs + q)
        gradient = np.array(
            [
                (n * xs * (both - special.psi(p * xs))).sum()
                + self._x_log_means
                + self._x_log_x
                - (xs * log_whole).sum(),
                (n * both).sum() + total * (np.log(gamma) - special.psi(q)) - log_whole.sum(),
                total * q / gamma - (powers * inverse).sum(),
            ]
        )
        return float(value), gradient * np.array([p, q, gamma])

    def _per_distinct(self, values: Floats) -> Floats:
        """Return the sums of customers' values, which lie by x, over the customers of each distinct x."""
        sums: Floats = np.add.reduceat(values, self._begins) if values.size else np.zeros(0)
        return sums
