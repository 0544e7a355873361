"""Every report type there is, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from analytics.catalogue import cohort_retention, revenue_trend, rfm
from analytics.catalogue.report_type import ReportType

REPORT_TYPES: Mapping[str, ReportType] = MappingProxyType(
    {
        "cohort_retention": cohort_retention.TYPE,
        "revenue_trend": revenue_trend.TYPE,
        "rfm": rfm.TYPE,
    }
)
