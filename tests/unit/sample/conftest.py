"""One sample with three currencies, made once and read by every test of what a sample holds."""

from collections.abc import Callable
from functools import cache

import duckdb
import pyarrow as pa
import pytest

from analytics.sample import generator, options, schemas

OPTIONS = options.SampleOptions(customers=3_000, seed=11, currencies=("GBP", "EUR", "USD"))


@cache
def _table(dataset: str) -> pa.Table:
    return pa.Table.from_batches(generator.generate(dataset, OPTIONS), schema=schemas.SCHEMAS[dataset])


@pytest.fixture(scope="session")
def sampled() -> options.SampleOptions:
    """What the tables of `table` and `query` were made with."""
    return OPTIONS


@pytest.fixture(scope="session")
def table() -> Callable[[str], pa.Table]:
    return _table


@pytest.fixture(scope="session")
def query() -> Callable[[str], list[tuple[object, ...]]]:
    """SQL over all datasets by their names, an engine that had no part in making them."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    for dataset in schemas.DATASETS:
        connection.register(dataset, _table(dataset))
    return lambda sql: connection.execute(sql).fetchall()
