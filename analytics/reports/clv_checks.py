"""What a reader of `clv` must know before trusting a number, and what was checked about the numbers themselves."""

import math

import numpy as np
import pandas as pd

from analytics import result
from analytics.catalogue import clv
from analytics.reports import cells
from analytics.reports.clv_summary import GROUPS_SHOWN, Told

# From here on spend follows frequency so much that Gamma-Gamma, which takes them for independent, misleads.
_CORRELATED = 0.3
# Room for rounding in sums of many numbers.
_EXACT = 1e-9


def warnings(told: Told, rows: pd.DataFrame, names: list[str]) -> list[result.ResultWarning]:
    """Return what is to be said about the models, the data and the summary."""
    asked = told.fitted.asked
    found = []
    if told.doubt is not None:
        found.append(result.ResultWarning("not-identified", told.doubt))
    elif not asked.converged:
        found.append(result.ResultWarning("not-converged", asked.verdict))
    if told.orders.start is not None:
        detail = "Orders before start are not read: who bought before counts from the first purchase since."
        found.append(result.ResultWarning("first-since-start", detail))
    if names and len(rows[names].drop_duplicates()) > GROUPS_SHOWN:
        detail = f"The summary has the first {GROUPS_SHOWN} groups; the rows have all."
        found.append(result.ResultWarning("groups-cut", detail))
    return found + _about_spend(told)


def _about_spend(told: Told) -> list[result.ResultWarning]:
    if told.params.spend is clv.Spend.NONE:
        return []
    spending = told.spending
    if spending.model is None or spending.fit is None:
        detail = (
            f"Only {spending.customers} customers came back and spent something, of {clv.MIN_REPEAT_CUSTOMERS} needed "
            "to fit Gamma-Gamma; expected_spend and clv are empty."
        )
        return [result.ResultWarning("spend-not-fitted", detail)]
    found = []
    if spending.correlation is not None and abs(spending.correlation) >= _CORRELATED:
        more = "more" if spending.correlation > 0 else "less"
        detail = (
            f"Customers who buy more often spend {more} each time (correlation of x and mean_spend "
            f"{spending.correlation:.2f}); Gamma-Gamma takes the two for independent, so clv misjudges frequent customers."
        )
        found.append(result.ResultWarning("spend-follows-frequency", detail))
    if not math.isfinite(spending.model.population_mean):
        detail = (
            f"The spend of customers differs so much (q = {spending.model.q:.3g}, not above 1) that its mean over all does "
            "not exist; expected_spend and clv are empty for who did not come back."
        )
        found.append(result.ResultWarning("spend-has-no-mean", detail))
    elif not spending.fit.converged or spending.fit.vague:
        detail = f"The parameters of spend are not determined by the data. {spending.fit.verdict}"
        found.append(result.ResultWarning("spend-not-identified", detail))
    if spending.worthless:
        detail = (
            f"{spending.worthless} customers came back without spending anything, refunds taken off; Gamma-Gamma is "
            "fitted without them, and takes their mean for 0."
        )
        found.append(result.ResultWarning("spend-not-positive", detail))
    return found


def invariants(told: Told) -> tuple[result.Invariant, ...]:
    """Return what must hold of every answer, and whether it does."""
    observed, net = told.observed, told.orders.totals().net
    returns, counted = int(observed.returns.sum()), int(observed.x.sum() + observed.held_out.sum())
    within = bool(np.all((observed.recency <= observed.age) & ((observed.recency > 0) == (observed.x > 0))))
    gained = told.fitted.asked.log_likelihood - told.fitted.without_dropout.log_likelihood
    return (
        result.Invariant(
            "all_money_is_read",
            observed.net == net,
            f"customers and unattributed {cells.money_text(observed.net)}; net revenue {cells.money_text(net)}",
        ),
        result.Invariant(
            "every_return_is_counted",
            returns == counted,
            f"days after the first on which customers bought {returns}; x and holdout together {counted}",
        ),
        result.Invariant("recency_within_age", within, "0 < t_x <= T with repeats, 0 = t_x <= T without"),
        result.Invariant(
            "dropout_costs_no_likelihood", gained > -1e-3, f"log-likelihood gained by dropout {gained:.6f}"
        ),
        _bounded(told),
    )


def _bounded(told: Told) -> result.Invariant:
    """Chances lie between 0 and 1, and nobody is expected to buy more often than who surely stays."""
    predicted, observed, lasting = told.predicted, told.observed, told.fitted.model
    days = told.params.horizon * told.params.time_unit.days
    most = days * lasting.pace(observed.x, observed.age, np.zeros(1))
    alive = np.nan_to_num(predicted.alive)
    holds = (alive >= 0) & (alive <= 1) & (predicted.orders >= 0) & (predicted.orders <= most * (1 + _EXACT))
    wrong = int((~holds).sum())
    return result.Invariant(
        "predictions_within_bounds",
        wrong == 0,
        f"0 <= p_alive <= 1 and 0 <= expected_orders <= horizon at the present pace; {wrong} customers outside",
    )
