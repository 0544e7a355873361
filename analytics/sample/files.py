"""A sample as CSV files, plain or gzip, of which a reader sees either all or nothing."""

import contextlib
import gzip
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.csv

from analytics.sample import arrays, generator, schemas
from analytics.sample import options as sample_options

# A third of the time of gzip's usual level, for files a tenth larger.
GZIP_LEVEL = 3


def write_csv(dataset: str, options: sample_options.SampleOptions, path: Path) -> Path:
    """Writes `dataset` to `path`, compressed where it ends in `.gz`; the same options give the same bytes."""
    batches = generator.generate(dataset, options)
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = _as_written(schemas.SCHEMAS[dataset])
    with (
        _replacing(path) as unfinished,
        _opened(unfinished, compressed=path.suffix == ".gz") as sink,
        pyarrow.csv.CSVWriter(sink, schema) as writer,
    ):
        for batch in batches:
            writer.write_table(pa.Table.from_batches([batch]).cast(schema))
    return path


def write_all(options: sample_options.SampleOptions, folder: Path) -> dict[str, Path]:
    """Writes every dataset into `folder` as `<dataset>.csv.gz`."""
    return {dataset: write_csv(dataset, options, folder / f"{dataset}.csv.gz") for dataset in schemas.DATASETS}


def _as_written(schema: pa.Schema) -> pa.Schema:
    """Times in whole seconds, which is all they hold: `2024-03-01 09:30:00Z` without six zeros."""
    seconds = pa.timestamp("s", tz="UTC")
    return pa.schema([field.with_type(seconds) if field.type == arrays.TIMESTAMP else field for field in schema])


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` that takes its place at the end, or vanishes if something went wrong."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def _opened(path: Path, *, compressed: bool) -> Iterator[IO[bytes] | gzip.GzipFile]:
    with path.open("wb") as raw:
        if not compressed:
            yield raw
            return
        # Neither name nor time in the header: the bytes follow from the options alone.
        with gzip.GzipFile(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=raw, mtime=0) as packed:
            yield packed
