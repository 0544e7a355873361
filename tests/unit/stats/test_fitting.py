"""What a fit finds: the truth behind simulated customers, the same in any unit and order, and when there is nothing to find."""

import numpy as np
import pytest

from analytics.stats import buying, gamma_gamma, maximum
from analytics.stats.histories import Floats, Histories
from tests.unit.stats.customers import simulate

TRUTH = {
    buying.ModelName.BG_NBD: (0.6, 8.0, 0.8, 2.5),
    buying.ModelName.MBG_NBD: (0.7, 6.0, 0.9, 1.8),
    buying.ModelName.PARETO_NBD: (0.6, 9.0, 0.7, 12.0),
}
NAMES = list(TRUTH)


@pytest.fixture(scope="module", params=NAMES)
def shop(request: pytest.FixtureRequest) -> tuple[buying.ModelName, tuple[Floats, Floats, Floats], buying.Fit]:
    name = request.param
    rows = simulate(name, TRUTH[name], customers=4_000, seed=11)
    return name, rows, buying.fit(name, Histories.of(*rows))


Shop = tuple[buying.ModelName, tuple[Floats, Floats, Floats], buying.Fit]


def test_it_recovers_what_was_simulated(shop: Shop) -> None:
    name, _, fit = shop
    assert fit.asked.converged, fit.asked.verdict
    assert fit.identified
    off = (np.log(fit.asked.parameters) - np.log(TRUTH[name])) / fit.asked.log_errors
    assert np.all(abs(off) < 3.5), off
    assert np.all(fit.asked.log_errors < 0.5)


def test_standard_errors_are_those_of_repeated_samples() -> None:
    """Sixteen shops of the same kind: their estimates scatter as the standard errors say."""
    name = buying.ModelName.BG_NBD
    fits = [
        buying.fit(name, Histories.of(*simulate(name, TRUTH[name], customers=1_500, seed=seed))) for seed in range(16)
    ]
    scatter = np.std([np.log(fit.asked.parameters) for fit in fits], axis=0, ddof=1)
    told = np.mean([fit.asked.log_errors for fit in fits], axis=0)
    assert np.all((scatter / told > 0.5) & (scatter / told < 1.7)), scatter / told


def test_the_unit_of_time_scales_alpha_and_beta_alone(shop: Shop) -> None:
    name, (x, recency, age), fit = shop
    weekly = buying.fit(name, Histories.of(x, recency / 7, age / 7))
    scale = np.array([1, 7, 1, 7 if name is buying.ModelName.PARETO_NBD else 1])
    assert weekly.asked.parameters * scale == pytest.approx(fit.asked.parameters, rel=1e-6)
    assert weekly.asked.standard_errors * scale == pytest.approx(fit.asked.standard_errors, rel=1e-4)
    shift = x.sum() * np.log(7)
    assert weekly.asked.log_likelihood == pytest.approx(fit.asked.log_likelihood + shift, abs=1e-5)


def test_the_order_of_customers_changes_nothing(shop: Shop) -> None:
    name, rows, fit = shop
    order = np.random.default_rng(3).permutation(rows[0].size)
    again = buying.fit(name, Histories.of(*(column[order] for column in rows)))
    assert again.asked.parameters.tobytes() == fit.asked.parameters.tobytes()
    assert again.asked.log_likelihood == fit.asked.log_likelihood


def test_a_preview_leads_to_the_same_place(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    name, rows, fit = shop
    monkeypatch.setattr(buying, "_PREVIEW", 500)
    monkeypatch.setattr(buying, "_PARETO_PREVIEW", 500)
    quick = buying.fit(name, Histories.of(*rows))
    assert quick.asked.parameters == pytest.approx(fit.asked.parameters, rel=1e-6)
    assert quick.asked.log_likelihood == pytest.approx(fit.asked.log_likelihood, abs=1e-6)
    assert quick.asked.evaluations < fit.asked.evaluations


@pytest.mark.parametrize("name", NAMES)
def test_dropout_that_is_not_there_is_not_seen(name: buying.ModelName) -> None:
    """Customers who never leave: the search may run anywhere, the fit says so and predicts without dropout."""
    x, recency, age = simulate("bg_nbd", (0.8, 20.0, 1e-9, 1e3), customers=3_000, seed=5)
    fit = buying.fit(name, Histories.of(x, recency, age))
    assert not fit.dropout_seen
    assert not fit.identified
    assert fit.without_dropout.parameters == pytest.approx([0.8, 20.0], rel=0.15)
    assert np.all(fit.model.alive(Histories.of(x, recency, age)) == 1)


def test_everybody_alike_is_not_identified_but_fits() -> None:
    """With one chance of leaving for all, a and b are known as a ratio only."""
    x, recency, age = simulate("bg_nbd", (1.0, 5.0, 2e6, 6e6), customers=3_000, seed=5)
    fit = buying.fit(buying.ModelName.BG_NBD, Histories.of(x, recency, age))
    assert fit.dropout_seen
    # A ridge that rises for ever by less and less is not climbed for ever.
    assert fit.asked.evaluations < 600
    a, b = fit.asked.parameters[2:]
    assert a / (a + b) == pytest.approx(0.25, abs=0.03)
    assert set(fit.asked.vague) == {"a", "b"}
    assert not fit.identified
    assert fit.asked.parameters[:2] == pytest.approx([1.0, 5.0], rel=0.1)
    assert np.all(np.isfinite(fit.asked.standard_errors[:2]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "rows",
    [
        [(1, 1.0, 1.0)] * 60,
        [(0, 0.0, 0.0)] * 60,
        [(0, 0.0, 0.0)] * 30 + [(1, 0.5, 700.0)] * 30,
        [(5000, 700.0, 700.0)] * 60,
    ],
    ids=["alike", "just-born", "two-kinds", "daily"],
)
def test_degenerate_customers_end_in_words(name: buying.ModelName, rows: list[tuple[float, float, float]]) -> None:
    fit = buying.fit(name, Histories.of(*np.array(rows).T))
    assert fit.asked.verdict
    assert np.isfinite(fit.asked.log_likelihood)
    assert not (fit.asked.converged and fit.identified and np.any(~np.isfinite(fit.asked.log_errors)))


def test_spend_recovers_what_was_simulated_in_any_currency() -> None:
    chance = np.random.default_rng(2)
    x = chance.integers(1, 12, 10_000).astype(np.float64)
    scale = chance.gamma(3.5, 1 / 20.0, x.size)
    mean = chance.gamma(5.0 * x, 1 / scale) / x
    model, found = gamma_gamma.fit(x, mean)
    assert found.converged
    off = (np.log(found.parameters) - np.log([5.0, 3.5, 20.0])) / found.log_errors
    assert np.all(abs(off) < 3.5), off
    cents, again = gamma_gamma.fit(x, mean * 100)
    assert (cents.p, cents.q, cents.gamma / 100) == pytest.approx((model.p, model.q, model.gamma), rel=1e-6)
    assert again.log_likelihood == pytest.approx(found.log_likelihood - x.size * np.log(100), abs=1e-5)


def test_spend_previewed_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(4)
    x = chance.integers(1, 9, 6_000).astype(np.float64)
    mean = chance.gamma(4.0 * x, 1 / chance.gamma(3.0, 1 / 20.0, x.size)) / x
    whole, _ = gamma_gamma.fit(x, mean)
    monkeypatch.setattr(gamma_gamma, "_PREVIEW", 500)
    quick, found = gamma_gamma.fit(x, mean)
    assert (quick.p, quick.q, quick.gamma) == pytest.approx((whole.p, whole.q, whole.gamma), rel=1e-6)
    assert found.converged


@pytest.mark.parametrize("row", [(0.0, 5.0), (1.0, 0.0), (2.0, -3.0)])
def test_spend_of_nothing_is_refused(row: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="worth more than nothing"):
        gamma_gamma.fit([row[0]], [row[1]])


def test_a_search_that_runs_away_says_so() -> None:
    problem = maximum.Problem(lambda logs: (float(logs.sum()), np.ones_like(logs)), 1.0)
    found = maximum.maximise(problem, [np.zeros(2)], ("a", "b"))
    assert not found.converged
    assert found.at_limit == ("a", "b")
    assert "a and b ran to the end" in found.verdict
    assert found.vague == ("a", "b")
