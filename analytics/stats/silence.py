"""Lifetimes whose end nobody sees: customers counted as a model of repeat buying expects them to have left or stayed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from analytics.stats import buying, survival
from analytics.stats.histories import Floats, Histories, Places

# Histories times units of time that are held at once.
_CELLS = 1_000_000
# How far a logarithm of a parameter is moved to see what depends on it.
_STEP = 1e-3

# Returns the model at the logarithms of its parameters.
ModelAt = Callable[[Floats], buying.Model]


@dataclass(frozen=True, slots=True)
class Uncertain:
    """A fitted model and how far its parameters may be off.

    Attributes:
        at: the model at other logarithms of its parameters.
        logs: those that were found.
        covariance: of them.
    """

    at: ModelAt
    logs: Floats
    covariance: Floats


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of the customers of each history, counted in completed units of time from the first purchase.

    Attributes:
        rows: distinct histories.
        edges: unit k is from edges[k] to before edges[k + 1].
        last: the unit in which the observation of each history ends.
    """

    rows: Histories
    edges: Floats
    last: Places

    @classmethod
    def of(cls, found: Histories, unit: float) -> "Expected":
        rows = found.distinct()
        last = np.floor(rows.age / unit).astype(np.int64)
        # Histories are in whole days, so a unit begins on the first day that is not before its beginning.
        edges = np.ceil(np.arange(last.max(initial=0) + 2) * unit)
        return cls(rows, edges, last)

    def counts(self, model: buying.Model) -> survival.Counts:
        """Return those who left and those who are still there at the end of observation, per unit."""
        alive, size = model.alive(self.rows), self.edges.size - 1
        events = np.zeros(size)
        for _, part, gone in self._gone(model, alive):
            events += (part.count[:, None] * gone).sum(axis=0)
        stayed = np.bincount(self.last, weights=self.rows.count * alive, minlength=size)
        return survival.Counts(np.arange(size, dtype=np.float64), events, stayed)

    def unseen_variance(self, model: buying.Model, counts: survival.Counts) -> Floats:
        """Return how much log S varies because the model leaves open who has left, and when.

        Whoever left at k rather than stayed moves log S(t), t >= k, by -(1/(n-d) at k + G(min(t, end)) - G(k)), G being
        Greenwood's sum, n those at risk and d those who leave; customers are independent.
        """
        at_risk, total = counts.at_risk - counts.events, survival.greenwood(counts)
        with np.errstate(divide="ignore"):
            own = 1 / at_risk - total
        found = np.zeros(total.size)
        for begin, part, gone in self._gone(model, model.alive(self.rows)):
            level = total[np.minimum(np.arange(total.size), self.last[begin : begin + part.x_at.size, None])]
            first, second, third = (np.cumsum(gone * each, axis=1) for each in (1.0, own, own * own))
            mean = second + level * first
            square = third + 2 * level * second + level * level * first
            found += (part.count[:, None] * (square - mean * mean)).sum(axis=0)
        return np.maximum(found, 0.0)

    def parameter_variance(self, fitted: Uncertain) -> Floats:
        """Return how much log S varies because the parameters of the model are estimates, by the delta method."""
        slopes = []
        for place in range(fitted.logs.size):
            shift = np.zeros_like(fitted.logs)
            shift[place] = _STEP
            above, below = (_log_survival(self.counts(fitted.at(fitted.logs + each))) for each in (shift, -shift))
            slopes.append((above - below) / (2 * _STEP))
        slope = np.stack(slopes)
        found: Floats = np.einsum("it,ij,jt->t", slope, fitted.covariance, slope)
        return np.maximum(found, 0.0)

    def _gone(self, model: buying.Model, alive: Floats) -> Iterator[tuple[int, Histories, Floats]]:
        """Yield parts of the rows, and the chance of each to have left in each unit."""
        at_once = max(_CELLS // self.edges.size, 1)
        for begin in range(0, self.rows.x_at.size, at_once):
            place = slice(begin, begin + at_once)
            part = self.rows.part(place)
            yield begin, part, (1 - alive[place])[:, None] * model.when_gone(part, self.edges)


def curve(found: Histories, fitted: Uncertain, *, unit: float, confidence: float, log_log: bool) -> survival.Curve:
    """Return the survival curve of customers, with the intervals of multiple imputation in endlessly many draws."""
    expected, model = Expected.of(found, unit), fitted.at(fitted.logs)
    counts = expected.counts(model)
    with np.errstate(invalid="ignore"):
        more = expected.unseen_variance(model, counts) + expected.parameter_variance(fitted)
    some = (counts.events > 0) | (counts.censored > 0)
    kept = survival.Counts(counts.times[some], counts.events[some], counts.censored[some])
    return survival.kaplan_meier(kept, confidence=confidence, log_log=log_log, more=more[some])


def chance_of_silence(found: Histories, *, r: float, alpha: float) -> Floats:
    """Return how likely a customer who did not leave would have bought nothing since the last purchase.

    Given the purchases up to then, the rate is Gamma(r + x, alpha + recency), whichever way customers leave.
    """
    chance: Floats = ((alpha + found.recency) / (alpha + found.age)) ** (r + found.x)
    return chance


def _log_survival(counts: survival.Counts) -> Floats:
    at_risk = counts.at_risk
    hazard = np.divide(counts.events, at_risk, out=np.zeros(at_risk.size), where=at_risk > 0)
    with np.errstate(divide="ignore"):
        found: Floats = np.cumsum(np.log1p(-np.minimum(hazard, 1.0)))
    return found
