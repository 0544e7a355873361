"""Times `clv`'s models on a million customers against `lifetimes`, and the whole report from orders in Parquet to rows."""

import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import numpy as np
import pandas as pd

from analytics import engine
from analytics.catalogue import registry
from analytics.render import chunks
from analytics.reports import registry as computing
from analytics.stats import buying, gamma_gamma, horizon
from analytics.stats.histories import Floats, Histories

Answer = TypeVar("Answer")
# What BG/NBD and Gamma-Gamma found of cdnow, in days.
TRUTH = {"r": 0.2426, "alpha": 4.4136 * 7, "a": 0.7929, "b": 2.4259, "p": 6.25, "q": 3.74, "gamma": 15.44}
DAYS = 730
HORIZON = 364
# Pareto/NBD in lifetimes takes minutes for a million customers; it gets these many, and its time is told for them.
PARETO_CUSTOMERS = 40_000
MEMORY = "1GB"
THREADS = 2


@dataclass(frozen=True, slots=True)
class Shop:
    """Simulated customers: the statistics every library takes, times in days."""

    x: Floats
    recency: Floats
    age: Floats
    mean_spend: Floats

    @classmethod
    def of(cls, customers: int, *, seed: int = 20) -> "Shop":
        """Let customers, first seen evenly over two years, buy and leave as BG/NBD says, at most once a day."""
        chance = np.random.default_rng(seed)
        age = chance.integers(1, DAYS + 1, customers).astype(np.float64)
        rate = chance.gamma(TRUTH["r"], 1 / TRUTH["alpha"], customers)
        leaves = chance.beta(TRUTH["a"], TRUTH["b"], customers)
        x, recency, now = np.zeros(customers), np.zeros(customers), np.zeros(customers)
        buying_still = np.arange(customers)
        while buying_still.size:
            now[buying_still] += chance.exponential(1 / np.maximum(rate[buying_still], 1e-12))
            buying_still = buying_still[now[buying_still] <= age[buying_still]]
            day = np.ceil(now[buying_still])
            fresh = buying_still[day > recency[buying_still]]
            x[fresh] += 1
            recency[buying_still] = day
            buying_still = buying_still[chance.random(buying_still.size) >= leaves[buying_still]]
        scale = chance.gamma(TRUTH["q"], 1 / TRUTH["gamma"], customers)
        many = np.maximum(x, 1)
        spend = chance.gamma(TRUTH["p"] * many, 1 / scale) / many
        return cls(x, recency, age, np.maximum(spend.round(2), 0.01))

    def first(self, customers: int) -> "Shop":
        part = slice(customers)
        return Shop(self.x[part], self.recency[part], self.age[part], self.mean_spend[part])


def measure(customers: int = 1_000_000, repeats: int = 3) -> dict[str, float]:
    """Return seconds of both libraries for fitting and predicting, their log-likelihoods, and what the report takes."""
    shop = Shop.of(customers)
    figures = {"customers": float(customers), "distinct_histories": float(_code(shop).distinct().x_at.size)}
    for name in ("bg_nbd", "mbg_nbd"):
        figures |= _compare(name, shop, repeats)
    figures |= _compare("pareto_nbd", shop.first(PARETO_CUSTOMERS), repeats)
    ours, _ = _best(repeats, lambda: buying.fit(buying.ModelName.PARETO_NBD, _code(shop)))
    figures["pareto_nbd_fit_seconds_all_customers"] = ours
    figures |= _compare_spend(shop, repeats)
    with tempfile.TemporaryDirectory() as folder:
        figures["report_seconds_from_orders_to_rows"] = _report(Path(folder), customers)
    return figures


def _code(shop: Shop) -> Histories:
    return Histories.of(shop.x, shop.recency, shop.age)


def _best(repeats: int, work: Callable[[], Answer]) -> tuple[float, Answer]:
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        answer = work()
        taken.append(time.perf_counter() - begun)
    return min(taken), answer


def _compare(name: str, shop: Shop, repeats: int) -> dict[str, float]:
    """Fit and predict with both, coding and counting histories included in ours; refuse to time different answers."""
    ours, fitted = _best(repeats, lambda: buying.fit(buying.ModelName(name), _code(shop)))
    ahead = horizon.Horizon(HORIZON, HORIZON)
    predicting, told = _best(repeats, lambda: buying.forecast(fitted.model, _code(shop), ahead).expected)
    theirs, other = _best(1, lambda: _lifetimes(name).fit(*_series(shop)))
    their_predicting, said = _best(
        1, lambda: other.conditional_expected_number_of_purchases_up_to_time(HORIZON, *_series(shop))
    )
    # Both are judged by our likelihood, because lifetimes leaves out what does not depend on its parameters.
    found = _code(shop).distinct()
    likelihood, _ = buying.likelihoods(buying.ModelName(name), found)
    log_likelihood, _ = likelihood(np.log(np.array([other.params_[each] for each in fitted.asked.names])))
    if fitted.asked.log_likelihood < log_likelihood - 1e-3:
        raise AssertionError(f"{name}: lifetimes found a higher likelihood")
    if not np.allclose(told, np.asarray(said), rtol=0.02, atol=1e-3):
        raise AssertionError(f"{name}: predictions differ")
    return {
        f"{name}_customers": float(shop.x.size),
        f"{name}_fit_seconds": ours,
        f"{name}_fit_seconds_lifetimes": theirs,
        f"{name}_fit_times_faster": theirs / ours,
        f"{name}_predict_seconds": predicting,
        f"{name}_predict_seconds_lifetimes": their_predicting,
        f"{name}_log_likelihood_above_lifetimes": fitted.asked.log_likelihood - log_likelihood,
    }


def _series(shop: Shop) -> tuple["pd.Series[float]", ...]:
    return tuple(pd.Series(column) for column in (shop.x, shop.recency, shop.age))


def _lifetimes(name: str) -> Any:
    """Return its fitter; importing it changes an option of pandas and warns, which is its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lifetimes  # noqa: PLC0415 - the peer is loaded only where it is measured
    fitters = {
        "bg_nbd": lifetimes.BetaGeoFitter,
        "mbg_nbd": lifetimes.ModifiedBetaGeoFitter,
        "pareto_nbd": lifetimes.ParetoNBDFitter,
        "gamma_gamma": lifetimes.GammaGammaFitter,
    }
    return fitters[name]()


def _compare_spend(shop: Shop, repeats: int) -> dict[str, float]:
    back = shop.x > 0
    x, mean = shop.x[back], shop.mean_spend[back]
    ours, (_, found) = _best(repeats, lambda: gamma_gamma.fit(x, mean))
    theirs, other = _best(1, lambda: _lifetimes("gamma_gamma").fit(pd.Series(x), pd.Series(mean)))
    log_likelihood, _ = gamma_gamma.Likelihood(x, mean)(np.log([other.params_[each] for each in ("p", "q", "v")]))
    if found.log_likelihood < log_likelihood - 1e-3:
        raise AssertionError("gamma_gamma: lifetimes found a higher likelihood")
    return {
        "gamma_gamma_fit_seconds": ours,
        "gamma_gamma_fit_seconds_lifetimes": theirs,
        "gamma_gamma_fit_times_faster": theirs / ours,
    }


# As many orders as customers come to: each customer's purchases a day apart from the first at least.
ORDERS = """
copy (
    select (c * 1000 + n)::varchar as order_id, 'c' || lpad(c::varchar, 8, '0') as customer_id,
        timestamptz '2022-01-01 09:00:00+00' + to_days((hash(c) % 365)::int)
            + to_days((n * (1 + hash(c, 1) % 60) + hash(c, n) % 5)::int) as ordered_at,
        (5 + hash(c, 2) % 90 + (hash(c, n, 3) % 1000) / 100.0)::decimal(18, 4) as amount, 'GBP' as currency, 'sale' as kind
    from range({customers}) customers(c), range(12) orders(n) where n <= hash(c, 4) % (1 + hash(c, 5) % 12)
) to '{path}'"""


def _report(folder: Path, customers: int) -> float:
    """Return the seconds of the whole report: orders read, histories made, models fitted, rows encoded."""
    path = folder / "orders.parquet"
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(ORDERS.format(customers=customers, path=path))
    params = registry.REPORT_TYPES["clv"].parse_params({}, timezone="Europe/London", currency="GBP")
    begun = time.perf_counter()
    with engine.open_tables(
        [engine.Snapshot("orders", 0, (str(path),), 0)],
        memory_limit=MEMORY,
        threads=THREADS,
        spill_folder=folder / "spill",
    ) as tables:
        answer = computing.COMPUTE["clv"](tables, params)
    for _ in chunks.encode(answer.rows):
        pass
    taken = time.perf_counter() - begun
    if answer.rows.num_rows != customers or not all(invariant.holds for invariant in answer.invariants):
        raise AssertionError(f"the report on {customers} customers does not hold: {answer.invariants}")
    return taken
