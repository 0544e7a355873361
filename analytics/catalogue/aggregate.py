"""What `aggregate` is: the report one puts together oneself, measures by dimensions of any dataset."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError

from analytics.catalogue import columns, filters, parameters, report_type
from analytics.catalogue.filters import ColumnName, Filter
from analytics.datasets import schemas

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]


class MeasureOp(StrEnum):
    """What is done with the values of a column."""

    COUNT = "count"
    COUNT_DISTINCT = "count_distinct"
    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    MEDIAN = "median"
    PERCENTILE = "percentile"
    RATIO = "ratio"


class Compare(StrEnum):
    """What each number is compared with."""

    PREVIOUS_PERIOD = "previous_period"
    PREVIOUS_YEAR = "previous_year"


# With a dimension of time: whether the data cover the period.
COMPLETE = "complete"
# Of these a group is the sum of its parts.
ADDITIVE = frozenset({MeasureOp.COUNT, MeasureOp.SUM})
OF_RATIO = frozenset({MeasureOp.COUNT, MeasureOp.COUNT_DISTINCT, MeasureOp.SUM})


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(_Model):
    """One side of a ratio."""

    op: MeasureOp = Field(description="count, count_distinct or sum.")
    column: ColumnName | None = Field(None, description="What is counted or summed; `count` may go without.")
    where: Filter | None = Field(None, description="Only rows for which this holds.")

    @field_validator("op")
    @classmethod
    def _can_be_divided(cls, op: MeasureOp) -> MeasureOp:
        if op not in OF_RATIO:
            raise PydanticCustomError("ratio_part", "A ratio is of count, count_distinct or sum")
        return op

    @field_validator("where", mode="before")
    @classmethod
    def _where_is_bounded(cls, raw: Any) -> Any:
        return filters.check_size(raw)

    @model_validator(mode="after")
    def _has_a_column(self) -> Self:
        if self.op is not MeasureOp.COUNT and self.column is None:
            raise PydanticCustomError("measure_column", "`{op}` needs a column", {"op": self.op.value})
        return self


class Measure(_Model):
    """One number of each row."""

    op: MeasureOp = Field(description="What is done with the column's values.")
    column: ColumnName | None = Field(None, description="Whose values; `count` may go without, `ratio` must.")
    name: Name | None = Field(None, description="What the number is called. Default: made of op and column.")
    p: float | None = Field(None, ge=0, le=100, description="Which percentile; for `percentile` alone.")
    where: Filter | None = Field(None, description="Only rows for which this holds.")
    numerator: Part | None = Field(None, description="For `ratio`: what is divided.")
    denominator: Part | None = Field(None, description="For `ratio`: by what.")

    @field_validator("where", mode="before")
    @classmethod
    def _where_is_bounded(cls, raw: Any) -> Any:
        return filters.check_size(raw)

    @model_validator(mode="after")
    def _fits_its_op(self) -> Self:
        is_ratio = self.op is MeasureOp.RATIO
        if is_ratio != (self.numerator is not None and self.denominator is not None):
            raise PydanticCustomError("ratio", "`ratio` needs numerator and denominator, and only `ratio` has them")
        if is_ratio and (self.column is not None or self.where is not None):
            raise PydanticCustomError("ratio", "The parts of a ratio have the columns and conditions, not the ratio")
        if self.column is None and self.op not in {MeasureOp.COUNT, MeasureOp.RATIO}:
            raise PydanticCustomError("measure_column", "`{op}` needs a column", {"op": self.op.value})
        if (self.op is MeasureOp.PERCENTILE) != (self.p is not None):
            raise PydanticCustomError("percentile", "`percentile` needs p, and only `percentile` has it")
        return self

    @property
    def label(self) -> str:
        """What the number is called."""
        if self.name is not None:
            return self.name
        if self.op is MeasureOp.PERCENTILE:
            return f"p{self.p:g}_{self.column}".replace(".", "_")
        return self.op.value if self.column is None else f"{self.op.value}_{self.column}"

    @property
    def parts(self) -> tuple[Part, ...]:
        """The two sides of a ratio; nothing else has any."""
        return tuple(part for part in (self.numerator, self.denominator) if part is not None)

    def columns(self) -> list[str]:
        """Return every column the measure looks at."""
        own = [self.column] if self.column is not None else []
        tests = [self.where, *(part.where for part in self.parts)]
        return [
            *own,
            *(part.column for part in self.parts if part.column is not None),
            *(name for test in tests if test is not None for name in test.columns()),
        ]


class Dimension(_Model):
    """What the numbers are broken down by."""

    column: ColumnName = Field(description="A column of the dataset, or of `customers`.")
    grain: parameters.Period | None = Field(None, description="For dates and times: the calendar period.")
    name: Name | None = Field(None, description="What the column of the answer is called. Default: the column's name.")

    @property
    def label(self) -> str:
        return self.name or self.column


class Sort(_Model):
    """One level of the order of rows."""

    by: ColumnName = Field(description="A measure or a dimension.")
    descending: bool = Field(False, description="Largest first.")


class Top(_Model):
    """Only the largest values of a dimension; the rest becomes one."""

    dimension: ColumnName = Field(description="Which dimension is cut.")
    n: int = Field(10, ge=1, le=1000, description="How many of its values are shown.")
    by: ColumnName | None = Field(None, description="By which measure they are chosen. Default: the first.")
    others: bool = Field(True, description="Whether the rest is shown together, as `(other)`.")


class AggregateParams(parameters.ReportParams):
    """Parameters of `aggregate`."""

    dataset: str = Field(description="Which dataset the rows are of.")
    measures: tuple[Measure, ...] = Field(min_length=1, max_length=20, description="The numbers of each row.")
    dimensions: tuple[Dimension, ...] = Field((), max_length=6, description="What they are broken down by.")
    time_column: ColumnName | None = Field(
        None, description="The column that start, end and as_of are about. Default: the dataset's own."
    )
    having: Filter | None = Field(None, description="Which rows of the answer are kept: a filter over measures.")
    sort: tuple[Sort, ...] = Field((), max_length=6, description="Order of the rows. Default: by the dimensions.")
    top: Top | None = Field(None, description="Cut a dimension to its largest values.")
    pivot: ColumnName | None = Field(None, description="A dimension whose values become columns.")
    compare: Compare | None = Field(None, description="Add each number of an earlier time, and the change.")

    @field_validator("dataset")
    @classmethod
    def _dataset_exists(cls, name: str) -> str:
        if name not in schemas.DATASETS:
            known = ", ".join(schemas.DATASETS)
            raise PydanticCustomError(
                "dataset", "There is no dataset '{name}'; {known}", {"name": name, "known": known}
            )
        return name

    @field_validator("refunds")
    @classmethod
    def _refunds_stay(cls, refunds: parameters.Refunds) -> parameters.Refunds:
        if refunds is parameters.Refunds.ON_ORDER_DATE:
            raise PydanticCustomError("refunds", "aggregate counts refunds on their own date, or not at all")
        return refunds

    @field_validator("having", mode="before")
    @classmethod
    def _having_is_bounded(cls, raw: Any) -> Any:
        return filters.check_size(raw)

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        measures = [measure.label for measure in self.measures]
        labels = [*self.dimension_labels, *measures]
        if len({*labels, COMPLETE}) != len(labels) + 1:
            raise PydanticCustomError(
                "names", "Two columns of the answer have one name, or one is called `complete`; give `name`"
            )
        _require(measures, [] if self.having is None else list(self.having.columns()), "having", "measure")
        _require(labels, [level.by for level in self.sort], "sort", "measure or dimension")
        _require(self.dimension_labels, [self.pivot] if self.pivot else [], "pivot", "dimension")
        if self.top is not None:
            _require(self.dimension_labels, [self.top.dimension], "top.dimension", "dimension")
            _require(measures, [self.top.by] if self.top.by else [], "top.by", "measure")
        return self

    @model_validator(mode="after")
    def _comparison_has_a_time(self) -> Self:
        timed = [dimension for dimension in self.dimensions if dimension.grain is not None]
        if len(timed) > 1 and self.compare is not None:
            raise PydanticCustomError("compare", "With two dimensions of time it is not clear what comes before")
        if self.compare is not None and not timed and (self.start is None or self.end is None):
            raise PydanticCustomError("compare", "`compare` needs a dimension with a grain, or start and end")
        if self.compare is not None and self.pivot is not None:
            raise PydanticCustomError("compare", "`compare` and `pivot` exclude one another")
        return self

    @property
    def dimension_labels(self) -> list[str]:
        """The names of all dimensions in the answer; those of `segment_by` follow the others."""
        return [*(dimension.label for dimension in self.dimensions), *self.segment_by]


def _require(known: Sequence[str], asked: Sequence[str], where: str, kind: str) -> None:
    for name in asked:
        if name not in known:
            listed = ", ".join(known) or "none"
            raise PydanticCustomError(
                "unknown_name",
                "`{where}` names '{name}', which is no {kind} of this question; there are: {listed}",
                {"where": where, "name": name, "kind": kind, "listed": listed},
            )


def _needs(params: AggregateParams) -> report_type.Needs:
    # Orders that were not imported are the sums of their lines.
    fact = ("orders", "order_lines") if params.dataset == "orders" else (params.dataset,)
    joined = ["customers"] if params.dataset != "customers" else []
    return report_type.Needs((fact,), (*joined, "fx_rates"))


TYPE = report_type.ReportType(
    name="aggregate",
    title="Custom aggregate",
    version=1,
    definition=(
        "One row per combination of the dimensions' values that occurs, with every measure over its rows. Times are brought into "
        "the report's zone first and then cut to their `grain`; an empty cell is a value of its own. count: rows, or rows "
        "where the column is not empty; count_distinct, sum, min, max: of the values that are not empty; avg: the exact "
        "sum over the count, rounded half to even at eight places; median and percentile: interpolated linearly between "
        "neighbours; ratio: the numerator's total over the denominator's total, never a mean of ratios, and empty where the "
        "denominator is zero. `where` narrows one measure, `filter` all of them. Of orders and order lines, `amount` of a "
        "refund counts negative; `refunds: exclude` leaves refunds out. Money is brought into `currency` at the rate "
        "of its day, unless `currency` is a dimension; rows without a rate are left out and counted. `top` keeps the largest "
        "values of a dimension and computes `(other)` from the rows themselves, so that it is right for every "
        "measure. `having` and `pivot` come last; a group that `having` leaves out is an empty cell. A filter on `amount` "
        "sees it as it was imported. compare: with a dimension of time each number stands beside that "
        "of one period (or year) before; without one, beside that of the span of equal length before `start` (or the same days "
        "a year earlier); change = (now - then) / |then|, between periods that are `complete`, or where the data reach to the "
        "end of the span. A group that was there before and no longer is has a row, too, with zeros in what is counted or summed."
    ),
    source="The GROUP BY of ISO/IEC 9075 (SQL); percentiles as its PERCENTILE_CONT.",
    params=AggregateParams,
    columns=(columns.Column("…", columns.ColumnType.TEXT, "Dimensions, then measures, as they were asked for"),),
    datasets=((*schemas.DATASETS,),),
    optional_datasets=("customers", "fx_rates"),
    needs_of=_needs,
)
