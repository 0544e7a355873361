"""Pareto/NBD (Schmittlein, Morrison & Colombo 1987): dropout at any time, at rates that differ between customers."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from analytics.stats import horizon
from analytics.stats.histories import Floats, Histories, Pairs

# Where the integrand has fallen to exp(-34) of its highest value, nothing that counts is beyond.
_DEPTH = 34.0
# Without purchases the integrand falls slowly and bends on the way, so it takes more points; such pairs are few.
_NODES, _NODES_OF_FEW = 40, 160
# As many pairs at once as keep the arrays of nodes within some tens of megabytes.
_AT_ONCE = 16_384


@dataclass(frozen=True, slots=True)
class ParetoNbd:
    """A fitted model. Purchase rates are Gamma(r, alpha), dropout rates Gamma(s, beta)."""

    r: float
    alpha: float
    s: float
    beta: float

    @property
    def scale(self) -> float:
        return self.beta

    @property
    def steepness(self) -> float:
        return self.s

    def alive(self, found: Histories) -> Floats:
        """Return for each history the probability that its customers are still customers."""
        parts = _parts(found, np.array([self.r, self.alpha, self.s, self.beta]), _Layout.of(found))
        return np.minimum(parts.stayed / parts.total, 1.0)

    def alive_at_birth(self) -> float:
        return 1.0

    def pace(self, x: Floats, age: Floats, ahead: Floats) -> Floats:
        """Return purchases per unit of time at `ahead` time from now, of a customer who is alive now."""
        since = self.beta + age
        pace: Floats = (self.r + x) / (self.alpha + age) * (since / (since + ahead)) ** self.s
        return pace


@dataclass(frozen=True, slots=True)
class _Layout:
    """The pairs of x and time for which an integral is needed, prepared once for many evaluations."""

    pairs: Pairs
    age_pair: "np.ndarray[tuple[int], np.dtype[np.int64]]"

    @classmethod
    def of(cls, found: Histories) -> "_Layout":
        return cls(*found.by_recency_and_age())


class Likelihood:
    """The log-likelihood of histories.

    A history's likelihood is Gamma(r+x)/Gamma(r) alpha^r beta^s times

        (alpha+T)^-(r+x) (beta+T)^-s + s (J(t_x) - J(T)),   J(t) = integral over u > t of (alpha+u)^-(r+x) (beta+u)^-(s+1)

    J depends on x and one time, so it is computed once per distinct pair of them; and because s J(T) is at most the
    first term, the difference loses no digits. The usual pair of hypergeometric functions is this integral in closed
    form; computed as an integral of a positive function it is stable for thousands of purchases, and so is its
    gradient, for which the hypergeometric form has no closed one.
    """

    names = ("r", "alpha", "s", "beta")

    def __init__(self, found: Histories) -> None:
        self._found = found
        self._layout = _Layout.of(found)
        self._per_x = found.per_x()

    def __call__(self, logs: Floats) -> tuple[float, Floats]:
        """Return log-likelihood and gradient at the logarithms of the parameters."""
        at = np.exp(logs)
        r, alpha, s, beta = at
        found, n, xs = self._found, self._per_x, self._found.xs
        total = n.sum()
        parts = _parts(found, at, self._layout)
        value = (
            (n * special.gammaln(r + xs)).sum()
            + total * (r * np.log(alpha) + s * np.log(beta) - special.gammaln(r))
            + (found.count * (parts.highest + np.log(parts.total))).sum()
        )
        gradient = np.array(
            [
                (n * special.psi(r + xs)).sum() + total * (np.log(alpha) - special.psi(r)),
                total * r / alpha,
                total * np.log(beta),
                total * s / beta,
            ]
        )
        gradient += parts.slopes(found, at)
        scaled: Floats = gradient * at
        return float(value), scaled


@dataclass(frozen=True, slots=True)
class _Parts:
    """The terms of each history's likelihood, all divided by exp(highest): stayed + left_after - left_later = total."""

    highest: Floats
    stayed: Floats
    left_after: Floats
    left_later: Floats
    integrals: "_Integrals"
    layout: _Layout

    @property
    def total(self) -> Floats:
        return self.stayed + (self.left_after - self.left_later)

    def slopes(self, found: Histories, at: Floats) -> Floats:
        """Return the derivatives of the sum over all customers of the logarithm of `total` and `highest`."""
        r, alpha, s, beta = at
        weight = found.count / self.total
        stayed, after, later = weight * self.stayed, weight * self.left_after, weight * self.left_later
        size = self.integrals.log.size
        left = np.bincount(self.layout.pairs.at, weights=after, minlength=size)
        left -= np.bincount(self.layout.age_pair, weights=later, minlength=size)
        power = r + self.layout.pairs.x
        ages = self.found_logs(found, alpha), self.found_logs(found, beta)
        return np.array(
            [
                -(stayed * ages[0]).sum() - (left * self.integrals.log_alpha).sum(),
                -(stayed * (r + found.x) / (alpha + found.age)).sum()
                - (left * power * self.integrals.inverse_alpha).sum(),
                -(stayed * ages[1]).sum() - (left * self.integrals.log_beta).sum() + left.sum() / s,
                -s * (stayed / (beta + found.age)).sum() - (s + 1) * (left * self.integrals.inverse_beta).sum(),
            ]
        )

    @staticmethod
    def found_logs(found: Histories, shift: float) -> Floats:
        logs: Floats = np.log(shift + found.times)[found.age_at]
        return logs


def _parts(found: Histories, at: Floats, layout: _Layout) -> _Parts:
    r, alpha, s, beta = at
    integrals = _integrate(layout.pairs, at)
    with_s = integrals.log + np.log(s)
    after, later = with_s[layout.pairs.at], with_s[layout.age_pair]
    stayed = -(r + found.x) * np.log(alpha + found.times)[found.age_at] - s * np.log(beta + found.times)[found.age_at]
    highest = np.maximum(stayed, after)
    return _Parts(
        highest, np.exp(stayed - highest), np.exp(after - highest), np.exp(later - highest), integrals, layout
    )


@dataclass(frozen=True, slots=True)
class _Integrals:
    """log J of each pair, and under J's integrand as a density the means of log(alpha+u), 1/(alpha+u) and of beta's."""

    log: Floats
    log_alpha: Floats
    inverse_alpha: Floats
    log_beta: Floats
    inverse_beta: Floats


def _integrate(pairs: Pairs, at: Floats) -> _Integrals:
    whole = np.empty((5, pairs.x.size))
    few = pairs.x < 2
    for group, nodes in ((np.flatnonzero(few), _NODES_OF_FEW), (np.flatnonzero(~few), _NODES)):
        for begin in range(0, group.size, _AT_ONCE):
            part = group[begin : begin + _AT_ONCE]
            whole[:, part] = _integrate_some(pairs.x[part], pairs.time[part], at, nodes)
    return _Integrals(*whole)


def _integrate_some(x: Floats, time: Floats, at: Floats, count: int) -> Floats:
    """Integrate in v = log((near + u) / (near + t)), near being the smaller of alpha and beta, by Gauss and Legendre.

    In v the integrand falls like an exponential and has no singularity within pi of the real axis. With
    c = near + t and far = max(alpha, beta): far + u = c (exp(v) + excess).
    """
    r, alpha, s, beta = at
    first, second = r + x, s + 1.0
    near_power, far_power = (first, second) if alpha <= beta else (np.broadcast_to(second, x.shape), first)
    c = min(alpha, beta) + time
    excess = abs(alpha - beta) / c
    end = _end(1.0 - near_power, np.broadcast_to(far_power, x.shape), excess)
    nodes, weights = horizon.gauss_legendre(count)
    v = (end / 2)[:, None] * (nodes + 1)
    log_near, grown = np.log(c)[:, None] + v, np.exp(v)
    far = c[:, None] * (grown + excess[:, None])
    log_far = np.log(far)
    height = log_near - near_power[:, None] * log_near - np.broadcast_to(far_power, x.shape)[:, None] * log_far
    top = height.max(axis=1)
    density = np.exp(height - top[:, None]) * weights
    mass = density.sum(axis=1)
    inverse_near, inverse_far = np.exp(-log_near), 1 / far
    means = [(density * each).sum(axis=1) / mass for each in (log_near, inverse_near, log_far, inverse_far)]
    ordered = means if alpha <= beta else [means[2], means[3], means[0], means[1]]
    return np.stack([top + np.log(mass * end / 2), *ordered])


def _end(rise: Floats, power: Floats, excess: Floats) -> Floats:
    """Return where rise·v - power·log(exp(v) + excess), which is concave, has fallen by the depth from its highest."""

    def height(v: Floats) -> Floats:
        found: Floats = rise * v - power * np.log(np.exp(v) + excess)
        return found

    summit = np.maximum(np.log(np.maximum(excess * rise / np.maximum(power - rise, 1e-12), 1e-300)), 0.0)
    target = height(summit) - _DEPTH
    # To the right of the end a concave function's Newton steps approach it without passing.
    v = np.maximum(np.log1p(excess), summit) + (_DEPTH + 2) / (power - rise)
    for _ in range(5):
        fall = power * np.exp(v) / (np.exp(v) + excess) - rise
        v = v - np.maximum(target - height(v), 0.0) / fall
    return v
