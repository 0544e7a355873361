"""NBD (Ehrenberg 1959): customers who buy at rates that differ and never leave, which models with dropout must beat."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from analytics.stats.histories import Floats, Histories


@dataclass(frozen=True, slots=True)
class Lasting:
    """A fitted model. Purchase rates are Gamma(r, alpha)."""

    r: float
    alpha: float

    @property
    def scale(self) -> float:
        return self.alpha

    @property
    def steepness(self) -> float:
        return 0.0

    def alive(self, found: Histories) -> Floats:
        return np.ones_like(found.x)

    def alive_at_birth(self) -> float:
        return 1.0

    def pace(self, x: Floats, age: Floats, ahead: Floats) -> Floats:
        """Return purchases per unit of time at `ahead` time from now: the same at any time."""
        pace: Floats = (self.r + x) / (self.alpha + age) * np.ones_like(ahead)
        return pace

    def staying(self, x: Floats, age: Floats, ahead: Floats) -> Floats:
        return np.ones(np.broadcast_shapes(x.shape, age.shape, ahead.shape))

    def when_gone(self, found: Histories, edges: Floats) -> Floats:
        return np.zeros((found.x_at.size, edges.size - 1))


class Likelihood:
    """The log-likelihood of histories, of which recency says nothing."""

    names = ("r", "alpha")

    def __init__(self, found: Histories) -> None:
        self._xs, self._times = found.xs, found.times
        self._per_x = found.per_x()
        self._per_age, self._repeats_per_age = found.per_age()

    def start(self) -> Floats:
        """Return where to begin: rates as spread out as their mean, at the mean rate of all."""
        repeats, waited = self._repeats_per_age.sum(), (self._per_age * self._times).sum()
        return np.log([1.0, max(waited, 1e-9) / max(repeats, 1e-9)])

    def __call__(self, logs: Floats) -> tuple[float, Floats]:
        """Return log-likelihood and gradient at the logarithms of the parameters."""
        r, alpha = np.exp(logs)
        n, xs, total = self._per_x, self._xs, self._per_x.sum()
        waited = alpha + self._times
        log_waited = np.log(waited)
        weights = r * self._per_age + self._repeats_per_age
        value = (
            (n * special.gammaln(r + xs)).sum()
            + total * (r * np.log(alpha) - special.gammaln(r))
            - (weights * log_waited).sum()
        )
        gradient = np.array(
            [
                (n * special.psi(r + xs)).sum()
                + total * (np.log(alpha) - special.psi(r))
                - (self._per_age * log_waited).sum(),
                total * r / alpha - (weights / waited).sum(),
            ]
        )
        scaled: Floats = gradient * np.array([r, alpha])
        return float(value), scaled
