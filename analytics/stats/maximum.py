"""Maximum likelihood for models whose parameters are positive: searched and judged on the scale of their logarithms."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from analytics.stats.histories import Floats

# Log-likelihood and its gradient at the logarithms of the parameters.
Objective = Callable[[Floats], tuple[float, Floats]]

# How far, on the log scale, a search may go from where it started: a factor of sixty thousand.
_REACH = 11.0
_STEP = 1e-4
_SEARCH_STEPS = 300
_HALVINGS = 15
# Three steps that gain less log-likelihood than this end a search.
_IDLE = 1e-9
# The longest step of a search, a factor of seven; and the slope of log-likelihood below which Newton steps take over.
_LEAP = 2.0
_NEAR = 1e-3
_NEWTON_STEPS = 12
# Log-likelihood that a further step would still gain, at most, when the search is called converged.
_GAIN = 1e-6
_ENOUGH = _GAIN / 1000
# A parameter whose logarithm has a larger standard error is not known even to its order of magnitude.
_VAGUE = 2.0
# Where log-likelihood bends less than this, over a factor of e, the data say nothing; parameters with more than a
# twentieth part in such a direction are not determined.
_FLAT = 1e-3
_PART = 0.05


@dataclass(frozen=True, slots=True)
class Maximum:
    """Where a log-likelihood is highest.

    Attributes:
        names: of the parameters.
        parameters: the estimates.
        standard_errors: of the estimates, by the observed information and the delta method; nan where there is none.
        log_errors: the same for the logarithms of the parameters.
        log_covariance: of the logarithms, leaving out the directions in which the data say nothing.
        log_likelihood: at the estimates.
        gain: what a further Newton step promises; nan where the surface is not curved like a maximum.
        evaluations: how often the log-likelihood was computed.
        at_limit: parameters that ran to the end of the range searched.
    """

    names: tuple[str, ...]
    parameters: Floats
    standard_errors: Floats
    log_errors: Floats
    log_covariance: Floats
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


@dataclass(frozen=True, slots=True)
class Problem:
    """What is to be maximised.

    Attributes:
        objective: the log-likelihood of all observations.
        size: how many observations there are; the search works on the mean, so that its tolerances mean the same for
            few and for many.
        preview: the log-likelihood of a part of them, weighted to stand for all; where it is cheaper, the search is
            made on it, and all observations only correct the outcome.
    """

    objective: Objective
    size: float
    preview: Objective | None = None


def maximise(problem: Problem, starts: Iterable[Floats], names: tuple[str, ...]) -> Maximum:
    """Return the highest of the maxima found from each of the starts, which are logarithms of parameters."""
    counted = _Counted(problem.objective, problem.size)
    first = counted if problem.preview is None else _Counted(problem.preview, problem.size)
    found = [_search(first, start) for start in starts]
    best, low, high = min(found, key=lambda each: first.value(each[0]))
    if first is not counted:
        best = _correct(counted, best, _surface(first, best), (low, high))
    point, surface = _polish(counted, best, (low, high))
    if first is not counted and not surface.gain < _GAIN:
        point, surface = _polish(counted, _search(counted, point)[0], (low, high))
    return _judge(counted, point, surface, names, (low, high))


class _Counted:
    """The mean of minus the objective; remembers every answer."""

    def __init__(self, objective: Objective, size: float) -> None:
        self._objective = objective
        self.size = size
        self.evaluations = 0
        self._known: dict[bytes, tuple[float, Floats]] = {}

    def __call__(self, point: Floats) -> tuple[float, Floats]:
        key = point.tobytes()
        if key not in self._known:
            self.evaluations += 1
            # Far from the data a parameter may overflow; the search then sees infinity and turns round.
            with np.errstate(all="ignore"):
                value, gradient = self._objective(point)
            good = np.isfinite(value) and bool(np.all(np.isfinite(gradient)))
            answer = (-value / self.size, -gradient / self.size) if good else (np.inf, np.zeros_like(point))
            self._known[key] = answer
        return self._known[key]

    def value(self, point: Floats) -> float:
        return self(point)[0]

    def gradient(self, point: Floats) -> Floats:
        return self(point)[1]


def _search(objective: _Counted, start: Floats) -> tuple[Floats, Floats, Floats]:
    """Go downhill from a start by the method of Broyden, Fletcher, Goldfarb and Shanno; return point and limits.

    Four parameters need no linear algebra from a library, whose threads would wait for each other longer than it
    takes. The end is only approached, because Newton steps follow.
    """
    low, high = start - _REACH, start + _REACH
    point, inverse, idle = start, np.eye(start.size), 0
    for _ in range(_SEARCH_STEPS):
        value, gradient = objective(point)
        blocked = ((point <= low) & (gradient > 0)) | ((point >= high) & (gradient < 0))
        slope = np.where(blocked, 0.0, gradient)
        step = np.where(blocked, 0.0, -(inverse * slope).sum(axis=1))
        if np.abs(slope).max() * objective.size < _NEAR:
            break
        step = step * min(1.0, _LEAP / np.abs(step).max())
        trials = (np.clip(point + step * 0.5**halved, low, high) for halved in range(_HALVINGS))
        promised = 1e-4 * (step * slope).sum()
        better = next((trial for trial in trials if objective.value(trial) < value + promised * 0.1), None)
        # On a ridge the likelihood rises for ever by less and less.
        idle = 0 if better is not None and (value - objective.value(better)) * objective.size > _IDLE else idle + 1
        if better is None or idle > 2:
            break
        inverse = _updated(inverse, better - point, objective.gradient(better) - gradient, is_first=point is start)
        point = better
    return point, low, high


def _updated(inverse: Floats, step: Floats, change: Floats, *, is_first: bool) -> Floats:
    """Return the inverse curvature as a step and the change of the gradient along it tell."""
    bend = float((step * change).sum())
    if bend <= 1e-12 * float((step * step).sum()):
        return inverse
    if is_first:
        inverse = inverse * bend / float((change * change).sum())
    pushed = (inverse * change).sum(axis=1)
    both = step[:, None] * pushed + pushed[:, None] * step
    length = 1 + float((change * pushed).sum()) / bend
    found: Floats = inverse + (length * step[:, None] * step - both) / bend
    return found


@dataclass(frozen=True, slots=True)
class _Surface:
    """The shape of the log-likelihood around a point, along the directions in which it bends by itself.

    Attributes:
        bends: how much it bends downwards in each direction.
        directions: unit vectors, one per column.
        slope: minus its gradient.
    """

    bends: Floats
    directions: Floats
    slope: Floats

    @property
    def step(self) -> Floats:
        """Where a maximum would be, in the directions that are bent."""
        along = (self.directions * self.slope[:, None]).sum(axis=0)
        lengths = np.where(self.bends > _FLAT, along / np.maximum(self.bends, _FLAT), 0.0)
        found: Floats = -(self.directions * lengths).sum(axis=1)
        return found

    @property
    def gain(self) -> float:
        """What the step promises, with what a step by a factor of e would gain in flat directions; nan at no maximum."""
        if self.bends[0] < -_FLAT:
            return np.nan
        along = (self.directions * self.slope[:, None]).sum(axis=0)
        curved = self.bends > _FLAT
        return float((along[curved] ** 2 / self.bends[curved]).sum() / 2 + np.abs(along[~curved]).sum())

    @property
    def errors(self) -> Floats:
        """Standard errors by the observed information; nan for what the data do not determine."""
        curved = self.bends > _FLAT
        errors = np.sqrt((self.directions[:, curved] ** 2 / self.bends[curved]).sum(axis=1))
        lost = (np.abs(self.directions[:, ~curved]) > _PART).any(axis=1)
        return np.where(lost, np.nan, errors)

    @property
    def covariance(self) -> Floats:
        """Covariance by the observed information, of the part of a point that the data determine."""
        curved = self.bends > _FLAT
        known = self.directions[:, curved]
        found: Floats = (known[:, None, :] * known[None, :, :] / self.bends[curved]).sum(axis=2)
        return found

    def at(self, objective: _Counted, point: Floats) -> "_Surface":
        """Return a surface of the same shape with the slope at a point."""
        return _Surface(self.bends, self.directions, objective.gradient(point) * objective.size)

    def learnt(self, objective: _Counted, step: Floats, point: Floats) -> "_Surface":
        """Return the surface at a point, its shape corrected by how the gradient changed on the step that led there."""
        after = self.at(objective, point)
        change = after.slope - self.slope
        square = (self.directions[:, None, :] * self.directions[None, :, :] * self.bends).sum(axis=2)
        pushed = (square * step).sum(axis=1)
        bend, before = float((step * change).sum()), float((step * pushed).sum())
        if not (bend > 0 and before > 0):
            return after
        square += change[:, None] * change / bend - pushed[:, None] * pushed / before
        return _Surface(*np.linalg.eigh((square + square.T) / 2), after.slope)


def _surface(objective: _Counted, point: Floats) -> _Surface:
    """Find the shape by central differences of the gradient, which is exact."""
    rows = []
    for place in range(point.size):
        shift = np.zeros_like(point)
        shift[place] = _STEP
        rows.append((objective.gradient(point + shift) - objective.gradient(point - shift)) / (2 * _STEP))
    square = np.stack(rows) * objective.size
    if not np.all(np.isfinite(square)):
        square = np.zeros_like(square)
    bends, directions = np.linalg.eigh((square + square.T) / 2)
    return _Surface(bends, directions, objective.gradient(point) * objective.size)


def _correct(objective: _Counted, point: Floats, shape: _Surface, limits: tuple[Floats, Floats]) -> Floats:
    """Take Newton steps from the shape that the preview has, which each step corrects, while they gain."""
    surface = shape.at(objective, point)
    for _ in range(_NEWTON_STEPS):
        if surface.gain < _ENOUGH:
            break
        trials = (np.clip(point + surface.step * part, *limits) for part in (1.0, 0.5, 0.25))
        better = next((trial for trial in trials if objective.value(trial) < objective.value(point)), None)
        if better is None:
            break
        surface = surface.learnt(objective, better - point, better)
        point = better
    return point


def _polish(objective: _Counted, point: Floats, limits: tuple[Floats, Floats]) -> tuple[Floats, _Surface]:
    """Take Newton steps while they gain; return the point and the shape there."""
    surface = _surface(objective, point)
    for _ in range(_NEWTON_STEPS):
        trial = np.clip(point + surface.step, *limits)
        if surface.gain < _ENOUGH:
            # So small that the value cannot show it any more, but the parameters come out to more digits.
            return trial, surface.at(objective, trial)
        if not objective.value(trial) < objective.value(point):
            break
        # The shape is not another one for so short a step.
        near = np.abs(trial - point).max() < _STEP
        surface = surface.at(objective, trial) if near else _surface(objective, trial)
        point = trial
    return point, surface


def _judge(
    objective: _Counted, point: Floats, surface: _Surface, names: tuple[str, ...], limits: tuple[Floats, Floats]
) -> Maximum:
    close = (point - limits[0] < 1e-6) | (limits[1] - point < 1e-6)
    parameters = np.exp(point)
    return Maximum(
        names=names,
        parameters=parameters,
        standard_errors=parameters * surface.errors,
        log_errors=surface.errors,
        log_covariance=surface.covariance,
        log_likelihood=-objective.value(point) * objective.size,
        gain=surface.gain,
        evaluations=objective.evaluations,
        at_limit=tuple(name for name, at in zip(names, close, strict=True) if at),
    )
