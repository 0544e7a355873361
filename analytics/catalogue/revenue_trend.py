"""What `revenue_trend` is: revenue, orders and customers, period by period."""

from pydantic import Field

from analytics.catalogue import columns, parameters
from analytics.catalogue.report_type import ReportType


class RevenueTrendParams(parameters.ReportParams):
    """Parameters of `revenue_trend`."""

    period: parameters.Period = Field(parameters.Period.MONTH, description="The length of a calendar period.")


TYPE = ReportType(
    name="revenue_trend",
    title="Revenue trend",
    version=1,
    definition=(
        "One row per calendar period in the report's zone, from that of `start`, or else of the first row of data, to that of "
        "`as_of`, or else of the last row of data, and not beyond `end`; a period without orders is a row of zeros. gross: what "
        "was ordered; refunds: what was given back, as a positive amount; net = gross - refunds. orders: distinct orders; "
        "customers: distinct known customers with an order; aov = gross / orders, rounded half to even at eight places. "
        "new_revenue is the net revenue, in the "
        "period of their first purchase, of those customers; unattributed is the net revenue without a customer; "
        "returning_revenue is the rest, so the three add up to net. `complete` says whether the data cover the period to "
        "its end. change_previous and change_year compare net with the period before and with the same period a year "
        "before (for weeks, 52 weeks before) as (net - then) / |then|, only between complete periods and where the earlier "
        "one is not zero. With `segment_by` there is a row per period and segment."
    ),
    source=(
        "The usual statement of sales: gross sales less returns is net sales (IFRS 15, paragraphs 50-59, on refunds as "
        "variable consideration); average order value on orders as placed, before refunds, as shop systems report it."
    ),
    params=RevenueTrendParams,
    columns=(
        columns.Column("period", columns.ColumnType.DATE, "First local day of the period", key=True),
        columns.Column("complete", columns.ColumnType.BOOLEAN, "Whether the data cover the period to its end"),
        columns.Column("gross", columns.ColumnType.DECIMAL, "Value of the orders", "currency"),
        columns.Column("refunds", columns.ColumnType.DECIMAL, "Value given back, positive", "currency"),
        columns.Column("net", columns.ColumnType.DECIMAL, "gross - refunds", "currency"),
        columns.Column("orders", columns.ColumnType.INTEGER, "Distinct orders", "orders"),
        columns.Column("customers", columns.ColumnType.INTEGER, "Distinct customers with an order", "customers"),
        columns.Column("aov", columns.ColumnType.DECIMAL, "Mean value of an order; null without orders", "currency"),
        columns.Column("new_revenue", columns.ColumnType.DECIMAL, "Net revenue of first-time customers", "currency"),
        columns.Column("returning_revenue", columns.ColumnType.DECIMAL, "Net revenue of other customers", "currency"),
        columns.Column("change_previous", columns.ColumnType.NUMBER, "Change of net on the period before", "ratio"),
        columns.Column("change_year", columns.ColumnType.NUMBER, "Change of net on the year before", "ratio"),
        columns.Column("unattributed", columns.ColumnType.DECIMAL, "Net revenue without a customer", "currency"),
        columns.Column("new_customers", columns.ColumnType.INTEGER, "Customers whose first order it is", "customers"),
    ),
    datasets=(("orders", "order_lines"),),
    optional_datasets=("customers", "fx_rates"),
)
