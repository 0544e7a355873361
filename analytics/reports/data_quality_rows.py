"""The rows of a dataset that `data_quality` looks at: within the bounds of the question, and of its filter."""

from collections.abc import Mapping
from dataclasses import dataclass

import ibis
from ibis.expr import types as ir

from analytics import errors
from analytics.catalogue import data_quality
from analytics.datasets import schemas
from analytics.reports import aggregate_rows, filters


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to look at.

    Attributes:
        total: rows of the dataset; `count`: those of them that are looked at; `dropped`: the others, by reason.
        time: the column that says when a row happened.
        stored: all rows.
    """

    table: ir.Table
    schema: schemas.DatasetSchema
    total: int
    count: int
    dropped: Mapping[str, int]
    time: str
    stored: ir.Table

    @property
    def columns(self) -> list[str]:
        """The columns in their order, as the dataset has them."""
        return list(self.table.columns)

    def key(self) -> ir.StringValue:
        """The key of a row as one text."""
        return self.key_of(self.table)

    def key_of(self, table: ir.Table) -> ir.StringValue:
        """The key of a row of another table with the same columns."""
        parts = [table[name].cast("string").fill_null("") for name in self.schema.key]
        key = parts[0]
        for part in parts[1:]:
            key = key.concat("/", part)
        return key


def build(table: ir.Table, dataset: str, params: data_quality.DataQualityParams) -> Rows:
    """Return the rows of a dataset that the question is about.

    Raises:
        errors.Refusal: the filter names a column that the dataset has not, or compares what cannot be compared.
    """
    time = aggregate_rows.TIME_COLUMNS[dataset]
    tests: list[tuple[str, ir.BooleanValue]] = []
    span = aggregate_rows.Span(params.instant_of(params.start), params.instant_of(params.end))
    bounds = aggregate_rows.within(table[time], span, params.timezone)
    if bounds:
        # A row without a date is looked at whatever the bounds are: that it has none is worth knowing.
        tests.append(("outside_dates", ibis.and_(*bounds) | table[time].isnull()))
    if params.filter is not None:
        condition = filters.condition(params.filter, _named(table, dataset, params), zone=params.timezone)
        tests.append(("filtered", condition))
    total, dropped = aggregate_rows.count(table, tests)
    kept = table.filter(*(test.fill_null(False) for _, test in tests)) if tests else table
    return Rows(kept, schemas.DATASETS[dataset], total, total - sum(dropped.values()), dropped, time, table)


def _named(table: ir.Table, dataset: str, params: data_quality.DataQualityParams) -> dict[str, ir.Value]:
    names = list(dict.fromkeys(params.filter.columns())) if params.filter is not None else []
    for name in names:
        if name not in table.columns:
            known = ", ".join(sorted(table.columns))
            raise errors.Refusal(
                "unknown-column",
                f"No column '{name}' in {dataset}; there are: {known}. Name the datasets that have it in `datasets`.",
                {"column": name, "columns": sorted(table.columns)},
            )
    return {name: table[name] for name in names}
