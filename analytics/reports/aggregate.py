"""Computes `aggregate`: one grouping by the engine, then what compares, cuts and turns the few rows that are left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
from ibis.expr import types as ir

from analytics import errors, result
from analytics.catalogue import aggregate, columns
from analytics.reports import aggregate_measures, aggregate_periods, aggregate_rows, aggregate_shape, cells, charts

MAX_ROWS = 200_000
OTHER = "(other)"
_PLOTTED = 1_000
_BARS = 30
_LINES = 8
_INCOMPLETE = (
    "The data do not reach to the end of the time that is asked about, so it is not whole and no change is told: "
    "compare up to a day that is over, with `end` or `as_of`."
)


def compute(tables: Mapping[str, ir.Table], params: aggregate.AggregateParams) -> result.Result:
    """Return the measures of each combination of the dimensions' values, as `catalogue.aggregate` defines.

    Raises:
        errors.Refusal: a dataset or column is not there, a measure does not suit its column, or there are too many rows.
    """
    span = aggregate_rows.span_of(params)
    rows = aggregate_rows.build(tables, params, span)
    chosen = None if params.top is None else _choose(rows, params, params.top)
    question = _Question.of(rows, params, chosen)
    found = question.ask()
    complete = aggregate_periods.completeness(rows, params, span, found)
    if complete is not None:
        found[aggregate.COMPLETE] = complete
    if params.compare is not None:
        covered = complete is not None or aggregate_periods.is_covered(tables, params, span)
        found = _compared(tables, params, question, found, covered=covered)
        if not covered:
            question = question.warned("incomplete-period", _INCOMPLETE)
    described = question.described(found)
    return _result(params, question, found, aggregate_shape.shape(found, described, params))


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The values of a dimension that are shown, as text, and whether the empty one is among them."""

    values: tuple[str, ...]
    empty: bool


def _choose(rows: aggregate_rows.Rows, params: aggregate.AggregateParams, top: aggregate.Top) -> _Chosen:
    """Return the largest values of a dimension; of equal ones the first."""
    by = next((measure for measure in params.measures if measure.label == top.by), params.measures[0])
    text = _keys(rows, params)[top.dimension].cast("string")
    asked = aggregate_measures.expressions((by,), rows, params.timezone)
    groups = cells.frame(rows.table.group_by(k=text).aggregate(**asked).to_pyarrow())
    groups["size"] = aggregate_measures.finished((by,), groups)[by.label]
    largest = groups.sort_values(["size", "k"], ascending=[False, True], na_position="last")["k"].head(top.n)
    return _Chosen(tuple(largest.dropna().tolist()), bool(largest.isna().any()))


def _keys(rows: aggregate_rows.Rows, params: aggregate.AggregateParams) -> dict[str, ir.Value]:
    """Return the dimensions' values as expressions, by label."""
    return {
        **{dimension.label: _key(rows, dimension, params) for dimension in params.dimensions},
        **{name: rows.table[name] for name in params.segment_by},
    }


def _key(rows: aggregate_rows.Rows, dimension: aggregate.Dimension, params: aggregate.AggregateParams) -> ir.Value:
    column = rows.table[dimension.column]
    if dimension.grain is None:
        return column
    periods = replace(aggregate_periods.calendar_of(params, dimension.grain), reach=rows.reaches.get(dimension.column))
    if column.type().is_timestamp():
        return periods.period_of(column)
    if column.type().is_date():
        return periods.period_of_day(column)
    raise errors.Refusal(
        "measure-type",
        f"'{dimension.column}' is no date or time, so it has no {dimension.grain}.",
        {"column": dimension.column},
    )


@dataclass(frozen=True, slots=True)
class _Question:
    """What the rows are grouped by.

    Attributes:
        rows: the rows that count; those of values that are not shown are gone, unless they are shown together.
        keys: the dimensions' values as expressions on them, by label.
    """

    params: aggregate.AggregateParams
    rows: aggregate_rows.Rows
    keys: Mapping[str, ir.Value]

    @classmethod
    def of(cls, rows: aggregate_rows.Rows, params: aggregate.AggregateParams, chosen: _Chosen | None) -> "_Question":
        if chosen is None or params.top is None:
            return cls(params, rows, _keys(rows, params))
        text = _keys(rows, params)[params.top.dimension].cast("string")
        shown = text.isin(chosen.values).fill_null(False)
        if chosen.empty:
            shown = shown | text.isnull()
        if not params.top.others:
            rows = replace(rows, table=rows.table.filter(shown))
            return cls(params, rows, _keys(rows, params))
        return cls(
            params,
            rows,
            _keys(rows, params) | {params.top.dimension: ibis.ifelse(shown, text, ibis.literal(OTHER))},
        )

    def ask(self) -> pd.DataFrame:
        """Return the groups and their measures, in the order of the dimensions' values."""
        table, measures = self.rows.table, self.params.measures
        wanted = aggregate_measures.expressions(measures, self.rows, self.params.timezone)
        if not self.keys:
            return self.total()
        names = [f"k{position}" for position in range(len(self.keys))]
        grouped = table.group_by(**dict(zip(names, self.keys.values(), strict=True))).aggregate(**wanted)
        ordered = grouped.order_by([ibis.asc(grouped[name], nulls_first=False) for name in names])
        # One more than may be shown tells that there are too many.
        found = cells.frame(ordered.limit(MAX_ROWS + 1).to_pyarrow())
        if len(found) > MAX_ROWS:
            raise errors.Refusal(
                "too-many-rows", f"More than {MAX_ROWS:,} rows; use fewer dimensions, `top`, or a longer grain."
            )
        keys = found[names].set_axis(list(self.keys), axis=1)
        return pd.concat([keys, aggregate_measures.finished(measures, found)], axis=1)

    def total(self) -> pd.DataFrame:
        """Return the measures over all rows at once."""
        wanted = aggregate_measures.expressions(self.params.measures, self.rows, self.params.timezone)
        return aggregate_measures.finished(
            self.params.measures, cells.frame(self.rows.table.aggregate(**wanted).to_pyarrow())
        )

    def warned(self, code: str, detail: str) -> "_Question":
        more = (*self.rows.warnings, result.ResultWarning(code, detail))
        return replace(self, rows=replace(self.rows, warnings=more))

    def described(self, found: pd.DataFrame) -> tuple[columns.Column, ...]:
        grains = {dimension.label: dimension.grain for dimension in self.params.dimensions}
        dimensions = [
            columns.Column(
                label,
                aggregate_measures.column_type(key.type()),
                f"First local day of the {grains[label]}" if grains.get(label) else f"Value of {label}",
                key=True,
            )
            for label, key in self.keys.items()
        ]
        if aggregate.COMPLETE in found.columns:
            what = "Whether the data cover the period to its end"
            dimensions.append(columns.Column(aggregate.COMPLETE, columns.ColumnType.BOOLEAN, what))
        measures = list(aggregate_measures.described(self.params.measures, self.rows))
        return (*dimensions, *measures, *_described_comparison(measures, found))


def _compared(
    tables: Mapping[str, ir.Table],
    params: aggregate.AggregateParams,
    question: _Question,
    found: pd.DataFrame,
    *,
    covered: bool,
) -> pd.DataFrame:
    """Add to each measure what it was before, and by how much it has changed between whole periods.

    A group that was there before and is not any more is nothing of what is counted or summed, and so is one the other way.
    """
    labels = [measure.label for measure in params.measures]
    span = aggregate_periods.compared_span(params)
    earlier = aggregate_rows.build(tables, params, span)
    chosen = None if params.top is None else _choose(question.rows, params, params.top)
    before = _Question.of(earlier, params, chosen).ask()
    timed = aggregate_periods.timed(params)
    if timed is not None:
        before["_whole"] = aggregate_periods.completeness(earlier, params, span, before)
        before = aggregate_periods.moved_on(params, timed, before)
    then = before.rename(columns={label: f"{label}_previous" for label in labels})
    keys = list(question.keys)
    both = _side_by_side(params, found, then, keys) if keys else pd.concat([found, then], axis=1)
    whole = pd.Series(data=covered, index=both.index)
    if timed is not None:
        whole = both.pop("_whole").fillna(value=False) & both[aggregate.COMPLETE].fillna(value=False)
    for label in labels:
        if _can_change(both[label]):
            change = aggregate_measures.change(both[label], both[f"{label}_previous"])
            both[f"{label}_change"] = change.where(whole)
    return both


def _side_by_side(
    params: aggregate.AggregateParams, found: pd.DataFrame, then: pd.DataFrame, keys: list[str]
) -> pd.DataFrame:
    """Return the groups of a time with what they were before, and those that were before only; in the order of the keys."""
    timed = aggregate_periods.timed(params)
    per_period = [] if timed is None else [timed.label]
    if timed is not None:
        # Of a period without any row there is nothing to say.
        then = then[then[timed.label].isin(found[timed.label])]
        about = found[[timed.label, aggregate.COMPLETE]].drop_duplicates()
        found = found.drop(columns=aggregate.COMPLETE)
    both = found.merge(then.drop(columns="_whole", errors="ignore"), on=keys, how="outer", indicator=True)
    side = both.pop("_merge")
    known = both[per_period[0]].isin(then[per_period[0]]) if per_period else pd.Series(len(then) > 0, index=both.index)
    for measure in params.measures:
        if measure.op in aggregate.ADDITIVE:
            previous = f"{measure.label}_previous"
            both[measure.label] = both[measure.label].mask(side == "right_only", 0)
            both[previous] = both[previous].mask((side == "left_only") & known, 0)
    if timed is not None:
        wholes = then[[timed.label, "_whole"]].drop_duplicates()
        both = both.merge(about, on=timed.label, how="left").merge(wholes, on=timed.label, how="left")
    return both.sort_values(keys, kind="stable", na_position="last").reset_index(drop=True)


def _can_change(values: "pd.Series[Any]") -> bool:
    kind = values.dtype.pyarrow_dtype if isinstance(values.dtype, pd.ArrowDtype) else None
    return kind is not None and (pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_floating(kind))


def _described_comparison(measures: Sequence[columns.Column], found: pd.DataFrame) -> list[columns.Column]:
    more = []
    for column in measures:
        if f"{column.name}_previous" in found.columns:
            what = f"{column.description}, the time before"
            more.append(columns.Column(f"{column.name}_previous", column.type, what, column.unit))
        if f"{column.name}_change" in found.columns:
            what = f"Change of {column.name} on the time before"
            more.append(columns.Column(f"{column.name}_change", columns.ColumnType.NUMBER, what, "ratio"))
    return more


def _result(
    params: aggregate.AggregateParams, question: _Question, found: pd.DataFrame, shown: aggregate_shape.Shown
) -> result.Result:
    rows, whole = question.rows, question.total()
    totals = {measure.label: _printed(whole[measure.label].iloc[0]) for measure in params.measures}
    summary = {"currency": rows.currency, "rows": rows.total, "groups": len(shown.rows), "totals": totals}
    return result.Result(
        columns=shown.columns,
        rows=cells.table(shown.columns, shown.rows),
        summary=summary,
        charts=_charts(params, question, found),
        warnings=rows.warnings,
        dropped=rows.dropped,
        invariants=_invariants(params, found, whole),
        rows_read={rows.dataset: rows.total},
    )


def _printed(value: Any) -> Any:
    if value is None or value is pd.NA:
        return None
    if isinstance(value, Decimal):
        return cells.money_text(value)
    return value.isoformat() if isinstance(value, date) else value


def _invariants(
    params: aggregate.AggregateParams, found: pd.DataFrame, whole: pd.DataFrame
) -> tuple[result.Invariant, ...]:
    """Where a whole is the sum of its parts, it must be."""
    checks = []
    for measure in params.measures:
        if measure.op in aggregate.ADDITIVE:
            parts, at_once = found[measure.label].sum(), whole[measure.label].iloc[0]
            parts_text, whole_text = _printed(parts), _printed(at_once)
            checks.append(
                result.Invariant(
                    f"{measure.label}_adds_up",
                    parts == at_once,
                    f"groups: {parts_text}; all rows at once: {whole_text}",
                )
            )
    return tuple(checks)


def _charts(params: aggregate.AggregateParams, question: _Question, found: pd.DataFrame) -> tuple[result.Chart, ...]:
    measure = params.measures[0].label
    labels = list(question.keys)
    if found.empty or not labels or not _can_change(found[measure]):
        return ()
    plotted = found.dropna(subset=[measure])
    timed = aggregate_periods.timed(params)
    if timed is None:
        few = plotted.sort_values(measure, ascending=False, kind="stable").head(_BARS)
        names = [" / ".join(_shown(value) for value in row) for row in few[labels].itertuples(index=False)]
        points = [{"group": name, measure: float(value)} for name, value in zip(names, few[measure], strict=True)]
        return (charts.bars(f"{measure} by {', '.join(labels)}", points, label="group", value=measure, order=names),)
    others = [label for label in labels if label != timed.label]
    lines = plotted[others].drop_duplicates().head(_LINES) if others else None
    if lines is not None:
        plotted = plotted.merge(lines, on=others)
    points = [
        {"period": _shown(row[timed.label]), measure: float(row[measure])}
        | ({"group": " / ".join(_shown(row[label]) for label in others)} if others else {})
        for row in plotted.head(_PLOTTED).to_dict("records")
        if row[timed.label] is not pd.NA
    ]
    color = "group" if others else None
    return (charts.lines(f"{measure} over time", points, x="period", y=measure, color=color),)


def _shown(value: Any) -> str:
    if value is None or value is pd.NA:
        return "(none)"
    return value.isoformat() if isinstance(value, date) else str(value)
