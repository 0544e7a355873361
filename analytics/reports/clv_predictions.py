"""Fits the models of `clv` to what was observed and predicts each customer's orders, spend and value."""

from dataclasses import dataclass

import numpy as np

from analytics.catalogue import clv
from analytics.reports import clv_histories
from analytics.stats import buying, gamma_gamma, horizon, maximum
from analytics.stats.histories import Floats


@dataclass(frozen=True, slots=True)
class Spending:
    """The model of spend.

    Attributes:
        model: None where none was asked for, or too few have spent anything.
        fit: how it was found.
        customers: how many it was fitted to.
        correlation: between x and mean_spend among them; None where it is not defined.
        worthless: customers with x >= 1 whose mean_spend is not positive.
    """

    model: gamma_gamma.GammaGamma | None
    fit: maximum.Maximum | None
    customers: int
    correlation: float | None
    worthless: int


@dataclass(frozen=True, slots=True)
class Predictions:
    """What is expected of each customer, in the order observed; nan where it cannot be told.

    Attributes:
        alive: the probability of still being a customer.
        orders: transactions over the horizon.
        spend: the mean of future transactions.
        value: discounted margin over the horizon.
        held_out: transactions over the days held out; None without any.
        new_orders: transactions over the horizon of a customer who has just bought for the first time.
        new_value: discounted margin of such a customer.
    """

    alive: Floats
    orders: Floats
    spend: Floats
    value: Floats
    held_out: Floats | None
    new_orders: float
    new_value: float


def fit_spend(observed: clv_histories.Observed, params: clv.ClvParams) -> Spending:
    """Fit Gamma-Gamma to the customers who came back and spent something."""
    mean = observed.mean_spend
    used = (observed.x > 0) & (mean > 0)
    x, worth = observed.x[used], mean[used]
    customers, worthless = int(used.sum()), int(((observed.x > 0) & ~used).sum())
    correlation = _correlation(x, worth)
    if params.spend is clv.Spend.NONE or customers < clv.MIN_REPEAT_CUSTOMERS:
        return Spending(None, None, customers, correlation, worthless)
    model, fitted = gamma_gamma.fit(x, worth)
    return Spending(model, fitted, customers, correlation, worthless)


def _correlation(x: Floats, mean: Floats) -> float | None:
    """Return Pearson's coefficient."""
    if not x.size:
        return None
    one, other = x - x.mean(), mean - mean.mean()
    spread = np.sqrt((one * one).sum() * (other * other).sum())
    return float((one * other).sum() / spread) if spread > 0 else None


def predict(
    fitted: buying.Fit,
    spending: Spending,
    *,
    observed: clv_histories.Observed,
    params: clv.ClvParams,
    held_out_days: int,
) -> Predictions:
    """Predict from the end of calibration."""
    found, ahead = observed.histories, _ahead(params)
    over = buying.forecast(fitted.model, found, ahead)
    spend = np.full(found.x_at.size, np.nan)
    typical = np.nan
    if spending.model is not None:
        known = np.maximum(np.nan_to_num(observed.mean_spend), 0.0)
        spend = spending.model.expected(observed.x, known)
        typical = spending.model.population_mean
        # A mean that does not exist is no prediction.
        spend, typical = np.where(np.isfinite(spend), spend, np.nan), typical if np.isfinite(typical) else np.nan
    new_orders, new_discounted = buying.new_customer(fitted.model, ahead)
    held_out = None
    if held_out_days:
        tested = horizon.Horizon(held_out_days, held_out_days)
        held_out = buying.forecast(fitted.model, found, tested).expected
    return Predictions(
        alive=over.alive if fitted.dropout_seen else np.full(found.x_at.size, np.nan),
        orders=over.expected,
        spend=spend,
        value=params.margin * spend * over.discounted,
        held_out=held_out,
        new_orders=new_orders,
        new_value=params.margin * typical * new_discounted,
    )


def _ahead(params: clv.ClvParams) -> horizon.Horizon:
    """Return the horizon in days."""
    days = params.time_unit.days
    per_day = (1 + params.discount_rate) ** (1 / days) - 1
    return horizon.Horizon(params.horizon * days, params.discount_step * days, per_day)
