"""One question of each report type, asked of the generated sample, for its page in `docs/reports`."""

import functools
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analytics import engine, result
from analytics.catalogue import registry
from analytics.datasets import importing, options
from analytics.reports import registry as computing
from analytics.sample import files
from analytics.sample import options as sample_options

SAMPLE = sample_options.SampleOptions(customers=400, seed=7, orders_per_customer=4.0)
DATASETS = ("customers", "orders", "order_lines", "deals", "subscriptions", "fx_rates")


@dataclass(frozen=True, slots=True)
class Example:
    """Parameters that show what a type is for, and which datasets of the sample it is asked of."""

    params: Mapping[str, Any]
    datasets: tuple[str, ...]


_SHOP = ("orders", "customers")
EXAMPLES: Mapping[str, Example] = {
    "aggregate": Example(
        {
            "dataset": "order_lines",
            "measures": [
                {"op": "count_distinct", "column": "order_id", "name": "orders"},
                {"op": "sum", "column": "amount", "name": "revenue"},
                {
                    "op": "ratio",
                    "name": "revenue_per_order",
                    "numerator": {"op": "sum", "column": "amount"},
                    "denominator": {"op": "count_distinct", "column": "order_id"},
                },
            ],
            "dimensions": [{"column": "product"}],
            "top": {"dimension": "product", "n": 4, "by": "revenue"},
            "sort": [{"by": "revenue", "descending": True}],
        },
        ("order_lines",),
    ),
    "churn_survival": Example({"group_by": "plan"}, ("subscriptions",)),
    "clv": Example({"calibration_end": "2025-07-01", "holdout_end": "2026-01-01", "horizon": 52}, _SHOP),
    "cohort_retention": Example({"period": "quarter"}, _SHOP),
    "data_quality": Example({"datasets": ["orders"], "as_of": "2026-01-01"}, _SHOP),
    "mrr": Example({"period": "quarter"}, ("subscriptions",)),
    "product_affinity": Example({"min_support": 0.004, "min_confidence": 0.05}, ("order_lines",)),
    "revenue_trend": Example({"period": "quarter"}, _SHOP),
    "rfm": Example({}, _SHOP),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """The sample as tables: the files of each dataset. The folder is there as long as this is."""

    folder: tempfile.TemporaryDirectory[str]
    tables: Mapping[str, tuple[str, ...]]


@functools.cache
def sample() -> Sample:
    folder = tempfile.TemporaryDirectory(prefix="reckoner-examples-")
    return Sample(folder, {dataset: _import(dataset, Path(folder.name)) for dataset in DATASETS})


def ask(kind: str) -> tuple[result.Result, Mapping[str, Any]]:
    """Answer the example of a type; also return its canonical parameters."""
    example, made = EXAMPLES[kind], sample()
    params = registry.REPORT_TYPES[kind].parse_params(example.params, timezone="Europe/London", currency="GBP")
    snapshots = [engine.Snapshot(dataset, 0, made.tables[dataset], 0) for dataset in example.datasets]
    spill = Path(made.folder.name) / "spill"
    with engine.open_tables(snapshots, memory_limit="512MB", threads=2, spill_folder=spill) as opened:
        return computing.COMPUTE[kind](opened, params), params.model_dump(mode="json")


def _import(dataset: str, folder: Path) -> tuple[str, ...]:
    """Clean a dataset of the sample as an import would; return the files of its table."""
    csv = files.write_csv(dataset, SAMPLE, folder / f"{dataset}.csv")
    wanted = options.ImportOptions(dataset=dataset).with_defaults(timezone="Europe/London", currency="GBP")
    staged = importing.stage(csv, options=wanted, folder=folder / dataset / "staged", progress=lambda *_: None)
    change = importing.plan_change(staged, current=None, folder=folder / dataset / "table", memory="512MB", threads=2)
    return tuple(str(path) for path in change.added)
