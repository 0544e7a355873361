"""Runs one report, or the query that a specialist would write for it, in a process of its own; prints seconds and memory."""

import json
import resource
import sys
import time
from pathlib import Path

import duckdb

from analytics import engine
from analytics.catalogue import registry
from analytics.render import chunks
from analytics.reports import registry as computing
from tests.benchmarks import queries_by_hand

THREADS = 2
ENGINE_MEMORY = "1200MB"
ZONE = "Europe/London"


def main() -> None:
    way, report, dataset, path = sys.argv[1:]
    begun = time.perf_counter()
    rows = _ours(report, dataset, Path(path)) if way == "ours" else _by_hand(report, Path(path))
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_bytes": peak, "rows": rows}))


def _ours(report: str, dataset: str, path: Path) -> int:
    """Compute and encode, as a worker does before it stores."""
    kind = registry.REPORT_TYPES[report]
    params = kind.parse_params(queries_by_hand.PARAMS.get(report, {}), timezone=ZONE, currency="GBP")
    with engine.open_tables(
        [engine.Snapshot(dataset, 0, (str(path),), 0)],
        memory_limit=ENGINE_MEMORY,
        threads=THREADS,
        spill_folder=path.parent / "spill",
    ) as tables:
        answer = computing.COMPUTE[report](tables, params)
    if not all(invariant.holds for invariant in answer.invariants):
        raise AssertionError(f"an invariant of {report} does not hold: {answer.invariants}")
    for _ in chunks.encode(answer.rows):
        pass
    return int(answer.rows.num_rows)


def _by_hand(report: str, path: Path) -> int:
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": THREADS,
        "memory_limit": ENGINE_MEMORY,
        "temp_directory": str(path.parent / "spill-by-hand"),
    }
    with duckdb.connect(config=config) as connection:
        connection.execute("set timezone = 'UTC'")
        return int(connection.sql(queries_by_hand.of(report, path)).to_arrow_table().num_rows)


if __name__ == "__main__":
    main()
