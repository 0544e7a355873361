"""Any dataset of a sample as a stream of record batches: memory depends on the batch, not on the sample."""

from collections.abc import Callable, Iterator, Mapping

import pyarrow as pa

from analytics.sample import billing, contacts, people, pipeline, plan, prospects, purchases, rates, schemas
from analytics.sample import options as sample_options

BATCH_ROWS = 65_536

_BY_BLOCK: Mapping[str, Callable[[plan.Plan, int], pa.RecordBatch | pa.Table]] = {
    "customers": people.customers,
    "orders": purchases.orders,
    "order_lines": purchases.order_lines,
    "deals": pipeline.deals,
    "deal_stages": pipeline.deal_stages,
    "leads": prospects.leads,
    "touches": prospects.touches,
    "activities": contacts.activities,
    "subscriptions": billing.subscriptions,
}


def generate(
    dataset: str, options: sample_options.SampleOptions, *, batch_rows: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """The rows of `dataset` in batches of at most `batch_rows`, the schema that of `schemas.SCHEMAS[dataset]`.

    Rows and their order depend on the options alone. A wrong name or size is refused at the call, not at the first row.
    """
    if dataset not in schemas.SCHEMAS:
        raise ValueError(f"There is no dataset {dataset!r}; choose among {', '.join(schemas.DATASETS)}.")
    if batch_rows < 1:
        raise ValueError(f"batch_rows is at least 1 (got {batch_rows}).")
    return _stream(dataset, options, batch_rows)


def _stream(dataset: str, options: sample_options.SampleOptions, batch_rows: int) -> Iterator[pa.RecordBatch]:
    made = plan.Plan.of(options)
    if dataset == "fx_rates":
        yield from pa.Table.from_batches([rates.fx_rates(made)]).to_batches(max_chunksize=batch_rows)
        return
    make = _BY_BLOCK[dataset]
    for block in made.blocks():
        rows = make(made, block)
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])
        yield from (batch for batch in table.to_batches(max_chunksize=batch_rows) if batch.num_rows)
