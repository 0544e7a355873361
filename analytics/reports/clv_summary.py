"""What one reads first of `clv`: the parameters and how far to trust them, the test on days held out."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analytics.catalogue import clv
from analytics.reports import cells, clv_histories, clv_holdout, clv_predictions, facts
from analytics.stats import buying
from analytics.stats.histories import Floats

GROUPS_SHOWN = 1_000
# In which parameters a unit of time is: these grow with the number of units.
_TIMES = frozenset({"alpha", "beta"})


@dataclass(frozen=True, slots=True)
class Told:
    """Everything that was found out."""

    orders: facts.Facts
    span: clv_histories.Span
    observed: clv_histories.Observed
    fitted: buying.Fit
    spending: clv_predictions.Spending
    predicted: clv_predictions.Predictions
    params: clv.ClvParams

    @property
    def unit_shift(self) -> float:
        """What log-likelihoods of times in days lack to be those of times in `time_unit`."""
        return float(self.observed.x.sum()) * math.log(self.params.time_unit.days)

    @property
    def doubt(self) -> str | None:
        """Say why the parameters mean nothing, if they do not."""
        asked, without = self.fitted.asked, self.fitted.without_dropout
        if not self.fitted.dropout_seen:
            names = " and ".join(asked.names[2:])
            return (
                "The data do not tell whether customers ever leave: the log-likelihood is "
                f"{asked.log_likelihood + self.unit_shift:.2f} with dropout and "
                f"{without.log_likelihood + self.unit_shift:.2f} without any. So {names} mean nothing and are not shown, "
                "nobody's chance of still being a customer can be told, and orders are predicted as if nobody left, "
                "which makes them an upper limit."
            )
        if asked.vague:
            return (
                f"The data do not determine {' and '.join(asked.vague)} even to the order of magnitude; quite other "
                "values fit as well. Use the predictions over times like those observed, and not the parameters."
            )
        return None


def summary(told: Told, rows: pd.DataFrame, names: list[str]) -> dict[str, Any]:
    """Return the summary; values of models are null where they mean nothing."""
    observed, predicted, orders = told.observed, told.predicted, told.orders
    found: dict[str, Any] = {
        "as_of": None if orders.as_of is None else orders.as_of.isoformat().replace("+00:00", "Z"),
        "currency": orders.currency,
        "customers": observed.x.size,
        "repeat_customers": int((observed.x > 0).sum()),
        "repeat_transactions": int(observed.x.sum()),
        "expected_orders": _number(predicted.orders.sum()),
        "clv": _number(predicted.value.sum()),
        "alive": _number(predicted.alive.sum()),
        "model": told.params.model.value,
        "time_unit": told.params.time_unit.value,
        "calibration_end": told.span.calibration_end.isoformat(),
        **dropout_model(told),
        **_spend_model(told),
        "new_customer": {
            "expected_orders": _number(predicted.new_orders),
            "clv": _number(predicted.new_value),
        },
        "holdout": _holdout(told),
        "unattributed": cells.money_text(observed.unattributed),
    }
    if names:
        found["groups"] = _groups(rows, names)[:GROUPS_SHOWN]
    return found


def dropout_model(told: Told) -> dict[str, Any]:
    """Return the parameters, how they were found, and whether they mean anything."""
    fitted, days = told.fitted, told.params.time_unit.days
    shown = fitted.asked if fitted.dropout_seen else fitted.without_dropout
    scale = {name: days if name in _TIMES else 1.0 for name in fitted.asked.names}
    known = dict(zip(shown.names, zip(shown.parameters, shown.standard_errors, strict=True), strict=True))
    nothing = (math.nan, math.nan)
    return {
        "params": {name: _number(known.get(name, nothing)[0] / scale[name]) for name in fitted.asked.names},
        "standard_errors": {name: _number(known.get(name, nothing)[1] / scale[name]) for name in fitted.asked.names},
        "log_likelihood": _number(fitted.asked.log_likelihood + told.unit_shift),
        "log_likelihood_without_dropout": _number(fitted.without_dropout.log_likelihood + told.unit_shift),
        "converged": fitted.asked.converged,
        "convergence": fitted.asked.verdict,
        "identified": fitted.identified,
        "identification": told.doubt or "The data determine every parameter.",
    }


def _spend_model(told: Told) -> dict[str, Any]:
    spending = told.spending
    found: dict[str, Any] = {"correlation": spending.correlation, "spend_customers": spending.customers}
    fit, model = spending.fit, spending.model
    if fit is None or model is None:
        return {"spend_params": None, **found}
    return {
        "spend_params": _named(fit.names, fit.parameters),
        "spend_standard_errors": _named(fit.names, fit.standard_errors),
        "spend_log_likelihood": _number(fit.log_likelihood),
        "spend_converged": fit.converged,
        "spend_convergence": fit.verdict,
        "expected_spend_of_population": _number(model.population_mean),
        **found,
    }


def _holdout(told: Told) -> dict[str, Any] | None:
    actual, expected = told.observed.held_out, told.predicted.held_out
    if expected is None:
        return None
    return {
        "start": told.span.calibration_end.isoformat(),
        "end": told.span.read_to.isoformat(),
        "customers": actual.size,
        "actual": int(actual.sum()),
        "expected": _number(expected.sum()),
        "mae": _number(abs(expected - actual).mean()),
        "rmse": _number(math.sqrt(((expected - actual) ** 2).mean())),
        "by_frequency": clv_holdout.by_frequency(told.observed.x, actual, expected),
        "deciles": clv_holdout.deciles(actual, expected),
    }


def _groups(rows: pd.DataFrame, names: list[str]) -> list[dict[str, Any]]:
    grouped = rows.assign(customers=1).groupby(names, dropna=False)
    sums = grouped[["customers", "expected_orders", "clv"]].sum().reset_index()
    return [
        {
            **{name: None if pd.isna(row[name]) else row[name] for name in names},
            "customers": int(row["customers"]),
            "expected_orders": _number(row["expected_orders"]),
            "clv": _number(row["clv"]),
        }
        for row in sums.sort_values(names, na_position="last").to_dict("records")
    ]


def _named(names: Iterable[str], values: Floats) -> dict[str, float | None]:
    return {name: _number(value) for name, value in zip(names, values, strict=True)}


def _number(value: float | np.float64) -> float | None:
    """Return a number for JSON, which has none for what is not finite."""
    return float(value) if math.isfinite(value) else None
