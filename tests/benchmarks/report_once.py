"""Runs one report, or what a specialist would write for it, in a process of its own; prints seconds and memory.

The best of three runs: a worker's process has computed before, and so has the process here after the first, its memory its own
already. Seconds of the processor count all threads, and say the same on a machine that is busy with other work.
"""

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
from tests.benchmarks import programs_in_pandas, queries_by_hand

RUNS = 3
THREADS = 2
ENGINE_MEMORY = "1200MB"
ZONE = "Europe/London"


def main() -> None:
    way, report, dataset, path = sys.argv[1:]
    ways = {"ours": _ours, "by_hand": _by_hand, "in_pandas": _in_pandas}
    runs = [ways[way](report, dataset, Path(path)) for _ in range(RUNS)]
    found = {name: min(run[name] for run in runs) for name in runs[0]}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({**found, "peak_bytes": peak}))


def _ours(report: str, dataset: str, path: Path) -> dict[str, float]:
    """Compute; then encode into a file, as a worker does before it commits."""
    kind = registry.REPORT_TYPES[report]
    spill = path.parent / "spill"
    # As a worker does when it starts; a connection of the query by hand is open before its clock runs, too.
    engine.warm_up(memory_limit=ENGINE_MEMORY, threads=THREADS, spill_folder=spill)
    begun, used = time.perf_counter(), time.process_time()
    params = kind.parse_params(queries_by_hand.PARAMS.get(report, {}), timezone=ZONE, currency="GBP")
    with engine.open_tables(
        [engine.Snapshot(dataset, 0, (str(path),), 0)],
        memory_limit=ENGINE_MEMORY,
        threads=THREADS,
        spill_folder=spill,
    ) as tables:
        answer = computing.COMPUTE[report](tables, params)
    computed, used = time.perf_counter() - begun, time.process_time() - used
    if not all(invariant.holds for invariant in answer.invariants):
        raise AssertionError(f"an invariant of {report} does not hold: {answer.invariants}")
    with path.with_name("answer").open("wb") as target:
        for chunk in chunks.encode(answer.rows):
            target.write(chunk.data)
    stored = time.perf_counter() - begun
    return {"seconds": computed, "processor": used, "seconds_stored": stored, "rows": answer.rows.num_rows}


def _by_hand(report: str, dataset: str, path: Path) -> dict[str, float]:
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": THREADS,
        "memory_limit": ENGINE_MEMORY,
        "temp_directory": str(path.parent / "spill-by-hand"),
    }
    with duckdb.connect(config=config) as connection:
        connection.execute("set timezone = 'UTC'")
        begun, used = time.perf_counter(), time.process_time()
        rows = connection.sql(queries_by_hand.of(report, path)).to_arrow_table().num_rows
        found = {"seconds": time.perf_counter() - begun, "processor": time.process_time() - used}
    return {**found, "rows": rows}


def _in_pandas(report: str, dataset: str, path: Path) -> dict[str, float]:
    begun = time.perf_counter()
    rows = len(programs_in_pandas.PROGRAMS[report](path))
    return {"seconds": time.perf_counter() - begun, "rows": rows}


if __name__ == "__main__":
    main()
