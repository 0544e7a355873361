"""Likelihoods and gradients against the papers' formulas to forty digits, and against the definition by integration."""

import math

import hypothesis
import mpmath
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import integrate

from analytics.stats import beta_geometric, buying, gamma_gamma, lasting, pareto
from analytics.stats.histories import Histories
from tests.unit.stats import reference

MODELS = [name.value for name in buying.ModelName]
LOGS = st.floats(-2.5, 4, allow_nan=False)
PARAMETERS = st.tuples(LOGS, LOGS, LOGS, LOGS).map(lambda logs: tuple(math.exp(each) for each in logs))
HISTORY = st.tuples(
    st.one_of(st.just(0), st.integers(1, 5), st.integers(6, 4000)), st.floats(0, 1), st.floats(0.5, 500)
).map(lambda drawn: (drawn[0], drawn[1] * drawn[2] if drawn[0] else 0.0, drawn[2]))
SETTINGS = hypothesis.settings(max_examples=30, deadline=None, derandomize=True)


def likelihood_of(name: str, found: Histories) -> buying.Likelihood:
    if name == "pareto_nbd":
        return pareto.Likelihood(found)
    return beta_geometric.Likelihood(found, shift=int(name == "mbg_nbd"))


@pytest.mark.parametrize("name", MODELS)
@SETTINGS
@hypothesis.given(parameters=PARAMETERS, rows=st.lists(HISTORY, min_size=1, max_size=4))
def test_log_likelihood_is_the_papers(
    name: str, parameters: tuple[float, ...], rows: list[tuple[int, float, float]]
) -> None:
    found = Histories.of(*np.array(rows, dtype=np.float64).T)
    value, _ = likelihood_of(name, found)(np.log(parameters))
    expected = sum(mpmath.log(reference.LIKELIHOOD[name](parameters, *row)) for row in rows)
    assert value == pytest.approx(float(expected), rel=1e-9, abs=1e-8)


@pytest.mark.parametrize("name", MODELS)
@SETTINGS
@hypothesis.given(parameters=PARAMETERS, rows=st.lists(HISTORY, min_size=1, max_size=4))
def test_gradient_is_the_slope(name: str, parameters: tuple[float, ...], rows: list[tuple[int, float, float]]) -> None:
    likelihood = likelihood_of(name, Histories.of(*np.array(rows, dtype=np.float64).T))
    _compare_slopes(likelihood, np.log(parameters))


def _compare_slopes(likelihood: object, at: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    assert callable(likelihood)
    value, gradient = likelihood(at)
    for place in range(at.size):
        step = np.zeros_like(at)
        step[place] = 1e-4
        # Five points: the error is of the fourth order in the step.
        near, far = (likelihood(at + n * step)[0] - likelihood(at - n * step)[0] for n in (1, 2))
        slope = (8 * near - far) / (12 * 1e-4)
        assert gradient[place] == pytest.approx(slope, rel=1e-5, abs=1e-7 * max(abs(value), 1))


@pytest.mark.parametrize(("x", "recency", "age"), [(0, 0.0, 3.0), (1, 2.0, 3.0), (4, 3.5, 9.0), (2, 1.0, 9.0)])
def test_likelihoods_are_what_the_stories_say(x: int, recency: float, age: float) -> None:
    """Integrate over the customers' own rates and chances, from nothing but the assumptions of each model."""
    r, alpha, third, fourth = 1.4, 2.2, 1.6, 2.8

    def density(rate: float) -> float:
        return float(alpha**r * rate ** (r - 1) * math.exp(-alpha * rate) / math.gamma(r))

    def coin(rate: float, p: float, *, first: int) -> float:
        prior = p ** (third - 1) * (1 - p) ** (fourth - 1) * math.gamma(third + fourth)
        prior /= math.gamma(third) * math.gamma(fourth)
        stayed = (1 - p) ** (x + first) * rate**x * math.exp(-rate * age)
        left = p * (1 - p) ** (x - 1 + first) * rate**x * math.exp(-rate * recency) if x + first else 0.0
        return float(density(rate) * prior * (stayed + left))

    def moment(rate: float, leaving: float) -> float:
        prior = fourth**third * leaving ** (third - 1) * math.exp(-fourth * leaving) / math.gamma(third)
        total = rate + leaving
        stayed = rate / total * math.exp(-total * age) + leaving / total * math.exp(-total * recency)
        # The two cases together: alive at the end, or gone between the last purchase and the end.
        return float(density(rate) * prior * rate ** (x - 1) * rate * stayed)

    found = Histories.of([x], [recency], [age])
    logs = np.log([r, alpha, third, fourth])
    for name, first in (("bg_nbd", 0), ("mbg_nbd", 1)):
        told, _ = integrate.dblquad(lambda p, rate, first=first: coin(rate, p, first=first), 0, 40, 0, 1)
        assert likelihood_of(name, found)(logs)[0] == pytest.approx(math.log(told), abs=1e-7)
    told, _ = integrate.dblquad(lambda leaving, rate: moment(rate, leaving), 0, 40, 0, 40)
    assert likelihood_of("pareto_nbd", found)(logs)[0] == pytest.approx(math.log(told), abs=1e-6)


@SETTINGS
@hypothesis.given(logs=st.tuples(LOGS, LOGS), rows=st.lists(HISTORY, min_size=1, max_size=4))
def test_without_dropout_it_is_the_limit(logs: tuple[float, float], rows: list[tuple[int, float, float]]) -> None:
    # Whoever bought on the last day has not left.
    x, _, age = np.array(rows, dtype=np.float64).T
    found = Histories.of(x, np.where(x > 0, age, 0.0), age)
    value, _ = lasting.Likelihood(found)(np.array(logs))
    limit, _ = likelihood_of("bg_nbd", found)(np.array([*logs, -80.0, 3.0]))
    assert value == pytest.approx(limit, rel=1e-9, abs=1e-9)
    _compare_slopes(lasting.Likelihood(found), np.array(logs))


@SETTINGS
@hypothesis.given(
    parameters=st.tuples(st.floats(0.1, 30), st.floats(0.3, 20), st.floats(0.5, 300)),
    rows=st.lists(st.tuples(st.integers(1, 2000), st.floats(0.01, 1e4)), min_size=1, max_size=5),
)
def test_spend_is_the_papers(parameters: tuple[float, float, float], rows: list[tuple[int, float]]) -> None:
    likelihood = gamma_gamma.Likelihood(*np.array(rows, dtype=np.float64).T)
    value, _ = likelihood(np.log(parameters))
    expected = sum(mpmath.log(reference.gamma_gamma(parameters, *row)) for row in rows)
    assert value == pytest.approx(float(expected), rel=1e-9, abs=1e-7)
    _compare_slopes(likelihood, np.log(parameters))
