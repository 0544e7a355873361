"""Fits a model of repeat buying to histories, says what can be trusted of it, and predicts with it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from analytics.stats import beta_geometric, horizon, lasting, maximum, pareto
from analytics.stats.histories import Floats, Histories

# Twice the log-likelihood that dropout must gain: what chance exceeds once in twenty times with two more parameters.
_EVIDENCE = 5.99
# Distinct histories on which the search is made where there are at least twice as many; fewer for Pareto/NBD, whose
# likelihood costs most.
_PREVIEW = 20_000
_PARETO_PREVIEW = 1_250
# Pairs of x and age times points of time that are held at once.
_CELLS = 2_000_000


class ModelName(StrEnum):
    """The models there are."""

    BG_NBD = "bg_nbd"
    MBG_NBD = "mbg_nbd"
    PARETO_NBD = "pareto_nbd"


class Model(Protocol):
    """A fitted model of repeat buying, in whichever unit of time its histories are."""

    @property
    def scale(self) -> float:
        """The time in which a new customer's pace changes."""

    @property
    def steepness(self) -> float:
        """The power of time with which it falls."""

    def alive(self, found: Histories) -> Floats:
        """Return for each history the probability that its customers are still customers."""

    def alive_at_birth(self) -> float:
        """Return the same just after the first purchase."""

    def pace(self, x: Floats, age: Floats, ahead: Floats) -> Floats:
        """Return purchases per unit of time at `ahead` time from now, of a customer who is alive now."""

    def staying(self, x: Floats, age: Floats, ahead: Floats) -> Floats:
        """Return the chance that a customer who is alive now still is after `ahead` more."""

    def when_gone(self, found: Histories, edges: Floats) -> Floats:
        """Return when the customers of each history went, should they be gone, as chances between rising edges."""


Likelihood = beta_geometric.Likelihood | pareto.Likelihood


@dataclass(frozen=True, slots=True)
class Fit:
    """A model fitted to histories.

    Attributes:
        model: what to predict with; the model without dropout where dropout cannot be told from none.
        asked: the maximum of the model that was asked for.
        without_dropout: the maximum of the same model if nobody ever left.
        dropout_seen: whether the data tell dropout from none.
    """

    model: Model
    asked: maximum.Maximum
    without_dropout: maximum.Maximum
    dropout_seen: bool

    @property
    def identified(self) -> bool:
        """Whether the parameters mean something."""
        return self.dropout_seen and not self.asked.vague


def fit(name: ModelName, found: Histories) -> Fit:
    """Fit a model by maximum likelihood to the histories of at least one customer."""
    rows = found.distinct()
    without = lasting.Likelihood(rows)
    plain = maximum.maximise(maximum.Problem(without, rows.customers), [without.start()], without.names)
    likelihood, preview = likelihoods(name, rows)
    problem = maximum.Problem(likelihood, rows.customers, preview)
    asked = maximum.maximise(problem, _starts(name, plain, rows), likelihood.names)
    # The model without dropout is a limit of the others, so theirs is never less but for the end of the range searched.
    gained = 2 * (asked.log_likelihood - plain.log_likelihood)
    seen = bool(gained >= _EVIDENCE)
    model = model_of(name, asked.parameters) if seen else lasting.Lasting(*(float(each) for each in plain.parameters))
    return Fit(model, asked, plain, seen)


def model_of(name: ModelName, parameters: Floats) -> Model:
    """Return the model with the given parameters, in the order of their names."""
    first, second, third, fourth = (float(each) for each in parameters)
    if name is ModelName.PARETO_NBD:
        return pareto.ParetoNbd(first, second, third, fourth)
    return beta_geometric.BetaGeometric(first, second, third, fourth, shift=int(name is ModelName.MBG_NBD))


def likelihoods(name: ModelName, rows: Histories) -> tuple[Likelihood, Likelihood | None]:
    """Return the likelihood, and one of a part of the rows where they are many."""
    one_of = rows.count.size // (_PARETO_PREVIEW if name is ModelName.PARETO_NBD else _PREVIEW)

    def likelihood(one_of: int) -> Likelihood:
        if name is ModelName.PARETO_NBD:
            return pareto.Likelihood(rows, one_of=one_of)
        return beta_geometric.Likelihood(rows, int(name is ModelName.MBG_NBD), one_of=one_of)

    return likelihood(1), likelihood(one_of) if one_of > 1 else None


def _starts(name: ModelName, plain: maximum.Maximum, found: Histories) -> list[Floats]:
    """Begin where buying is what it would be without dropout, with much and with little dropout."""
    r, alpha = plain.parameters
    typical = float((found.age * found.count).sum() / max(found.customers, 1.0)) or 1.0
    if name is ModelName.PARETO_NBD:
        return [np.log([r, alpha, s, beta * typical]) for s, beta in ((0.5, 0.5), (1.5, 8.0))]
    return [np.log([r, alpha, a, b]) for a, b in ((0.8, 2.4), (0.3, 6.0))]


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is expected of the customers of each row of histories.

    Attributes:
        alive: the probability of still being a customer.
        expected: purchases over the horizon.
        discounted: the same, each worth what it is worth now.
    """

    alive: Floats
    expected: Floats
    discounted: Floats


def forecast(model: Model, found: Histories, ahead: horizon.Horizon) -> Forecast:
    """Predict each history's purchases over the horizon from the end of observation."""
    alive = model.alive(found)
    pairs = found.by_age()
    rule = _rule(model, ahead.ends(), youngest=float(found.age.min(initial=np.inf)))
    weights = np.stack([rule.total(), rule.discounted(ahead.discounts())])
    sums = np.empty((2, pairs.x.size))
    at_once = max(_CELLS // rule.nodes.size, 1)
    for begin in range(0, pairs.x.size, at_once):
        part = slice(begin, begin + at_once)
        pace = model.pace(pairs.x[part, None], pairs.time[part, None], rule.nodes)
        for row, weight in enumerate(weights):
            sums[row, part] = (pace * weight).sum(axis=1)
    return Forecast(alive, alive * sums[0][pairs.at], alive * sums[1][pairs.at])


def staying(model: Model, found: Histories, ahead: float) -> Floats:
    """Return for each history the chance that a customer who is alive now still is after `ahead` more."""
    pairs = found.by_age()
    return model.staying(pairs.x[:, None], pairs.time[:, None], np.array([ahead]))[:, 0][pairs.at]


def from_birth(model: Model, ends: Floats) -> Floats:
    """Return the repeat purchases expected of a new customer up to each of rising times after the first purchase."""
    rule = _rule(model, ends, youngest=0.0)
    pace = model.pace(np.zeros(1), np.zeros(1), rule.nodes)
    found: Floats = model.alive_at_birth() * (rule.weights * pace).sum(axis=1)
    return found


def new_customer(model: Model, ahead: horizon.Horizon) -> tuple[float, float]:
    """Return the purchases expected of a new customer over the horizon, as they are and discounted."""
    steps = np.diff(from_birth(model, ahead.ends()), prepend=0.0)
    return float(steps.sum()), float((steps * ahead.discounts()).sum())


def _rule(model: Model, ends: Floats, *, youngest: float) -> horizon.Rule:
    scale = model.scale + (youngest if np.isfinite(youngest) else 0.0)
    return horizon.Rule.up_to(ends, scale=scale, steepness=model.steepness)
