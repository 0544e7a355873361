"""The rows that `aggregate` counts: one dataset, joined, bounded, filtered, its money in one currency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import ibis
from ibis.expr import types as ir

from analytics import errors, result
from analytics.catalogue import aggregate, parameters
from analytics.datasets import schemas
from analytics.reports import calendar, facts, filters, local_time, money

# The column that says when a row happened; `time_column` chooses another.
TIME_COLUMNS = {
    "customers": "created_at",
    "orders": "ordered_at",
    "order_lines": "ordered_at",
    "deals": "created_at",
    "deal_stages": "entered_at",
    "leads": "created_at",
    "touches": "occurred_at",
    "activities": "occurred_at",
    "subscriptions": "started_on",
    "fx_rates": "on",
}
_WITH_REFUNDS = frozenset({"orders", "order_lines"})
_AS_STORED = "_amount_as_stored"
MONEY = frozenset({"amount", "unit_price", "list_amount", "mrr"})


@dataclass(frozen=True, slots=True)
class Span:
    """The half-open stretch of time that is read."""

    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows ready to be grouped.

    Attributes:
        table: every column that was named, under its own name.
        currency: what money is in; None where each row keeps its own.
        total: rows of the dataset, and `dropped`: those left out, by reason.
        reaches: for columns of the dataset that are grouped by time, between which moments they lie.
    """

    table: ir.Table
    dataset: str
    currency: str | None
    total: int
    dropped: Mapping[str, int]
    warnings: tuple[result.ResultWarning, ...]
    reaches: Mapping[str, local_time.Reach | None]


def span_of(params: aggregate.AggregateParams) -> Span:
    """Return the time a question is about: from `start` to the earlier of `end` and `as_of`."""
    ends = [at for at in (params.instant_of(params.end), params.instant_of(params.as_of)) if at is not None]
    return Span(params.instant_of(params.start), min(ends, default=None))


def build(tables: Mapping[str, ir.Table], params: aggregate.AggregateParams, span: Span) -> Rows:
    """Return the rows of a question within a span of time.

    Raises:
        errors.Refusal: a dataset or column is not there, or a filter value does not suit its column.
    """
    dataset, table = _fact(tables, params.dataset)
    named = _named(params)
    table = _join(tables, params.dataset, table, named)
    if params.dataset in _WITH_REFUNDS:
        is_sale = (table.kind != "refund").fill_null(True)
        signed = ibis.ifelse(is_sale, table.amount, -table.amount.abs())
        table = table.mutate(is_sale=is_sale, amount=signed, **{_AS_STORED: table.amount})
    tests = _tests(table, params, span)
    total, dropped = count(table, tests)
    used = table.filter(*(test for _, test in tests)) if tests else table
    kept, currency, lost, warnings = _in_one_currency(tables, used, params)
    if lost:
        dropped["unconverted"] = lost
    return Rows(kept, dataset, currency, total, dropped, warnings, _reaches(tables[dataset], params))


def _reaches(stored: ir.Table, params: aggregate.AggregateParams) -> dict[str, local_time.Reach | None]:
    grained = [dimension.column for dimension in params.dimensions if dimension.grain is not None]
    own = [name for name in dict.fromkeys(grained) if name in stored.columns and stored[name].type().is_timestamp()]
    return {name: local_time.reach_of(stored, name) for name in own}


def times(tables: Mapping[str, ir.Table], params: aggregate.AggregateParams) -> ir.Value:
    """Return when the rows of a dataset happened, all of them."""
    _, table = _fact(tables, params.dataset)
    return _join(tables, params.dataset, table, _named(params))[time_column(params)]


def time_column(params: aggregate.AggregateParams) -> str:
    return params.time_column or TIME_COLUMNS[params.dataset]


def _named(params: aggregate.AggregateParams) -> list[str]:
    """Return every column that the question names, each once."""
    names = [dimension.column for dimension in params.dimensions]
    names += params.segment_by
    names += [name for measure in params.measures for name in measure.columns()]
    names += params.filter.columns() if params.filter is not None else ()
    return list(dict.fromkeys([*names, *([params.time_column] if params.time_column else [])]))


def _fact(tables: Mapping[str, ir.Table], dataset: str) -> tuple[str, ir.Table]:
    if dataset in tables:
        return dataset, tables[dataset]
    if dataset == "orders" and "order_lines" in tables:
        lines = tables["order_lines"]
        keys = ["order_id", "kind"]
        others = [name for name in lines.columns if name not in {*keys, "amount", "ordered_at", "line_no"}]
        orders = lines.group_by(keys).aggregate(
            amount=lines.amount.sum(), ordered_at=lines.ordered_at.min(), **{name: lines[name].min() for name in others}
        )
        return "order_lines", orders
    raise errors.Refusal("missing-dataset", f"This report needs {dataset}; import it.", {"datasets": [dataset]})


def _join(tables: Mapping[str, ir.Table], dataset: str, table: ir.Table, named: Sequence[str]) -> ir.Table:
    """Bring in the columns of the customer that the dataset itself has not."""
    other = tables.get("customers") if dataset != "customers" and "customer_id" in table.columns else None
    missing = [name for name in named if name not in table.columns]
    known = [*table.columns, *(other.columns if other is not None else ())]
    for name in missing:
        if name not in known:
            listed = ", ".join(sorted(set(known)))
            raise errors.Refusal(
                "unknown-column",
                f"No column '{name}' in {dataset} or customers; there are: {listed}.",
                {"column": name, "columns": sorted(set(known))},
            )
    if not missing or other is None:
        return table
    joined = other.select(joined_id="customer_id", **{name: other[name] for name in missing})
    return table.left_join(joined, table.customer_id == joined.joined_id).drop("joined_id")


def _tests(table: ir.Table, params: aggregate.AggregateParams, span: Span) -> list[tuple[str, ir.BooleanValue]]:
    """Return what a row must pass, and the reason it is left out for otherwise, in order."""
    tests: list[tuple[str, ir.BooleanValue]] = []
    bounds = _bounds(table, params, span)
    if bounds:
        tests.append(("no_date", table[time_column(params)].notnull()))
        tests.append(("outside_dates", ibis.and_(*bounds)))
    if params.filter is not None:
        # As in all other reports, a filter sees what was imported.
        columns = {name: table[name] for name in params.filter.columns()}
        if "amount" in columns and _AS_STORED in table.columns:
            columns["amount"] = table[_AS_STORED]
        tests.append(("filtered", filters.condition(params.filter, columns, zone=params.timezone)))
    if params.dataset in _WITH_REFUNDS and params.refunds is parameters.Refunds.EXCLUDE:
        tests.append(("refunds", table.is_sale))
    return tests


def _bounds(table: ir.Table, params: aggregate.AggregateParams, span: Span) -> list[ir.BooleanValue]:
    name = time_column(params)
    column = table[name]
    if not (column.type().is_timestamp() or column.type().is_date()):
        raise errors.Refusal(
            "measure-type", f"time_column '{name}' is {column.type()}, which is no date or time.", {"column": name}
        )
    return within(column, span, params.timezone)


def within(column: ir.Value, span: Span, zone: str) -> list[ir.BooleanValue]:
    """Return what a moment, or a day, must pass to lie within a span; nothing where the span has no ends."""
    days = calendar.Calendar(zone)
    start, end = (
        None if at is None else facts.instant(at) if column.type().is_timestamp() else ibis.literal(days.day_of(at))
        for at in (span.start, span.end)
    )
    return [*([column >= start] if start is not None else []), *([column < end] if end is not None else [])]


def count(table: ir.Table, tests: Sequence[tuple[str, ir.BooleanValue]]) -> tuple[int, dict[str, int]]:
    """Count all rows and those that each test leaves out, in one scan."""
    passed: list[ir.BooleanValue] = []
    counts = {"all": table.count()}
    for reason, test in tests:
        passed.append(test.fill_null(False))
        counts[reason] = table.count(where=ibis.and_(*passed))
    found = table.aggregate(**counts).to_pyarrow().to_pylist()[0]
    left = found["all"]
    dropped = {}
    for reason, _ in tests:
        if found[reason] < left:
            dropped[reason] = left - found[reason]
        left = found[reason]
    return found["all"], dropped


def _in_one_currency(
    tables: Mapping[str, ir.Table], rows: ir.Table, params: aggregate.AggregateParams
) -> tuple[ir.Table, str | None, int, tuple[result.ResultWarning, ...]]:
    """Convert the money columns that measures look at; the answer also says what they are in and how many rows are gone."""
    wanted = [name for name in _asked_money(params) if name in rows.columns]
    by_currency = "currency" in params.dimension_labels or any(
        dimension.column == "currency" for dimension in params.dimensions
    )
    if not wanted or "currency" not in rows.columns or params.dataset == "fx_rates" or by_currency:
        return rows, None, 0, ()
    codes = rows.currency.fill_null(params.currency)
    found = rows.aggregate(least=codes.min(), greatest=codes.max()).to_pyarrow().to_pylist()[0]
    present = None if found["least"] is None else (found["least"], found["greatest"])
    conversion = money.convert(
        rows,
        money.Rates(tables.get("fx_rates"), params.base_currency or params.currency),
        wanted=params.currency,
        present=present,
        zone=params.timezone,
        amounts=wanted,
        moment=time_column(params),
    )
    return conversion.table, conversion.currency, conversion.unconverted, conversion.warnings


def _asked_money(params: aggregate.AggregateParams) -> list[str]:
    """Return the money columns whose values, and not only whose presence, the measures use."""
    used = [measure.column for measure in params.measures if measure.op is not aggregate.MeasureOp.COUNT]
    used += [part.column for measure in params.measures for part in measure.parts]
    canonical = schemas.DATASETS[params.dataset]
    return [name for name in dict.fromkeys(used) if name in MONEY and name and canonical.column(name) is not None]
