"""Lifetimes that end unseen: closed forms against integrals of many digits, curves against the truth they were drawn from."""

import math

import mpmath
import numpy as np
import pytest

from analytics.stats import buying, silence, survival
from analytics.stats.histories import Histories
from tests.unit.stats import customers

MODELS = [
    (buying.ModelName.BG_NBD, (0.6, 8.0, 0.8, 2.4)),
    (buying.ModelName.MBG_NBD, (0.7, 9.0, 0.9, 2.0)),
    (buying.ModelName.PARETO_NBD, (0.8, 10.0, 0.7, 30.0)),
]
NAMES = [name for name, _ in MODELS]


@pytest.fixture(scope="module", params=MODELS, ids=NAMES)
def crowd(request: pytest.FixtureRequest) -> tuple[buying.ModelName, tuple[float, ...], Histories, buying.Fit]:
    name, truth = request.param
    found = Histories.of(*customers.simulate(str(name), truth, customers=4_000, seed=5))
    return name, truth, found, buying.fit(name, found)


def _uncertain(name: buying.ModelName, fitted: buying.Fit) -> silence.Uncertain:
    asked = fitted.asked
    return silence.Uncertain(
        lambda logs: buying.model_of(name, np.exp(logs)), np.log(asked.parameters), asked.log_covariance
    )


@pytest.mark.parametrize(("name", "parameters"), MODELS, ids=NAMES)
@pytest.mark.parametrize(("x", "age", "ahead"), [(0, 5.0, 3.0), (3, 40.0, 52.0), (200, 365.0, 900.0)])
def test_staying_is_the_mean_over_rates(
    name: buying.ModelName, parameters: tuple[float, ...], x: int, age: float, ahead: float
) -> None:
    r, alpha, third, fourth = (mpmath.mpf(each) for each in parameters)
    if name is buying.ModelName.PARETO_NBD:
        wanted = mpmath.quad(
            lambda m: mpmath.exp(-m * ahead) * m ** (third - 1) * mpmath.exp(-m * (fourth + age)),
            [0, 0.02, 1, mpmath.inf],
        ) / mpmath.quad(lambda m: m ** (third - 1) * mpmath.exp(-m * (fourth + age)), [0, 0.02, 1, mpmath.inf])
    else:
        stays = fourth + x + (name is buying.ModelName.MBG_NBD)
        wanted = mpmath.quad(
            lambda p: (
                p ** (third - 1) * (1 - p) ** (stays - 1) * ((alpha + age) / (alpha + age + p * ahead)) ** (r + x)
            ),
            [0, 0.001, 0.01, 0.1, 0.5, 1],
        ) / mpmath.beta(third, stays)
    found = Histories.of([x], [0.0 if not x else age / 2], [age])
    told = buying.staying(buying.model_of(name, np.array(parameters)), found, ahead)
    assert told == pytest.approx([float(wanted)], rel=1e-7)


@pytest.mark.parametrize(("x", "recency", "age"), [(0, 0.0, 40.0), (5, 31.0, 40.0), (400, 300.0, 320.0)])
def test_when_pareto_customers_went(x: int, recency: float, age: float) -> None:
    r, alpha, s, beta = (0.8, 10.0, 0.7, 30.0)
    edges = np.arange(0.0, 330.0, 7.0)
    model = buying.model_of(buying.ModelName.PARETO_NBD, np.array([r, alpha, s, beta]))
    (told,) = model.when_gone(Histories.of([x], [recency], [age]), edges)

    def density(u: mpmath.mpf) -> mpmath.mpf:
        # As parts of the density at the last purchase, because the quadrature's tolerance is absolute.
        return ((alpha + recency) / (alpha + u)) ** (r + x) * ((beta + recency) / (beta + u)) ** (s + 1)

    whole = mpmath.quad(density, mpmath.linspace(recency, age, 9))
    for place, chance in enumerate(told):
        low, high = (min(max(edges[place + each], recency), age) for each in (0, 1))
        wanted = float(mpmath.quad(density, [low, high]) / whole) if high > low else 0.0
        assert chance == pytest.approx(wanted, rel=1e-8, abs=1e-14)
    assert told.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("name", [buying.ModelName.BG_NBD, buying.ModelName.MBG_NBD])
def test_the_others_go_after_their_last_purchase(name: buying.ModelName) -> None:
    model = buying.model_of(name, np.array([0.6, 8.0, 0.8, 2.4]))
    told = model.when_gone(
        Histories.of([0, 2, 3], [0.0, 7.0, 13.0], [20.0, 20.0, 20.0]), np.array([0.0, 7.0, 14.0, 21.0])
    )
    assert told.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]


def test_curves_are_those_the_customers_were_drawn_from(
    crowd: tuple[buying.ModelName, tuple[float, ...], Histories, buying.Fit],
) -> None:
    name, truth, found, fitted = crowd
    drawn = silence.curve(found, _uncertain(name, fitted), unit=1.0, confidence=0.95, log_log=True)
    model = buying.model_of(name, np.array(truth))
    ends = drawn.counts.times + 1
    # Purchases are where customers leave, so a new customer's chance to stay is that of one who is alive at birth.
    wanted = model.alive_at_birth() * model.staying(np.zeros(1), np.zeros(1), ends)
    assert np.all(np.abs(drawn.survival - wanted) < 4 * drawn.std_err)
    # The parameters are uncertain too.
    known = silence.Uncertain(_uncertain(name, fitted).at, np.log(fitted.asked.parameters), np.zeros((4, 4)))
    sure = silence.curve(found, known, unit=1.0, confidence=0.95, log_log=True)
    assert np.all(sure.std_err < drawn.std_err)
    assert np.all(drawn.std_err < 0.1)
    assert np.all(np.diff(drawn.survival, prepend=1.0) <= 0)


def test_everybody_is_counted_once(crowd: tuple[buying.ModelName, tuple[float, ...], Histories, buying.Fit]) -> None:
    _, _, found, fitted = crowd
    counts = silence.Expected.of(found, 7.0).counts(fitted.model)
    assert counts.censored.sum() == pytest.approx(fitted.model.alive(found).sum())
    assert (counts.events + counts.censored).sum() == pytest.approx(4_000)
    assert counts.at_risk[0] == pytest.approx(4_000)


def test_variance_of_what_is_unseen_is_that_of_drawing_it(
    crowd: tuple[buying.ModelName, tuple[float, ...], Histories, buying.Fit],
) -> None:
    """Say of each customer by lot, as the model tells, whether and when it left; curves differ from lot to lot."""
    _, _, found, fitted = crowd
    some = found.part(slice(300))
    expected = silence.Expected.of(some, 7.0)
    told = expected.unseen_variance(fitted.model, expected.counts(fitted.model))
    gone = (1 - fitted.model.alive(some))[:, None] * fitted.model.when_gone(some, expected.edges)
    steps, last = np.cumsum(gone, axis=1), np.floor(some.age / 7.0).astype(int)
    chance, curves = np.random.default_rng(3), []
    for _ in range(600):
        drawn = chance.random(300)
        place = (drawn[:, None] >= steps).sum(axis=1)
        left = place < steps.shape[1]
        size = expected.edges.size - 1
        counts = survival.Counts(
            np.arange(float(size)),
            np.bincount(place[left], minlength=size),
            np.bincount(last[~left], minlength=size),
        )
        curves.append(np.log(survival.kaplan_meier(counts, confidence=0.95, log_log=True).survival))
    assert told[3:9] == pytest.approx(np.var(curves, axis=0)[3:9], rel=0.3)


def test_variance_of_parameters_is_that_of_drawing_them(
    crowd: tuple[buying.ModelName, tuple[float, ...], Histories, buying.Fit],
) -> None:
    name, _, found, fitted = crowd
    expected, uncertain = silence.Expected.of(found.part(slice(500)), 7.0), _uncertain(name, fitted)
    told = expected.parameter_variance(uncertain)
    drawn = np.random.default_rng(3).multivariate_normal(uncertain.logs, uncertain.covariance, size=120)
    curves = [
        np.log(survival.kaplan_meier(expected.counts(uncertain.at(each)), confidence=0.95, log_log=True).survival)
        for each in drawn
    ]
    assert told[2:9] == pytest.approx(np.var(curves, axis=0)[2:9], rel=0.5)


def test_the_chance_of_silence_is_that_of_no_purchase() -> None:
    r, alpha, x, recency, age = 0.6, 8.0, 4, 20.0, 50.0
    wanted = mpmath.quad(
        lambda rate: mpmath.exp(-rate * (age - recency)) * rate ** (r + x - 1) * mpmath.exp(-rate * (alpha + recency)),
        [0, 0.1, 1, mpmath.inf],
    ) / (mpmath.gamma(r + x) / (alpha + recency) ** (r + x))
    told = silence.chance_of_silence(Histories.of([x], [recency], [age]), r=r, alpha=alpha)
    assert math.isclose(told[0], float(wanted), rel_tol=1e-9)
