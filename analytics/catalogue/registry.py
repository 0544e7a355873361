"""Every report type there is, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from analytics.catalogue import aggregate, clv, cohort_retention, mrr, revenue_trend, rfm
from analytics.catalogue.report_type import ReportType

REPORT_TYPES: Mapping[str, ReportType] = MappingProxyType(
    {
        "aggregate": aggregate.TYPE,
        "clv": clv.TYPE,
        "cohort_retention": cohort_retention.TYPE,
        "mrr": mrr.TYPE,
        "revenue_trend": revenue_trend.TYPE,
        "rfm": rfm.TYPE,
    }
)
