"""Cohorts by sign-up: customers by the period of their `created_at`."""

from collections.abc import Mapping

from ibis.expr import types as ir

from analytics import errors
from analytics.catalogue import cohort_retention
from analytics.reports import calendar, facts, filters


def members(
    tables: Mapping[str, ir.Table],
    orders: facts.Facts,
    periods: calendar.Calendar,
    params: cohort_retention.CohortRetentionParams,
) -> ir.Table:
    """Return member_id, cohort and the segment columns of everybody who signed up within the bounds, buyer or not.

    Parts of the filter that name only columns of `customers` choose members too; the others choose only orders.

    Raises:
        errors.Refusal: customers were not imported, or do not have a column of `segment_by`.
    """
    if "customers" not in tables:
        raise errors.Refusal(
            "missing-dataset",
            "Cohorts by signup need customers with created_at; import them.",
            {"datasets": ["customers"]},
        )
    customers = tables["customers"]
    unknown = [name for name in params.segment_by if name not in customers.columns]
    if unknown:
        raise errors.Refusal(
            "unknown-column",
            f"Cohorts by signup are segmented by columns of customers, which have no '{unknown[0]}'.",
            {"column": unknown[0], "columns": sorted(customers.columns)},
        )
    chosen = customers.filter(*_tests(customers, orders, params))
    return chosen.select(
        member_id=chosen.customer_id,
        cohort=periods.period_of(chosen.created_at),
        **{
            column: chosen[name].cast("string") for column, name in zip(orders.segments, params.segment_by, strict=True)
        },
    )


def _tests(
    customers: ir.Table, orders: facts.Facts, params: cohort_retention.CohortRetentionParams
) -> list[ir.BooleanValue]:
    tests = [customers.created_at.notnull()]
    if orders.start is not None:
        tests.append(customers.created_at >= facts.instant(orders.start))
    if orders.covered_to is not None:
        tests.append(customers.created_at < facts.instant(orders.covered_to))
    for part in params.filter.conjuncts() if params.filter is not None else ():
        if all(name in customers.columns for name in part.columns()):
            named = {name: customers[name] for name in part.columns()}
            tests.append(filters.condition(part, named, zone=params.timezone))
    return tests
