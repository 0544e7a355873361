"""Every report type there is, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from analytics.catalogue import (
    aggregate,
    churn_survival,
    clv,
    cohort_retention,
    data_quality,
    mrr,
    product_affinity,
    revenue_trend,
    rfm,
)
from analytics.catalogue.report_type import ReportType

REPORT_TYPES: Mapping[str, ReportType] = MappingProxyType(
    {
        "aggregate": aggregate.TYPE,
        "churn_survival": churn_survival.TYPE,
        "clv": clv.TYPE,
        "cohort_retention": cohort_retention.TYPE,
        "data_quality": data_quality.TYPE,
        "mrr": mrr.TYPE,
        "product_affinity": product_affinity.TYPE,
        "revenue_trend": revenue_trend.TYPE,
        "rfm": rfm.TYPE,
    }
)
