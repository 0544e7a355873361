"""Pareto/NBD (Schmittlein, Morrison & Colombo 1987): dropout at any time, at rates that differ between customers."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from analytics.stats import horizon
from analytics.stats.histories import Floats, Histories, Pairs

# Where the integrand has fallen to exp(-34) of its highest value, nothing that counts is beyond.
_DEPTH = 34.0
# Without purchases the integrand falls slowly and bends on the way; the longer way takes more points.
_LONG = 20.0
_NODES, _NODES_OF_LONG = 36, 160
# As many pairs at once as keep an array of nodes within the cache of a processor.
_AT_ONCE = 2_048


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

    def staying(self, x: Floats, age: Floats, ahead: Floats) -> Floats:
        """Return the chance that a customer who is alive now still is after `ahead` more."""
        since = self.beta + age
        staying: Floats = (since / (since + ahead)) ** self.s * np.ones_like(x)
        return staying

    def when_gone(self, found: Histories, edges: Floats) -> Floats:
        """Return when those went who are gone, as chances between rising edges.

        The chance to have gone after t, given x, falls like J(t) of the likelihood from the last purchase to now.
        """
        at = np.array([self.r, self.alpha, self.s, self.beta])
        xs, x_at = np.unique(found.x, return_inverse=True)
        grid = Pairs(np.repeat(xs, edges.size), np.tile(edges, xs.size), np.zeros(0, dtype=np.int64))
        logs = _integrate(grid, at).log.reshape(xs.size, edges.size)
        pairs, age_pair = found.by_recency_and_age()
        ends = _integrate(pairs, at).log
        last, now = ends[pairs.at][:, None], ends[age_pair][:, None]
        after = logs[x_at]
        after = np.where(edges <= found.recency[:, None], last, np.where(edges >= found.age[:, None], now, after))
        passed = np.exp(after - last)
        whole = -np.expm1(now - last)
        return -np.diff(passed, axis=1) / np.where(whole > 0, whole, 1.0)


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

    def __init__(self, found: Histories, *, one_of: int = 1) -> None:
        """Prepare. With `one_of` only one row of as many is asked for what is not a sum over x or over ages."""
        self._xs, self._times, self._per_x = found.xs, found.times, found.per_x()
        self._per_age, self._repeats_per_age = found.per_age()
        self._rows = found.every(one_of, offset=one_of // 2)
        self._layout = _Layout.of(self._rows)

    def __call__(self, logs: Floats) -> tuple[float, Floats]:
        """Return log-likelihood and gradient at the logarithms of the parameters."""
        at = np.exp(logs)
        value, gradient = self._staying(*at)
        parts = _parts(self._rows, at, self._layout)
        scaled: Floats = (gradient + parts.slopes(self._rows, at)) * at
        return value + parts.gained(self._rows), scaled

    def _staying(self, r: float, alpha: float, s: float, beta: float) -> tuple[float, Floats]:
        """The part of customers who are alive at the end: sums over the distinct x and the distinct ages."""
        xs, n, ages = self._xs, self._per_x, self._per_age
        total = n.sum()
        buying, leaving = alpha + self._times, beta + self._times
        weights = r * ages + self._repeats_per_age
        value = (
            (n * special.gammaln(r + xs)).sum()
            + total * (r * np.log(alpha) + s * np.log(beta) - special.gammaln(r))
            - (weights * np.log(buying)).sum()
            - s * (ages * np.log(leaving)).sum()
        )
        gradient = np.array(
            [
                (n * special.psi(r + xs)).sum()
                + total * (np.log(alpha) - special.psi(r))
                - (ages * np.log(buying)).sum(),
                total * r / alpha - (weights / buying).sum(),
                total * np.log(beta) - (ages * np.log(leaving)).sum(),
                total * s / beta - s * (ages / leaving).sum(),
            ]
        )
        return float(value), gradient


@dataclass(frozen=True, slots=True)
class _Parts:
    """The terms of each history's likelihood, all divided by exp(highest): stayed + left_after - left_later = total."""

    highest: Floats
    log_stayed: Floats
    stayed: Floats
    left_after: Floats
    left_later: Floats
    integrals: "_Integrals"
    layout: _Layout

    @property
    def total(self) -> Floats:
        return self.stayed + (self.left_after - self.left_later)

    def gained(self, rows: Histories) -> float:
        """Return what the chance of having left adds to the log-likelihood."""
        return float((rows.count * (self.highest - self.log_stayed + np.log(self.total))).sum())

    def slopes(self, rows: Histories, at: Floats) -> Floats:
        """Return the derivatives of `gained`."""
        r, alpha, s, beta = at
        weight = rows.count / self.total
        stayed, after, later = weight * self.stayed - rows.count, weight * self.left_after, weight * self.left_later
        size = self.integrals.log.size
        left = np.bincount(self.layout.pairs.at, weights=after, minlength=size)
        left -= np.bincount(self.layout.age_pair, weights=later, minlength=size)
        buying, leaving = alpha + rows.times, beta + rows.times
        by_age = np.bincount(rows.age_at, weights=stayed, minlength=rows.times.size)
        powers = np.bincount(rows.age_at, weights=stayed * (r + rows.x), minlength=rows.times.size)
        power = r + self.layout.pairs.x
        return np.array(
            [
                -(by_age * np.log(buying)).sum() - (left * self.integrals.log_alpha).sum(),
                -(powers / buying).sum() - (left * power * self.integrals.inverse_alpha).sum(),
                -(by_age * np.log(leaving)).sum() - (left * self.integrals.log_beta).sum() + left.sum() / s,
                -s * (by_age / leaving).sum() - (s + 1) * (left * self.integrals.inverse_beta).sum(),
            ]
        )


def _parts(rows: Histories, at: Floats, layout: _Layout) -> _Parts:
    r, alpha, s, beta = at
    integrals = _integrate(layout.pairs, at)
    with_s = integrals.log + np.log(s)
    after, later = with_s[layout.pairs.at], with_s[layout.age_pair]
    log_alpha, log_beta = np.log(alpha + rows.times), np.log(beta + rows.times)
    stayed = -(r + rows.x) * log_alpha[rows.age_at] - (s * log_beta)[rows.age_at]
    highest = np.maximum(stayed, after)
    return _Parts(
        highest=highest,
        log_stayed=stayed,
        stayed=np.exp(stayed - highest),
        left_after=np.exp(after - highest),
        left_later=np.exp(later - highest),
        integrals=integrals,
        layout=layout,
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
    for begin in range(0, pairs.x.size, _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        spans = _Spans.of(pairs.x[part], pairs.time[part], at)
        far = spans.end > _LONG
        for group, nodes in ((far, _NODES_OF_LONG), (~far, _NODES)):
            whole[:, begin + np.flatnonzero(group)] = _integrate_some(spans.only(group), at, nodes)
    return _Integrals(*whole)


@dataclass(frozen=True, slots=True)
class _Spans:
    """Integrals over v = log((near + u) / (near + t)) from 0 to `end`, near being the smaller of alpha and beta.

    With c = near + t and far = max(alpha, beta): far + u = c (exp(v) + excess). In v the integrand falls like an
    exponential and has no singularity within pi of the real axis.

    Attributes:
        near_power: of near + u in the integrand, below one.
        far_power: of far + u.
    """

    near_power: Floats
    far_power: Floats
    c: Floats
    excess: Floats
    end: Floats

    @classmethod
    def of(cls, x: Floats, time: Floats, at: Floats) -> "_Spans":
        r, alpha, s, beta = at
        first, second = r + x, np.full_like(x, s + 1.0)
        near_power, far_power = (first, second) if alpha <= beta else (second, first)
        c = min(alpha, beta) + time
        excess = abs(alpha - beta) / c
        return cls(near_power, far_power, c, excess, _end(1.0 - near_power, far_power, excess))

    def only(self, group: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> "_Spans":
        return _Spans(self.near_power[group], self.far_power[group], self.c[group], self.excess[group], self.end[group])


def _integrate_some(spans: _Spans, at: Floats, count: int) -> Floats:
    """Integrate by Gauss and Legendre; return the rows of `_Integrals`."""
    _, alpha, _, beta = at
    nodes, weights = horizon.gauss_legendre(count)
    v = (spans.end / 2)[:, None] * (nodes + 1)
    log_near = np.log(spans.c)[:, None] + v
    far = spans.c[:, None] * (np.exp(v) + spans.excess[:, None])
    log_far = np.log(far)
    height = (1 - spans.near_power[:, None]) * log_near - spans.far_power[:, None] * log_far
    top = height.max(axis=1, initial=-np.inf)
    density = np.exp(height - top[:, None]) * weights
    mass = density.sum(axis=1)
    means = [(density * each).sum(axis=1) / mass for each in (log_near, np.exp(-log_near), log_far, 1 / far)]
    ordered = means if alpha <= beta else [means[2], means[3], means[0], means[1]]
    return np.stack([top + np.log(mass * spans.end / 2), *ordered])


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
