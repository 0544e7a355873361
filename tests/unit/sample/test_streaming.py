"""The same options give the same rows and bytes, in batches that do not grow with the sample."""

import gzip
import hashlib
import tracemalloc
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from analytics.sample import files, generator, options, schemas

SMALL = options.SampleOptions(customers=150, seed=3, currencies=("GBP", "EUR"))


def whole(dataset: str, wanted: options.SampleOptions, batch_rows: int = generator.BATCH_ROWS) -> pa.Table:
    batches = generator.generate(dataset, wanted, batch_rows=batch_rows)
    return pa.Table.from_batches(batches, schema=schemas.SCHEMAS[dataset])


@pytest.mark.parametrize("dataset", schemas.DATASETS)
def test_rows_depend_on_the_options_alone(dataset: str) -> None:
    # numpy's own global stream must play no part: neither read nor moved.
    np.random.seed(1)  # noqa: NPY002 - the global state is what is being tested
    before = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002 - as above
    first = whole(dataset, SMALL)
    assert (np.random.get_state()[1] == before).all()  # type: ignore[index]  # noqa: NPY002 - as above
    assert first.num_rows > 0
    assert whole(dataset, SMALL, batch_rows=37).combine_chunks().equals(first.combine_chunks())


@pytest.mark.parametrize("dataset", [name for name in schemas.DATASETS if name != "fx_rates"])
def test_another_seed_is_another_sample(dataset: str) -> None:
    other = options.SampleOptions(customers=150, seed=4, currencies=("GBP", "EUR"))
    assert not whole(dataset, other).equals(whole(dataset, SMALL))


@pytest.mark.parametrize("dataset", schemas.DATASETS)
@pytest.mark.parametrize("customers", [1, 2, 9])
def test_the_smallest_samples_can_be_made(dataset: str, customers: int) -> None:
    for seed in range(3):
        wanted = options.SampleOptions(
            customers=customers, seed=seed, start=date(2024, 2, 28), end=date(2024, 3, 1), refund_rate=1.0
        )
        assert whole(dataset, wanted).schema.equals(schemas.SCHEMAS[dataset])


def peak_and_rows(customers: int) -> tuple[int, int]:
    """The most bytes that numpy and Arrow held at once while the lines of a sample went by, and how many went by."""
    arrow, rows = 0, 0
    held = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        for batch in generator.generate("order_lines", options.SampleOptions(customers=customers)):
            assert batch.num_rows <= generator.BATCH_ROWS
            arrow = max(arrow, pa.total_allocated_bytes() - held)
            rows += batch.num_rows
        return arrow + tracemalloc.get_traced_memory()[1], rows
    finally:
        tracemalloc.stop()


def test_memory_stays_flat_while_samples_grow() -> None:
    small, few = peak_and_rows(8_000)
    large, many = peak_and_rows(40_000)
    assert many > 4.5 * few
    assert large < 1.5 * small


def test_files_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    first = files.write_all(SMALL, tmp_path / "one")
    second = files.write_all(SMALL, tmp_path / "two")
    assert list(first) == list(schemas.DATASETS)
    assert first["orders"] == tmp_path / "one" / "orders.csv.gz"
    for dataset, path in first.items():
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(second[dataset].read_bytes()).digest()
    assert first["orders"].read_bytes()[4:8] == bytes(4), "the time in gzip's header is none"
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(path.name for path in first.values())


@pytest.mark.parametrize("dataset", schemas.DATASETS)
def test_a_file_read_back_is_the_sample(dataset: str, tmp_path: Path) -> None:
    schema = schemas.SCHEMAS[dataset]
    plain = files.write_csv(dataset, SMALL, tmp_path / "plain.csv")
    packed = files.write_csv(dataset, SMALL, tmp_path / "packed.csv.gz")
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()
    types = {field.name: field.type for field in schema}
    convert = pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False)
    assert pyarrow.csv.read_csv(packed, convert_options=convert).equals(whole(dataset, SMALL).combine_chunks())


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("the old one")
    good = next(generator.generate("orders", SMALL))

    def breaks(*_: object) -> object:
        yield good
        raise OSError("the disk is full")

    monkeypatch.setattr(generator, "generate", breaks)
    with pytest.raises(OSError, match="the disk is full"):
        files.write_csv("orders", SMALL, path)
    assert path.read_text() == "the old one"
    assert list(tmp_path.iterdir()) == [path]
