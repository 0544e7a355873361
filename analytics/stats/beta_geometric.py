"""BG/NBD (Fader, Hardie & Lee 2005) and MBG/NBD (Batislam, Denizel & Filiztekin 2007): dropout by a coin after purchases."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from analytics.stats.histories import Floats, Histories

# From this a on, or its fourth power of b, chances of leaving are so alike that a few points stand for all of them.
_NARROW = 10.0
_POINTS = 48


@dataclass(frozen=True, slots=True)
class BetaGeometric:
    """A fitted model: purchase rates are Gamma(r, alpha), the chance of leaving after a purchase is Beta(a, b).

    Without the modification nobody leaves before the second purchase; with it the first may be the last too.

    Attributes:
        shift: 1 for the modified model, 0 for the plain one.
    """

    r: float
    alpha: float
    a: float
    b: float
    shift: int

    @property
    def scale(self) -> float:
        return self.alpha

    @property
    def steepness(self) -> float:
        """How fast, on the scale of log time, purchases cease."""
        return min(self.a, 100.0)

    def alive(self, found: Histories) -> Floats:
        """Return for each history the probability that its customers are still customers."""
        alive = np.ones_like(found.x)
        may = found.x + self.shift > 0
        x, logs = found.x[may], np.log(self.alpha + found.times)
        odds = np.log(self.a / (self.b + x + self.shift - 1)) + (self.r + x) * (
            logs[found.age_at[may]] - logs[found.recency_at[may]]
        )
        alive[may] = special.expit(-odds)
        return alive

    def alive_at_birth(self) -> float:
        """Return the probability that a customer may still come back after the first purchase."""
        return self.b / (self.a + self.b) if self.shift else 1.0

    def pace(self, x: Floats, age: Floats, ahead: Floats) -> Floats:
        """Return purchases per unit of time at `ahead` time from now, of a customer who is alive now.

        The mean of λ·exp(-λ·p·s) over λ ~ Gamma(r + x, alpha + age) and p ~ Beta(a, b + x + shift), in the form of the
        Gaussian hypergeometric function in which x enters nothing but the third argument: it neither overflows nor
        cancels for thousands of purchases, nor where a is near 1. Where all customers are nearly alike, so that a or
        b is large, it overflows; the mean over p is then taken by a quadrature that such narrow distributions suit.
        """
        since = self.alpha + age
        pace: Floats = (self.r + x) / since * self._lasting(x, ahead / since, self.r + 1)
        return pace

    def staying(self, x: Floats, age: Floats, ahead: Floats) -> Floats:
        """Return the chance that a customer who is alive now still is after `ahead` more: the mean of exp(-λ·p·s)."""
        return self._lasting(x, ahead / (self.alpha + age), self.r)

    def when_gone(self, found: Histories, edges: Floats) -> Floats:
        """Return when those went who are gone, as chances between rising edges: just after the last purchase."""
        gone = np.zeros((found.x_at.size, edges.size - 1))
        gone[np.arange(found.x_at.size), np.searchsorted(edges, found.recency, side="right") - 1] = 1.0
        return gone

    def _lasting(self, x: Floats, ahead: Floats, power: float) -> Floats:
        """Return the mean of (1 + p·ahead) ** -(power + x) over p; x has one column."""
        if self.a <= _NARROW and self.b <= _NARROW**4:
            rest = self.a + self.b + self.shift
            ratio = 1 / (1 + ahead)
            lasting: Floats = ratio**self.a * special.hyp2f1(self.a, rest - power, rest + x, 1 - ratio)
            return lasting
        found = np.zeros(np.broadcast_shapes(x.shape, ahead.shape))
        for value in np.unique(x):
            rows = np.flatnonzero(x.reshape(-1) == value) if x.size > 1 else slice(None)
            part = np.broadcast_to(ahead, found.shape)[rows]
            for chance, weight in zip(*_beta_rule(self.a, self.b + value + self.shift), strict=True):
                found[rows] += weight * np.exp(-(power + value) * np.log1p(chance * part))
        return found


def _beta_rule(a: float, b: float) -> tuple[Floats, Floats]:
    """Return points and weights of the mean over Beta(a, b), by Golub & Welsch (1969) from Jacobi's recurrence."""
    k, one, other = np.arange(1.0, _POINTS), b - 1, a - 1
    both = one + other
    mean = np.append((other - one) / (both + 2), (other - one) * both / ((2 * k + both) * (2 * k + both + 2)))
    spread = 4 * k * (k + one) * (k + other) * (k + both) / ((2 * k + both) ** 2 * (2 * k + both + 1))
    spread[1:] /= 2 * k[1:] + both - 1
    # The first of its factors cancels, where it could be nought.
    spread[0] = 4 * (1 + one) * (1 + other) / ((2 + both) ** 2 * (3 + both))
    points, vectors = np.linalg.eigh(np.diag(mean) + np.diag(np.sqrt(spread), 1) + np.diag(np.sqrt(spread), -1))
    return (1 + points) / 2, vectors[0] ** 2


class Likelihood:
    """The log-likelihood of histories under the plain (shift 0) or modified (shift 1) model."""

    names = ("r", "alpha", "a", "b")

    def __init__(self, found: Histories, shift: int, *, one_of: int = 1) -> None:
        """Prepare. With `one_of` only one row of as many is asked for what is not a sum over x or over ages."""
        self._found = found
        self._shift = shift
        self._per_x = found.per_x()
        self._per_age, self._repeats_per_age = found.per_age()
        rows = found.every(one_of, offset=one_of // 2)
        may = rows.x + shift > 0
        self._x_at, self._count = rows.x_at[may], rows.count[may]
        self._recency_at, self._age_at = rows.recency_at[may], rows.age_at[may]

    def __call__(self, logs: Floats) -> tuple[float, Floats]:
        """Return log-likelihood and gradient at the logarithms of the parameters."""
        r, alpha, a, b = np.exp(logs)
        value, gradient = self._staying(r, alpha, a, b)
        more, also = self._leaving(r, alpha, a, b)
        scaled: Floats = (gradient + also) * np.array([r, alpha, a, b])
        return value + more, scaled

    def _staying(self, r: float, alpha: float, a: float, b: float) -> tuple[float, Floats]:
        """The part of customers who are alive at the end: sums over the distinct x and the distinct ages."""
        xs, n, stays = self._found.xs, self._per_x, self._found.xs + self._shift
        total = n.sum()
        waited = alpha + self._found.times
        logs = np.log(waited)
        weights = r * self._per_age + self._repeats_per_age
        value = (
            (n * (special.gammaln(r + xs) + special.gammaln(b + stays) - special.gammaln(a + b + stays))).sum()
            + total * (r * np.log(alpha) - special.gammaln(r) - special.gammaln(b) + special.gammaln(a + b))
            - (weights * logs).sum()
        )
        both = special.psi(a + b) * total - (n * special.psi(a + b + stays)).sum()
        gradient = np.array(
            [
                (n * special.psi(r + xs)).sum()
                + total * (np.log(alpha) - special.psi(r))
                - (self._per_age * logs).sum(),
                total * r / alpha - (weights / waited).sum(),
                both,
                both + (n * special.psi(b + stays)).sum() - total * special.psi(b),
            ]
        )
        return float(value), gradient

    def _leaving(self, r: float, alpha: float, a: float, b: float) -> tuple[float, Floats]:
        """What is added because a customer may have left at the last purchase."""
        tries = b + self._found.xs + self._shift - 1
        waited = alpha + self._found.times
        log_waited, inverse = np.log(waited), 1 / waited
        log_odds = np.log(a) - np.log(np.maximum(tries, 1e-300))
        gap = log_waited[self._age_at] - log_waited[self._recency_at]
        power = (r + self._found.xs)[self._x_at]
        odds = power * gap + log_odds[self._x_at]
        # log(1 + exp(odds)) and its slope from one exponential, which never overflows.
        small = np.exp(-np.abs(odds))
        whole = 1 + small
        value = (self._count * (np.maximum(odds, 0.0) + np.log(whole))).sum()
        left = self._count * np.where(odds > 0, 1.0, small) / whole
        per_x = np.bincount(self._x_at, weights=left, minlength=tries.size)
        used = per_x > 0
        gradient = np.array(
            [
                (left * gap).sum(),
                (left * power * (inverse[self._age_at] - inverse[self._recency_at])).sum(),
                left.sum() / a,
                -(per_x[used] / tries[used]).sum(),
            ]
        )
        return float(value), gradient
