"""How time and memory of each report grow with the data, beside the query by hand and pandas: each in its own process."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from analytics.catalogue import registry
from tests.benchmarks import programs_in_pandas, queries_by_hand

# These read subscriptions, of which a company has fewer than order lines.
OF_SUBSCRIPTIONS = frozenset({"mrr", "churn_survival"})
LINES_PER_SUBSCRIPTION = 50
# A frame of more order lines than this needs more memory than a worker has.
MOST_LINES_IN_PANDAS = 10_000_000


def measure(sizes: Sequence[int], reports: Sequence[str] = ()) -> Iterator[tuple[str, int, dict[str, float]]]:
    """Yield a report, a size and its figures."""
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
                in_pandas = report in programs_in_pandas.PROGRAMS and lines <= MOST_LINES_IN_PANDAS
                yield report, lines, _compare(report, dataset, files[dataset], in_pandas=in_pandas)


def _write(path: Path, query: str, lines: int) -> Path:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(query.format(lines=lines, customers=max(1, lines // 25), path=path))
    return path


def _compare(report: str, dataset: str, path: Path, *, in_pandas: bool) -> dict[str, float]:
    """Return the better of two runs of each way, in turn, so that whatever else the machine does falls on all."""
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "by hand": []}
    for _ in range(2):
        for way, found in runs.items():
            found.append(_run(way, report, dataset, path))
    ours, by_hand = (min(found, key=lambda run: run["seconds"]) for found in runs.values())
    stored = min(run["seconds_stored"] for run in runs["ours"])
    processor = [min(run["processor"] for run in found) for found in runs.values()]
    figures = {
        "rows": ours["rows"],
        "seconds": ours["seconds"],
        "seconds stored": stored,
        "by hand": by_hand["seconds"],
        "ratio": ours["seconds"] / by_hand["seconds"],
        "ratio of processor time": processor[0] / processor[1],
        "ratio stored": stored / by_hand["seconds"],
        "peak MB": max(run["peak_bytes"] for run in runs["ours"]) / 1e6,
        "peak MB by hand": max(run["peak_bytes"] for run in runs["by hand"]) / 1e6,
    }
    if in_pandas:
        peer = _run("in pandas", report, dataset, path)
        figures |= {"pandas": peer["seconds"], "peak MB pandas": peer["peak_bytes"] / 1e6}
    return figures


def _run(way: str, report: str, dataset: str, path: Path) -> dict[str, float]:
    argv = [sys.executable, "-m", "tests.benchmarks.report_once", way.replace(" ", "_"), report, dataset, str(path)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
