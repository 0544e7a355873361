"""Times an import over HTTP, upload to commit, against PyArrow writing the same CSV as Parquet, and pandas writing it to SQL."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil
import pyarrow.csv
import pyarrow.parquet as pq
import sqlalchemy as sa

from analytics.sample import files, options
from cli.stack import Stack
from tests.client import Client, Json

# pandas writes SQL slowly; its rate needs no more than this.
PANDAS_LINES = 100_000
SMALLER, LARGER = 10, 3


@dataclass(frozen=True)
class Run:
    """One import: seconds from the first byte to the commit, those until the upload was accepted, and the highest memory."""

    seconds: float
    upload_seconds: float
    peak: int
    job: Json


def generate(folder: Path, *, lines: int) -> Path:
    """Write about so many order lines as plain CSV."""
    # A sample order has 2.4 lines.
    wanted = options.SampleOptions.for_orders(int(lines / 2.4), seed=3)
    return files.write_csv("order_lines", wanted, folder / f"order_lines_{lines}.csv")


def measure(stack: Stack, path: Path, folder: Path) -> dict[str, float]:
    """Return lines per second of each way, and ours as a ratio to the others. Each way gets its better of two runs."""
    count = count_lines(path)
    arrow = count / min(timed(lambda: _with_arrow(path, folder)) for _ in range(2))
    runs = [_into_an_empty_table(stack, path) for _ in range(2)]
    best = min(runs, key=lambda run: run.seconds)
    ours = count / best.seconds
    pandas = _with_pandas(stack, path)
    return {
        "lines": count,
        "megabytes": path.stat().st_size / 1e6,
        "ours_lines_per_second": ours,
        "ours_share_of_upload": best.upload_seconds / best.seconds,
        "pyarrow_lines_per_second": arrow,
        "pandas_lines_per_second": pandas,
        "ratio_to_pyarrow": ours / arrow,
        "ratio_to_pandas": ours / pandas,
        "worker_child_peak_megabytes": max(run.peak for run in runs) / 1e6,
    }


def memory(stack: Stack, folder: Path, *, lines: int) -> dict[str, float]:
    """Return the worker child's highest memory for a file of a tenth, and for one of three times as many lines."""
    figures: dict[str, float] = {}
    for number in (lines // SMALLER, lines * LARGER):
        path = generate(folder, lines=number)
        run = _into_an_empty_table(stack, path)
        count = count_lines(path)
        path.unlink()
        figures[f"{count:,}_lines,_peak_megabytes"] = run.peak / 1e6
        figures[f"{count:,}_lines,_lines_per_second"] = count / run.seconds
    return figures


def over_http(stack: Stack, client: Client, path: Path) -> Run:
    """Import a file of order lines and watch the worker's children."""
    begun = time.perf_counter()
    answer = client.http.post(
        "/v1/imports",
        params={"dataset": "order_lines"},
        content=_blocks(path),
        # The command line says it too; without it each block would be wrapped and unwrapped once more.
        headers={"Content-Length": str(path.stat().st_size)},
        timeout=1200,
    )
    job: Json = answer.raise_for_status().json()
    uploaded, peak = time.perf_counter(), 0
    while job["status"] in {"queued", "running"}:
        # Which of the two takes a file depends on its size.
        peak = max(peak, *(_memory_of_children(stack.pids[name]) for name in ("worker-imports", "worker-heavy")))
        time.sleep(0.1)
        job = client.http.get(job["links"]["self"]).json()
    run = Run(time.perf_counter() - begun, uploaded - begun, peak, job)
    if job["status"] != "succeeded" or job["rows"]["rejected"]:
        raise AssertionError(f"the import went wrong: {job}")
    return run


def count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1


def timed(run: Callable[[], None]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def _into_an_empty_table(stack: Stack, path: Path) -> Run:
    with Client.of_new_organisation(stack) as client:
        return over_http(stack, client, path)


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield the file by the megabyte, as the command line sends it."""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            yield block


def _memory_of_children(pid: int) -> int:
    sizes = []
    for child in psutil.Process(pid).children():
        try:
            sizes.append(child.memory_info().rss)
        except psutil.NoSuchProcess:
            continue
    return max(sizes, default=0)


def _with_arrow(path: Path, folder: Path) -> None:
    pq.write_table(pyarrow.csv.read_csv(path), folder / "peer.parquet")


def _with_pandas(stack: Stack, path: Path) -> float:
    """Return lines per second of `read_csv` and `to_sql` into the stack's own PostgreSQL, on the first lines."""
    engine = sa.create_engine("postgresql+psycopg://", creator=lambda: _connect(stack))

    def run() -> None:
        frame = pd.read_csv(path, nrows=PANDAS_LINES, parse_dates=["ordered_at"])
        frame.to_sql("benchmark_peer", engine, if_exists="replace", index=False)

    seconds = timed(run)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE benchmark_peer"))
    engine.dispose()
    return PANDAS_LINES / seconds


def _connect(stack: Stack) -> object:
    import psycopg  # noqa: PLC0415

    return psycopg.connect(dbname="reckoner", user="reckoner", host=str(stack.home / "run"))
