"""What `mrr` is: monthly recurring revenue, and what made it grow or shrink."""

from enum import StrEnum

from pydantic import Field

from analytics.catalogue import columns, parameters
from analytics.catalogue.report_type import ReportType


class Currencies(StrEnum):
    """What becomes of several currencies."""

    CONVERT = "convert"
    SEPARATE = "separate"


class MrrParams(parameters.ReportParams):
    """Parameters of `mrr`."""

    period: parameters.Period = Field(parameters.Period.MONTH, description="The length of a calendar period.")
    currencies: Currencies | None = Field(
        None,
        description="convert: everything in `currency`, at the rates of each period's last day; separate: rows of its "
        "own for each currency. Default: convert where fx_rates have rates for other currencies, else separate.",
    )


def _money(name: str, meaning: str) -> columns.Column:
    return columns.Column(name, columns.ColumnType.DECIMAL, meaning, "currency")


def _people(name: str, meaning: str) -> columns.Column:
    return columns.Column(name, columns.ColumnType.INTEGER, meaning, "customers")


TYPE = ReportType(
    name="mrr",
    title="Monthly recurring revenue",
    version=1,
    definition=(
        "A customer's MRR on a day is the sum of `mrr` over all of the customer's subscriptions in force on it, that is "
        "with started_on <= day < ended_on (the end is the first day without; empty: it still runs). A customer is "
        "active where that sum is above zero. `end` is the MRR of the period's last day and `start` that of the period "
        "before, so movements are differences between two last days, per customer and not per subscription: someone "
        "who replaces a subscription by a dearer one expands and does not churn. new: active for the first time; "
        "reactivation: active again after a period without; expansion and contraction: active on both days, with more "
        "or with less; churn: no longer active. contraction and churn are positive amounts, and start + new + "
        "reactivation + expansion - contraction - churn + transfer + fx = end in every row. What begins and ends "
        "between two last days is in no movement, and a warning counts it. grr = (start - contraction - churn) / start; "
        "nrr = (start + expansion - contraction - churn) / start; both only for complete periods with a start above "
        "zero, and without reactivation, because who comes back was not in the start. arr = 12 x end. customers: "
        "active on the last day. Several currencies are never added together. With `currencies` separate each has rows "
        "of its own, and a customer of two counts in both. With convert, MRR is valued at the latest rate on or before "
        "the last day: new and reactivation at the rates of `end`; expansion, contraction and churn at those of "
        "`start`, so that retention does not depend on exchange; fx is the change in value of what was held over. "
        "A subscription whose currency had no rate by the end of its first period is left out (`unconverted`). "
        "Subscriptions have days and no times, so `timezone` only says on which day `as_of`, `start` and `end` fall. "
        "as_of: nothing that starts on its day or later is read, the last period reaches to the day before, and the "
        "data are taken to be known up to it. Its default is the day after the last start, because an end may be set "
        "long before it comes. `start` chooses the first period shown; history before it still tells who is new. "
        "Periods in which nothing moves have rows too. `segment_by` a column of customers splits the rows by customer. "
        "By a column of subscriptions, such as plan, each segment has the MRR of its own subscriptions: transfer is "
        "what those bring into it or take out of it who stay customers and change segment; it is 0 otherwise, and is "
        "in neither grr nor nrr. `refunds` does not apply."
    ),
    source=(
        "Movements of recurring revenue as dbt Labs' MRR playbook and the usual SaaS metrics define them (new, "
        "expansion, contraction, churn, reactivation; gross and net revenue retention); J. Skok, SaaS Metrics 2.0. "
        "The treatment of exchange follows constant-currency reporting."
    ),
    params=MrrParams,
    columns=(
        columns.Column("period", columns.ColumnType.DATE, "First day of the period", key=True),
        columns.Column("currency", columns.ColumnType.TEXT, "What the money of the row is in", key=True),
        _money("start", "MRR on the last day before the period"),
        _money("new", "Of customers active for the first time"),
        _money("reactivation", "Of customers who came back"),
        _money("expansion", "More from customers who stayed"),
        _money("contraction", "Less from customers who stayed, positive"),
        _money("churn", "Of customers who left, positive"),
        _money("fx", "Change in value of what was held over, by exchange"),
        _money("end", "MRR on the last day of the period"),
        columns.Column("grr", columns.ColumnType.NUMBER, "Gross revenue retention", "ratio"),
        columns.Column("nrr", columns.ColumnType.NUMBER, "Net revenue retention", "ratio"),
        columns.Column("arr", columns.ColumnType.DECIMAL, "12 x end, a year's worth", "currency"),
        _people("customers", "Active on the last day"),
        columns.Column("complete", columns.ColumnType.BOOLEAN, "Whether the data cover the period to its end"),
        _money("transfer", "Of customers who stayed and changed segment; positive: into it"),
        _people("new_customers", "Behind `new`"),
        _people("reactivated_customers", "Behind `reactivation`"),
        _people("expanded_customers", "Behind `expansion`"),
        _people("contracted_customers", "Behind `contraction`"),
        _people("churned_customers", "Behind `churn`"),
    ),
    datasets=(("subscriptions",),),
    optional_datasets=("customers", "fx_rates"),
)
