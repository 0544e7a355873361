"""Maximum likelihood for models whose parameters are positive: searched and judged on the scale of their logarithms."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from analytics.stats.histories import Floats

# Log-likelihood and its gradient at the logarithms of the parameters.
Objective = Callable[[Floats], tuple[float, Floats]]

# How far, on the log scale, a search may go from where it started: a factor of sixty thousand.
_REACH = 11.0
_STEP = 1e-4
_NEWTON_STEPS = 12
# Log-likelihood that a further step would still gain, at most, when the search is called converged.
_GAIN = 1e-6
# A parameter whose logarithm has a larger standard error is not known even to its order of magnitude.
_VAGUE = 2.0


@dataclass(frozen=True, slots=True)
class Maximum:
    """Where a log-likelihood is highest.

    Attributes:
        names: of the parameters.
        parameters: the estimates.
        standard_errors: of the estimates, by the observed information and the delta method; nan where there is none.
        log_errors: the same for the logarithms of the parameters.
        log_likelihood: at the estimates.
        gain: what a further Newton step promises; nan where the surface is not curved like a maximum.
        evaluations: how often the log-likelihood was computed.
        at_limit: parameters that ran to the end of the range searched.
    """

    names: tuple[str, ...]
    parameters: Floats
    standard_errors: Floats
    log_errors: Floats
    log_likelihood: float
    gain: float
    evaluations: int
    at_limit: tuple[str, ...]

    @property
    def converged(self) -> bool:
        return not self.at_limit and self.gain < _GAIN

    @property
    def vague(self) -> tuple[str, ...]:
        """The parameters that the data do not determine even to their order of magnitude."""
        known = np.nan_to_num(self.log_errors, nan=np.inf) <= _VAGUE
        return tuple(name for name, good in zip(self.names, known, strict=True) if not good)

    @property
    def verdict(self) -> str:
        """Say whether and how the search ended, for people."""
        if self.at_limit:
            return (
                f"Not converged: {' and '.join(self.at_limit)} ran to the end of the range searched, "
                f"after {self.evaluations} evaluations."
            )
        if not self.converged:
            return f"Not converged after {self.evaluations} evaluations: the likelihood has no clear highest point."
        return f"Converged after {self.evaluations} evaluations: a further step would gain less than {_GAIN:g}."


def maximise(objective: Objective, starts: Iterable[Floats], names: tuple[str, ...], *, size: float) -> Maximum:
    """Return the highest of the maxima found from each of the starts, which are logarithms of parameters.

    `size` is the number of observations; the search works on the mean, so that its tolerances mean the same for
    few and for many.
    """
    counted = _Counted(objective, size)
    found = [_search(counted, start) for start in starts]
    best, low, high = min(found, key=lambda each: counted.value(each[0]))
    point, curvature = _polish(counted, best, low, high)
    return _judge(counted, point, curvature, names, (low, high))


class _Counted:
    """The mean of minus the objective; remembers how often it was asked, and the last answer."""

    def __init__(self, objective: Objective, size: float) -> None:
        self._objective = objective
        self.size = size
        self.evaluations = 0
        self._last: tuple[bytes, float, Floats] | None = None

    def __call__(self, point: Floats) -> tuple[float, Floats]:
        key = point.tobytes()
        if self._last is None or self._last[0] != key:
            self.evaluations += 1
            # Far from the data a parameter may overflow; the search then sees infinity and turns round.
            with np.errstate(all="ignore"):
                value, gradient = self._objective(point)
            good = np.isfinite(value) and bool(np.all(np.isfinite(gradient)))
            answer = (-value / self.size, -gradient / self.size) if good else (np.inf, np.zeros_like(point))
            self._last = (key, *answer)
        return self._last[1], self._last[2]

    def value(self, point: Floats) -> float:
        return self(point)[0]

    def gradient(self, point: Floats) -> Floats:
        return self(point)[1]


def _search(objective: _Counted, start: Floats) -> tuple[Floats, Floats, Floats]:
    """Go downhill from a start; return the point and the limits of the range."""
    low, high = start - _REACH, start + _REACH
    found = optimize.minimize(
        objective,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=optimize.Bounds(low, high),
        options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-7},
    )
    return np.asarray(found.x, dtype=np.float64), low, high


def _polish(objective: _Counted, point: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Take Newton steps while they gain; return the point and the curvature there."""
    curvature = _curvature(objective, point)
    for _ in range(_NEWTON_STEPS):
        value, gradient = objective(point)
        step = _newton(curvature, gradient)
        if step is None or float((gradient * step).sum()) * objective.size < _GAIN / 1000:
            break
        trial = np.clip(point - step, low, high)
        if not objective.value(trial) < value:
            break
        point, curvature = trial, _curvature(objective, trial)
    return point, curvature


def _newton(curvature: Floats, gradient: Floats) -> Floats | None:
    """Return the Newton step, or None where the surface is not curved like a minimum."""
    try:
        lower = np.linalg.cholesky(curvature)
    except np.linalg.LinAlgError:
        return None
    step: Floats = np.linalg.solve(lower.T, np.linalg.solve(lower, gradient))
    return step


def _curvature(objective: _Counted, point: Floats) -> Floats:
    """Return the second derivatives, by central differences of the gradient, which is exact."""
    rows = []
    for place in range(point.size):
        shift = np.zeros_like(point)
        shift[place] = _STEP
        rows.append((objective.gradient(point + shift) - objective.gradient(point - shift)) / (2 * _STEP))
    square = np.stack(rows)
    return (square + square.T) / 2


def _judge(
    objective: _Counted, point: Floats, curvature: Floats, names: tuple[str, ...], limits: tuple[Floats, Floats]
) -> Maximum:
    value, gradient = objective(point)
    step = _newton(curvature, gradient)
    nothing = np.full_like(point, np.nan)
    gain = np.nan if step is None else float((gradient * step).sum()) * objective.size / 2
    log_errors = nothing if step is None else np.sqrt(np.diag(np.linalg.inv(curvature)) / objective.size)
    close = (point - limits[0] < 1e-6) | (limits[1] - point < 1e-6)
    parameters = np.exp(point)
    return Maximum(
        names=names,
        parameters=parameters,
        standard_errors=parameters * log_errors,
        log_errors=log_errors,
        log_likelihood=-value * objective.size,
        gain=gain,
        evaluations=objective.evaluations,
        at_limit=tuple(name for name, at in zip(names, close, strict=True) if at),
    )
