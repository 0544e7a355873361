"""Times an upsert of one line in a hundred over HTTP, against PyArrow on a Parquet file and pandas on a frame in memory."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from cli.stack import Stack
from tests.benchmarks import imports_against_peers
from tests.client import Client

SHARE = 100
KEY = ["order_id", "line_no"]
RUNS = 2


def measure(stack: Stack, path: Path, folder: Path) -> dict[str, float]:
    """Return seconds of each way, for lines from anywhere in the table and for the last ones. Each gets its better of two runs."""
    whole = pyarrow.csv.read_csv(path)
    stored = folder / "stored.parquet"
    pq.write_table(whole, stored)
    count = whole.num_rows
    some = count // SHARE
    # Other lines each time: those that were changed once stand together, so that to change them again is easy.
    anywhere = np.random.default_rng(5).permutation(count)
    chosen = {
        "random": [np.sort(anywhere[run * some : (run + 1) * some]) for run in range(RUNS)],
        "recent": [np.arange(count - (run + 1) * some, count - run * some) for run in range(RUNS)],
    }
    changes = {
        name: [_changed(whole.take(lines), folder / f"{name}_{run}.csv") for run, lines in enumerate(each)]
        for name, each in chosen.items()
    }
    del whole
    figures: dict[str, float] = {"lines": count, "lines_changed": count // SHARE}
    with Client.of_new_organisation(stack) as client:
        imports_against_peers.over_http(stack, client, path)
        for name, files in changes.items():
            ours = [imports_against_peers.over_http(stack, client, file) for file in files]
            if any(run.job["rows"]["updated"] != count // SHARE for run in ours):
                raise AssertionError(f"not every line was updated: {[run.job['rows'] for run in ours]}")
            figures[f"ours_seconds,_{name}_lines"] = min(run.seconds for run in ours)
            figures[f"worker_child_peak_megabytes,_{name}_lines"] = max(run.peak for run in ours) / 1e6
    for name, files in changes.items():
        figures[f"pyarrow_seconds,_{name}_lines"] = _best(files, lambda file: _with_arrow(stored, file, folder))
    frame = pd.read_csv(path)
    for name, files in changes.items():
        figures[f"pandas_seconds,_{name}_lines"] = _best(files, lambda file: _with_pandas(frame, file))
    return figures


def _changed(lines: pa.Table, path: Path) -> Path:
    """Write lines with another product each, which no other file gives them."""
    product = pc.binary_join_element_wise(lines["product"], path.stem, " ")
    pyarrow.csv.write_csv(lines.set_column(lines.column_names.index("product"), "product", product), path)
    return path


def _best(files: list[Path], run: Callable[[Path], None]) -> float:
    return min(imports_against_peers.timed(functools.partial(run, file)) for file in files)


def _with_arrow(stored: Path, changes: Path, folder: Path) -> None:
    """Read the whole file, leave out what changes, append the changes, write the whole file."""
    table, new = pq.read_table(stored), pyarrow.csv.read_csv(changes)
    kept = table.join(new.select(KEY), KEY, join_type="left anti")
    pq.write_table(pa.concat_tables([kept, new.cast(kept.schema)]), folder / "peer.parquet")


def _with_pandas(frame: pd.DataFrame, changes: Path) -> None:
    """The same in memory, where nothing is read but the changes and nothing written."""
    new = pd.read_csv(changes)
    kept = frame[~pd.MultiIndex.from_frame(frame[KEY]).isin(pd.MultiIndex.from_frame(new[KEY]))]
    pd.concat([kept, new])
