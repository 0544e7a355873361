"""Predictions under given parameters against the papers' formulas to forty digits, for thousands of purchases too."""

import itertools
import math

import hypothesis
import mpmath
import numpy as np
import pytest
from hypothesis import strategies as st

from analytics.stats import buying, gamma_gamma, horizon, lasting
from analytics.stats.histories import Histories
from tests.unit.stats import reference

NAMES = list(buying.ModelName)
LOGS = st.floats(-2.0, 2.5, allow_nan=False)
PARAMETERS = st.tuples(LOGS, LOGS, LOGS, LOGS).map(lambda logs: tuple(math.exp(each) for each in logs))
HISTORY = st.tuples(
    st.one_of(st.just(0), st.integers(1, 5), st.integers(6, 4000)), st.floats(0, 1), st.floats(0.5, 500)
).map(lambda drawn: (drawn[0], drawn[1] * drawn[2] if drawn[0] else 0.0, drawn[2]))
SETTINGS = hypothesis.settings(max_examples=30, deadline=None, derandomize=True)


@pytest.mark.parametrize("name", NAMES)
@SETTINGS
@hypothesis.given(parameters=PARAMETERS, row=HISTORY, ahead=st.floats(0.1, 600))
def test_predictions_are_the_papers(
    name: buying.ModelName, parameters: tuple[float, ...], row: tuple[int, float, float], ahead: float
) -> None:
    hypothesis.assume(abs(parameters[2] - 1) > 1e-9)
    model = buying.model_of(name, np.array(parameters))
    found = buying.forecast(model, Histories.of(*([each] for each in row)), horizon.Horizon(ahead, ahead))
    alive = float(reference.ALIVE[name](parameters, *row))
    assert found.alive[0] == pytest.approx(alive, rel=1e-9, abs=1e-300)
    with mpmath.workdps(80):
        expected = float(reference.EXPECTED[name](parameters, *row, ahead))
    assert found.expected[0] == pytest.approx(expected, rel=1e-8, abs=1e-300)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("third", [0.4, 0.999999, 1.0, 1.000001, 3.0])
def test_nothing_is_special_about_one(name: buying.ModelName, third: float) -> None:
    """The closed forms divide by a - 1 or s - 1; the predictions pass smoothly through 1."""
    rows = Histories.of([0, 3, 2000], [0.0, 20.0, 30.0], [30.0, 30.0, 30.0])

    def expected(value: float) -> list[float]:
        model = buying.model_of(name, np.array([0.6, 7.0, value, 2.5]))
        return list(buying.forecast(model, rows, horizon.Horizon(52, 52)).expected)

    between = (np.array(expected(third - 1e-5)) + np.array(expected(third + 1e-5))) / 2
    assert expected(third) == pytest.approx(list(between), rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_discounted_orders_are_the_sum_of_steps(name: buying.ModelName) -> None:
    parameters, row = (0.6, 7.0, 1.3, 2.5), (4, 21.0, 30.0)
    model, found = buying.model_of(name, np.array(parameters)), Histories.of(*([each] for each in row))
    ahead = horizon.Horizon(20.5, 3, 0.02)
    ends = [3, 6, 9, 12, 15, 18, 20.5]
    sums = [0.0, *(float(reference.EXPECTED[name](parameters, *row, end)) for end in ends)]
    steps = [after - before for before, after in itertools.pairwise(sums)]
    told = buying.forecast(model, found, ahead)
    assert told.expected[0] == pytest.approx(sums[-1], rel=1e-10)
    worth = sum(step / 1.02**end for step, end in zip(steps, ends, strict=True))
    assert told.discounted[0] == pytest.approx(worth, rel=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_new_customers_are_those_without_history(name: buying.ModelName) -> None:
    parameters = (0.6, 7.0, 1.3, 2.5)
    model, nobody = buying.model_of(name, np.array(parameters)), Histories.of([0], [0.0], [0.0])
    ahead = horizon.Horizon(52, 1, 0.001)
    told, discounted = buying.new_customer(model, ahead)
    known = buying.forecast(model, nobody, ahead)
    assert told == pytest.approx(float(known.expected[0]), rel=1e-10)
    assert discounted == pytest.approx(float(known.discounted[0]), rel=1e-10)
    assert told == pytest.approx(float(reference.EXPECTED[name](parameters, 0, 0, 0, 52)), rel=1e-10)


def test_without_dropout_orders_grow_with_time() -> None:
    told = buying.forecast(lasting.Lasting(2.0, 10.0), Histories.of([3], [4.0], [15.0]), horizon.Horizon(50, 1))
    assert told.alive[0] == 1
    assert told.expected[0] == pytest.approx(5 / 25 * 50, rel=1e-12)


def test_published_predictions_of_bg_nbd() -> None:
    """Fader, Hardie & Lee (2005): a new customer's year, and a customer of 26 purchases."""
    model = buying.model_of(buying.ModelName.BG_NBD, np.array([0.2426, 4.4136, 0.7929, 2.4259]))
    assert buying.new_customer(model, horizon.Horizon(52, 52))[0] == pytest.approx(1.4440, abs=1e-4)
    told = buying.forecast(model, Histories.of([26], [30.857], [31]), horizon.Horizon(52, 52))
    assert told.alive[0] == pytest.approx(0.96885, abs=1e-5)
    assert told.expected[0] == pytest.approx(25.757, abs=1e-3)


def test_spend_leans_on_what_was_seen() -> None:
    model = gamma_gamma.GammaGamma(6.25, 3.74, 15.44)
    alone, few, many = model.expected(np.array([0.0, 1.0, 500.0]), np.array([0.0, 80.0, 80.0]))
    assert alone == pytest.approx(6.25 * 15.44 / 2.74)
    assert few == pytest.approx(6.25 * (15.44 + 80) / (6.25 + 2.74))
    assert alone < few < many < 80
    assert model.population_mean == pytest.approx(alone)


def test_spend_may_have_no_mean() -> None:
    model = gamma_gamma.GammaGamma(0.5, 0.9, 10.0)
    assert model.population_mean == math.inf
    assert list(model.expected(np.array([0.0, 1.0]), np.array([0.0, 20.0]))) == [
        math.inf,
        pytest.approx(0.5 * 30 / 0.4),
    ]


@pytest.mark.parametrize("name", NAMES[:2])
@pytest.mark.parametrize(("a", "b"), [(9.9, 40.0), (10.1, 40.0), (300.0, 700.0), (4e4, 1.6e5), (0.5, 2e4), (60.0, 0.5)])
def test_customers_who_are_nearly_alike_are_predicted_too(name: buying.ModelName, a: float, b: float) -> None:
    """Where a and b run along the ridge on which only their ratio is known."""
    model = buying.model_of(name, np.array([0.7, 10.0, a, b]))
    rows = Histories.of([0, 3, 40], [0.0, 20.0, 28.0], [30.0, 30.0, 30.0])
    found = buying.forecast(model, rows, horizon.Horizon(52, 52))
    first = 1 if name is buying.ModelName.MBG_NBD else 0
    for place, x in enumerate((0, 3, 40)):
        left = b + x + first

        def fall(p: mpmath.mpf, x: int = x) -> mpmath.mpf:
            return (1 - (1 + p * 52 / mpmath.mpf(40)) ** -(mpmath.mpf("0.7") + x)) / p

        mean, spread = a / (a + left), (a * left / (a + left) ** 2 / (a + left + 1)) ** 0.5
        cuts = sorted({min(max(mean + steps * spread, 0.0), 1.0) for steps in (-40, -8, -3, 0, 3, 8, 40)} | {0.0, 1.0})
        # The chance is integrated over its density, a little apart from what hypergeometric functions are.
        with mpmath.workdps(20):
            weight = mpmath.exp(mpmath.loggamma(a + left) - mpmath.loggamma(a) - mpmath.loggamma(left))

            def mass(p: mpmath.mpf, left: float = left, weight: mpmath.mpf = weight) -> mpmath.mpf:
                return p ** (a - 1) * (1 - p) ** (left - 1) * fall(p) * weight

            total = mpmath.quad(mass, cuts)
        assert found.expected[place] == pytest.approx(float(found.alive[place] * total), rel=1e-7)
