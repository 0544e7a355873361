"""Downloads of a result of a million rows, in several formats and codings: how fast, and what the web process grows by.

`python -m tests.benchmarks.downloads`
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from analytics.sample import files, options
from cli.stack import Stack
from tests.client import Client, Json

KINDS = (
    ("csv", "identity"),
    ("csv", "gzip"),
    ("csv", "zstd"),
    ("ndjson", "zstd"),
    ("json", "identity"),
    ("parquet", "identity"),
)
READ_BYTES = 256 * 1024
LOOK_SECONDS = 0.02


@dataclass(slots=True)
class _Memory:
    """What a process has of its own, in bytes: before, and at most since."""

    before: int
    most: int


def measure(stack: Stack, folder: Path, *, rows: int = 1_000_000) -> dict[str, float]:
    """Return seconds, megabytes on the wire and growth of the web process for each format and coding."""
    web = psutil.Process(stack.pids["web"]).children()[0]
    figures: dict[str, float] = {}
    with Client.of_new_organisation(stack) as client:
        job = _report(client, folder, rows)
        for fmt, coding in KINDS:
            _download(client, job, fmt, coding)
        figures["rows"] = client.http.get(job["links"]["manifest"]).raise_for_status().json()["row_count"]
        figures["web_megabytes_before"] = web.memory_full_info().uss / 1e6
        for fmt, coding in KINDS:
            begun = time.perf_counter()
            with _watched(web) as memory:
                size = _download(client, job, fmt, coding)
            name = f"{fmt}_{coding}" if coding != "identity" else fmt
            figures[f"{name}_seconds"] = time.perf_counter() - begun
            figures[f"{name}_megabytes_sent"] = size / 1e6
            figures[f"{name}_web_grew_by_megabytes"] = max(0, memory.most - memory.before) / 1e6
    return figures


def _report(client: Client, folder: Path, rows: int) -> Json:
    """Run a report with a row for each customer."""
    # About an eighth of the customers of a sample never order anything.
    customers = rows * 8 // 7
    wanted = options.SampleOptions.for_orders(customers * 3 // 2, customers=customers, seed=3)
    path = files.write_csv("orders", wanted, folder / "orders.csv")
    answer = client.http.post("/v1/imports", params={"dataset": "orders"}, content=path.open("rb"), timeout=600)
    imported = client.finish(answer.raise_for_status().json(), seconds=600)
    path.unlink()
    job = client.finish(client.submit("rfm"), seconds=300)
    if imported["status"] != "succeeded" or job["status"] != "succeeded":
        raise AssertionError((imported, job))
    return job


def _download(client: Client, job: Json, fmt: str, coding: str) -> int:
    size = 0
    address = f"{job['links']['result']}?format={fmt}"
    with client.http.stream("GET", address, headers={"Accept-Encoding": coding}, timeout=300) as answer:
        answer.raise_for_status()
        if answer.headers.get("Content-Encoding", "identity") != coding:
            raise AssertionError(answer.headers)
        for piece in answer.iter_raw(READ_BYTES):
            size += len(piece)
    return size


@contextmanager
def _watched(process: psutil.Process) -> Iterator[_Memory]:
    now = int(process.memory_full_info().uss)
    memory, over = _Memory(now, now), threading.Event()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            memory.most = max(memory.most, int(process.memory_full_info().uss))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        over.set()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reckoner-downloads-") as name, Stack(home=Path(name) / "home") as stack:
        for figure, value in measure(stack, Path(name), rows=asked.rows).items():
            print(f"| {figure.replace('_', ' ')} | {value:,.3g} |" if value < 1000 else f"| {figure} | {value:,.0f} |")


if __name__ == "__main__":
    main()
