"""How the time and memory of each report grow with the data, beside the query by hand: each in a process of its own."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from analytics.catalogue import registry
from tests.benchmarks import queries_by_hand

# These read subscriptions, of which a company has fewer than order lines.
OF_SUBSCRIPTIONS = frozenset({"mrr", "churn_survival"})
LINES_PER_SUBSCRIPTION = 50


def measure(sizes: Sequence[int], reports: Sequence[str] = ()) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield a title and the figures of each report and size."""
    for lines in sizes:
        with tempfile.TemporaryDirectory(prefix="reckoner-bench-") as name:
            folder = Path(name)
            files = {
                "order_lines": _write(folder / "order_lines.parquet", queries_by_hand.GENERATE_LINES, lines),
                "subscriptions": _write(
                    folder / "subscriptions.parquet",
                    queries_by_hand.GENERATE_SUBSCRIPTIONS,
                    max(1, lines // LINES_PER_SUBSCRIPTION),
                ),
            }
            for report in reports or sorted(registry.REPORT_TYPES):
                dataset = "subscriptions" if report in OF_SUBSCRIPTIONS else "order_lines"
                yield f"{report}, {lines:,} order lines", _compare(report, dataset, files[dataset])


def _write(path: Path, query: str, lines: int) -> Path:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(query.format(lines=lines, customers=max(1, lines // 25), path=path))
    return path


def _compare(report: str, dataset: str, path: Path) -> dict[str, float]:
    """Return the better of two runs of each way, in turn, so that whatever else the machine does falls on both."""
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "by hand": []}
    for _ in range(2):
        for way, found in runs.items():
            found.append(_run(way, report, dataset, path))
    ours, by_hand = (min(found, key=lambda run: run["seconds"]) for found in runs.values())
    return {
        "rows": ours["rows"],
        "seconds": ours["seconds"],
        "seconds by hand": by_hand["seconds"],
        "ratio": ours["seconds"] / by_hand["seconds"],
        "peak megabytes": ours["peak_bytes"] / 1e6,
        "peak megabytes by hand": by_hand["peak_bytes"] / 1e6,
    }


def _run(way: str, report: str, dataset: str, path: Path) -> dict[str, float]:
    argv = [sys.executable, "-m", "tests.benchmarks.report_once", way.replace(" ", "_"), report, dataset, str(path)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
