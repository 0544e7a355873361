"""What `cohort_retention` is: how many of those who came together come back."""

from enum import StrEnum

from pydantic import Field

from analytics.catalogue import columns, parameters
from analytics.catalogue.report_type import ReportType


class CohortBy(StrEnum):
    """What puts a customer into a cohort."""

    FIRST_ORDER = "first_order"
    SIGNUP = "signup"


class Measure(StrEnum):
    """What is retained."""

    CUSTOMERS = "customers"
    ORDERS = "orders"
    REVENUE = "revenue"


class Criterion(StrEnum):
    """When a customer counts as retained at a period."""

    ON = "on"
    ON_OR_AFTER = "on_or_after"


class CohortRetentionParams(parameters.ReportParams):
    """Parameters of `cohort_retention`."""

    period: parameters.Period = Field(parameters.Period.MONTH, description="The length of a calendar period.")
    cohort_by: CohortBy = Field(
        CohortBy.FIRST_ORDER, description="A customer's cohort: the period of the first purchase, or of `created_at`."
    )
    measure: Measure = Field(Measure.CUSTOMERS, description="What `rate` is about.")
    criterion: Criterion = Field(
        Criterion.ON, description="on: active in that very period; on_or_after: active in it or in any later one."
    )
    periods: int | None = Field(
        None, ge=0, le=10_000, description="The highest period_index to show. Default: as far as the data reach."
    )


TYPE = ReportType(
    name="cohort_retention",
    title="Cohort retention",
    version=1,
    definition=(
        "A cohort is the calendar period, in the report's zone, of a customer's first purchase (or of `created_at` with "
        "`cohort_by` signup). The cell of cohort c and period_index k holds the distinct customers of c with a purchase "
        "in the k-th calendar period after c, and the net revenue of c in it; a refund is no purchase. `rate` is "
        "active / cohort_size for `measure` customers; for orders and revenue it is the cell over the same cohort's "
        "cell at k = 0. With `criterion` on_or_after a cell covers its period and all later ones. Every cohort has a row "
        "for every k: cells that lie after the data are null, and cells whose period the data do not cover to its end "
        "are `complete: false`. `weighted_mean` is, per k, the sum of the numerators over the sum of the denominators "
        "of the cohorts whose cell k is complete. `segment_by` makes cohorts within each segment, by the customer's "
        "attribute or that of their first order. Periods without a new customer make no cohort."
    ),
    source=(
        "N. D. Glenn, Cohort Analysis (Sage, 2nd ed. 2005), for cohorts by period of entry; classic (on) and unbounded "
        "(on or after) retention as product analytics tools use the words."
    ),
    params=CohortRetentionParams,
    columns=(
        columns.Column("cohort", columns.ColumnType.DATE, "First local day of the cohort's period", key=True),
        columns.Column("cohort_size", columns.ColumnType.INTEGER, "Customers in the cohort", "customers"),
        columns.Column(
            "period_index", columns.ColumnType.INTEGER, "Calendar periods after the cohort's own", "periods", key=True
        ),
        columns.Column("active", columns.ColumnType.INTEGER, "Distinct customers with a purchase", "customers"),
        columns.Column("rate", columns.ColumnType.NUMBER, "What is retained of the measure", "ratio"),
        columns.Column("revenue", columns.ColumnType.DECIMAL, "Orders less refunds of the cohort", "currency"),
        columns.Column("complete", columns.ColumnType.BOOLEAN, "Whether the data cover the period to its end"),
        columns.Column("orders", columns.ColumnType.INTEGER, "Distinct orders of the cohort", "orders"),
    ),
    datasets=(("orders", "order_lines"),),
    optional_datasets=("customers", "fx_rates"),
)
