"""Computes `clv`: the engine reduces orders to histories, `analytics.stats` fits and predicts over the distinct ones."""

import dataclasses
from collections.abc import Mapping

import pandas as pd
from ibis.expr import types as ir

from analytics import errors, result
from analytics.catalogue import clv, columns
from analytics.reports import cells, clv_charts, clv_checks, clv_histories, clv_predictions, clv_summary, facts
from analytics.stats import buying


def compute(tables: Mapping[str, ir.Table], params: clv.ClvParams) -> result.Result:
    """Return one row per customer who bought before calibration_end, by customer id, as `catalogue.clv` defines.

    Raises:
        errors.Refusal: a dataset or column is not there, a filter value does not suit its column, or too few
            customers came back to learn from.
    """
    told = tell(tables, params)
    orders, span, observed = told.orders, told.span, told.observed
    described = _describe(params, orders.currency)
    names = [column.name for column in described[len(clv.TYPE.columns) :]]
    rows = _rows(told).rename(columns=dict(zip(orders.segments, names, strict=True)))
    return result.Result(
        columns=described,
        rows=cells.table(described, rows),
        summary=clv_summary.summary(told, rows, names),
        charts=clv_charts.draw(told),
        warnings=(*orders.warnings, *span.warnings, *clv_checks.warnings(told, rows, names)),
        dropped={**orders.dropped, **observed.left_out},
        invariants=clv_checks.invariants(told),
        rows_read=orders.rows_read,
    )


def tell(tables: Mapping[str, ir.Table], params: clv.ClvParams) -> clv_summary.Told:
    """Reduce orders to histories, fit the models and predict.

    Raises:
        errors.Refusal: a dataset or column is not there, a filter value does not suit its column, or too few
            customers came back to learn from.
    """
    orders = facts.build(tables, params)
    span = clv_histories.Span.of(orders, params)
    observed = clv_histories.observe(orders, span)
    _refuse_few(observed)
    fitted = buying.fit(buying.ModelName(params.model.value), observed.histories)
    spending = clv_predictions.fit_spend(observed, params)
    predicted = clv_predictions.predict(
        fitted, spending, observed=observed, params=params, held_out_days=span.holdout_days
    )
    return clv_summary.Told(orders, span, observed, fitted, spending, predicted, params)


def _refuse_few(observed: clv_histories.Observed) -> None:
    back = int((observed.x > 0).sum())
    if back < clv.MIN_REPEAT_CUSTOMERS:
        raise errors.Refusal(
            "too-few-repeat-customers",
            f"Of {observed.x.size} customers {back} bought on a second day before the end of calibration; the model "
            f"needs at least {clv.MIN_REPEAT_CUSTOMERS} who did. Choose more data, or a later calibration_end.",
            {"customers": observed.x.size, "repeat_customers": back, "needed": clv.MIN_REPEAT_CUSTOMERS},
        )


def _describe(params: clv.ClvParams, currency: str) -> tuple[columns.Column, ...]:
    unit = f"{params.time_unit.value}s"
    declared = tuple(
        dataclasses.replace(column, unit=unit) if column.unit == "time_unit" else column for column in clv.TYPE.columns
    )
    return cells.describe(declared, params, currency=currency)


def _rows(told: clv_summary.Told) -> pd.DataFrame:
    observed, predicted, unit = told.observed, told.predicted, told.params.time_unit.days
    return observed.customers.assign(
        x=observed.x.astype("int64"),
        t_x=observed.recency / unit,
        T=observed.age / unit,
        mean_spend=observed.mean_spend,
        p_alive=predicted.alive,
        expected_orders=predicted.orders,
        expected_spend=predicted.spend,
        clv=predicted.value,
    )
