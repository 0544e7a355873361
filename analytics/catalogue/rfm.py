"""What `rfm` is: customers by how recently, how often and for how much they bought."""

from enum import StrEnum
from itertools import pairwise
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from analytics.catalogue import columns, parameters
from analytics.catalogue.report_type import ReportType


class Method(StrEnum):
    """How a value becomes a score."""

    QUANTILE = "quantile"
    RANK = "rank"
    FIXED = "fixed"


Bounds = Annotated[tuple[Annotated[float, Field(allow_inf_nan=False)], ...], Field(max_length=9)]


class Thresholds(BaseModel):
    """Upper bounds of the bins, rising, one fewer than there are bins; a value on a bound is in the lower bin."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recency: Bounds = Field(description="Days; the first bin scores best.")
    frequency: Bounds = Field(description="Orders; the last bin scores best.")
    monetary: Bounds = Field(description="Net revenue; the last bin scores best.")


class RfmParams(parameters.ReportParams):
    """Parameters of `rfm`."""

    bins: int = Field(5, ge=2, le=10, description="Scores run from 1 to this; the highest is best.")
    method: Method = Field(
        Method.QUANTILE,
        description="quantile: cut at the values that split customers evenly, equal values share a score; "
        "rank: bins of equal size, equal values ordered by customer id; fixed: cut at `thresholds`.",
    )
    thresholds: Thresholds | None = Field(
        None, validate_default=True, description="The cut points; required by, and only for, `fixed`."
    )

    @field_validator("thresholds")
    @classmethod
    def _thresholds_suit_method(cls, thresholds: Thresholds | None, info: ValidationInfo) -> Thresholds | None:
        method, bins = info.data.get("method"), info.data.get("bins")
        if method is not None and (method is Method.FIXED) != (thresholds is not None):
            raise PydanticCustomError("thresholds", "`thresholds` goes with method `fixed`, and only with it")
        if thresholds is None or bins is None:
            return thresholds
        for name in ("recency", "frequency", "monetary"):
            bounds = getattr(thresholds, name)
            if len(bounds) != bins - 1 or any(low >= high for low, high in pairwise(bounds)):
                raise PydanticCustomError(
                    "thresholds", "thresholds.{name} needs {count} rising numbers", {"name": name, "count": bins - 1}
                )
        return thresholds


TYPE = ReportType(
    name="rfm",
    title="Recency, frequency, monetary value",
    version=1,
    definition=(
        "One row per customer with at least one purchase. Recency: whole local calendar days from the day of the last "
        "purchase to the day of `as_of`; with the default `as_of`, the midnight that ends the last day of data, a "
        "purchase on that day is 1 day old. Frequency: distinct orders; refunds are none. Monetary: the customer's "
        "orders less their refunds. Scores run from 1 to `bins`, highest best. With `quantile` the i-th cut is the "
        "value at position floor((n - 1) * i / bins) of the sorted values, and a score is 1 plus the number of cuts "
        "below the value, so equal values share a score (the same bins as linear-interpolated quantiles give); "
        "recency is cut the same way and turned round. `segment` is read from a five-by-five table of the recency "
        "score and the mean of the other two scores, halves rounded up. "
        "Customers known only by refunds have no row; their refunds, and "
        "revenue without a customer, are in the summary so that everything adds up to net revenue. `segment_by` adds "
        "columns, taken from the customer or from their first order, and splits the summary; scores are over all."
    ),
    source=(
        "A. M. Hughes, Strategic Database Marketing (Probus, 1994), for recency, frequency and monetary quintiles; "
        "R. J. Hyndman & Y. Fan, Sample Quantiles in Statistical Packages (The American Statistician 50, 1996), "
        "type 7, for the cut points; the segment table is Reckoner's own."
    ),
    params=RfmParams,
    columns=(
        columns.Column("customer_id", columns.ColumnType.TEXT, "Who", key=True),
        columns.Column("first_order", columns.ColumnType.TIMESTAMP, "When the first purchase was made"),
        columns.Column("last_order", columns.ColumnType.TIMESTAMP, "When the last purchase was made"),
        columns.Column(
            "recency_days", columns.ColumnType.INTEGER, "Local calendar days since the last purchase", "days"
        ),
        columns.Column("frequency", columns.ColumnType.INTEGER, "Distinct orders", "orders"),
        columns.Column("monetary", columns.ColumnType.DECIMAL, "Orders less refunds", "currency"),
        columns.Column("r", columns.ColumnType.INTEGER, "Recency score, highest is most recent", "score"),
        columns.Column("f", columns.ColumnType.INTEGER, "Frequency score, highest is most often", "score"),
        columns.Column("m", columns.ColumnType.INTEGER, "Monetary score, highest is most", "score"),
        columns.Column("segment", columns.ColumnType.TEXT, "Name of the group of customers"),
    ),
    datasets=(("orders", "order_lines"),),
    optional_datasets=("customers", "fx_rates"),
)
