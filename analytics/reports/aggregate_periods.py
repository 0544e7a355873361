"""The calendar side of `aggregate`: which periods are whole, and what each is compared with."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
from ibis.expr import types as ir

from analytics.catalogue import aggregate, parameters
from analytics.reports import aggregate_rows, calendar, cells

_WEEKS_OF_A_YEAR = timedelta(weeks=52)


def timed(params: aggregate.AggregateParams) -> aggregate.Dimension | None:
    """Return the dimension of time, the first if there are several."""
    return next((dimension for dimension in params.dimensions if dimension.grain is not None), None)


def calendar_of(params: aggregate.AggregateParams, grain: parameters.Period) -> calendar.Calendar:
    return calendar.Calendar(params.timezone, grain, params.week_start)


def completeness(
    rows: aggregate_rows.Rows, params: aggregate.AggregateParams, span: aggregate_rows.Span, found: pd.DataFrame
) -> "pd.Series[Any] | None":
    """Tell for each group whether the rows of the span cover its period to the end; None without a dimension of time."""
    dimension = timed(params)
    if dimension is None or dimension.grain is None:
        return None
    periods = calendar_of(params, dimension.grain)
    reach = _reach(rows, params, span, dimension)
    start = span.start if dimension.column == aggregate_rows.time_column(params) else None

    def whole(day: Any) -> bool | None:
        if not isinstance(day, date):
            return None
        begins_inside = start is None or periods.instant(day) >= start
        return begins_inside and reach is not None and periods.instant(periods.step(day, 1)) <= reach

    known = {day: whole(day) for day in found[dimension.label].unique().tolist()}
    return cells.arrow([known[day] for day in found[dimension.label].tolist()], pa.bool_()).set_axis(found.index)


def _reach(
    rows: aggregate_rows.Rows,
    params: aggregate.AggregateParams,
    span: aggregate_rows.Span,
    dimension: aggregate.Dimension,
) -> datetime | None:
    """Return the end of the last local day that the data have, or an earlier end of the question."""
    reached = _day_after_last(rows.table[dimension.column], params)
    bounded = dimension.column == aggregate_rows.time_column(params)
    return min(reached, span.end) if bounded and reached is not None and span.end is not None else reached


def is_covered(tables: Mapping[str, ir.Table], params: aggregate.AggregateParams, span: aggregate_rows.Span) -> bool:
    """Tell whether the data reach to the end of a span, whichever rows of them are asked about."""
    reached = _day_after_last(aggregate_rows.times(tables, params), params)
    return reached is not None and span.end is not None and span.end <= reached


def _day_after_last(times: ir.Value, params: aggregate.AggregateParams) -> datetime | None:
    """Return the end of the local day of the last of some times; None: there are none."""
    last = times.max().to_pyarrow().as_py()
    if last is None:
        return None
    days = calendar.Calendar(params.timezone)
    return days.day_end(last) if isinstance(last, datetime) else days.instant(last + timedelta(days=1))


def compared_span(params: aggregate.AggregateParams) -> aggregate_rows.Span:
    """Return the time that has to be read for what the question's is compared with."""
    span, dimension = aggregate_rows.span_of(params), timed(params)
    if dimension is not None and dimension.grain is not None:
        if span.start is None:
            return span
        periods = calendar_of(params, dimension.grain)
        first = periods.first_day(periods.day_of(span.start))
        earlier = (
            periods.step(first, -1)
            if params.compare is aggregate.Compare.PREVIOUS_PERIOD
            else periods.year_before(first)
        )
        return aggregate_rows.Span(None if earlier is None else periods.instant(earlier), span.end)
    if span.start is None or span.end is None:
        raise AssertionError("a comparison without a time, which the parameters refuse")
    return _shifted(span.start, span.end, params)


def _shifted(start: datetime, end: datetime, params: aggregate.AggregateParams) -> aggregate_rows.Span:
    """Return the days before, as many as there are, or the same days a year earlier."""
    days = calendar.Calendar(params.timezone)
    first, last = days.day_of(start), days.day_of(end)
    if params.compare is aggregate.Compare.PREVIOUS_PERIOD:
        return aggregate_rows.Span(days.instant(first - (last - first)), start)
    # The 29th of February has no day a year before: the 1st of March then bounds the same span.
    before = [days.year_before(day) or days.year_before(day + timedelta(days=1)) for day in (first, last)]
    return aggregate_rows.Span(*(None if day is None else days.instant(day) for day in before))


def moved_on(params: aggregate.AggregateParams, dimension: aggregate.Dimension, found: pd.DataFrame) -> pd.DataFrame:
    """Return the groups under the period that is compared with theirs; those under none are gone."""
    if dimension.grain is None:
        raise AssertionError("a dimension of time without a grain")
    periods = calendar_of(params, dimension.grain)
    previous = params.compare is aggregate.Compare.PREVIOUS_PERIOD

    def later(day: Any) -> date | None:
        if not isinstance(day, date):
            return None
        return periods.step(day, 1) if previous else _year_after(periods, day)

    moved = cells.arrow([later(day) for day in found[dimension.label].tolist()], pa.date32()).set_axis(found.index)
    return found.assign(**{dimension.label: moved}).dropna(subset=[dimension.label])


def _year_after(periods: calendar.Calendar, day: date) -> date | None:
    if periods.period is parameters.Period.WEEK:
        return day + _WEEKS_OF_A_YEAR
    try:
        return day.replace(year=day.year + 1)
    except ValueError:
        return None
