"""How each report type is computed, by name; the heavy half of `catalogue.registry`."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from analytics import result
from analytics.reports import (
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

# Each takes the open tables by dataset and the parameters of its own type.
COMPUTE: Mapping[str, Callable[[Mapping[str, Any], Any], result.Result]] = MappingProxyType(
    {
        "aggregate": aggregate.compute,
        "churn_survival": churn_survival.compute,
        "clv": clv.compute,
        "cohort_retention": cohort_retention.compute,
        "data_quality": data_quality.compute,
        "mrr": mrr.compute,
        "product_affinity": product_affinity.compute,
        "revenue_trend": revenue_trend.compute,
        "rfm": rfm.compute,
    }
)
