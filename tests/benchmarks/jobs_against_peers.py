"""Jobs per second, end to end, of no-op jobs on two worker processes: ours against Celery, RQ, Dramatiq and Procrastinate.

`peers/harness.py` says how each of them is measured, all in the same way. Ours and Procrastinate commit every step of a job
durably; the queues on Redis may lose what they did within the last second before a power failure.
"""

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.benchmarks.peers import dramatiq_redis, plain_celery, procrastinate_postgres, reckoner, rq_redis

REPEATS = 3
PEERS: Mapping[str, Callable[[Path, int], float]] = {
    "reckoner": reckoner.measure,
    "celery_late_ack": plain_celery.measure,
    "celery_defaults": plain_celery.measure_defaults,
    "rq": rq_redis.measure,
    "rq_without_fork": rq_redis.measure_without_fork,
    "dramatiq": dramatiq_redis.measure,
    "dramatiq_8_threads": dramatiq_redis.measure_defaults,
    "procrastinate": procrastinate_postgres.measure,
}


def measure(folder: Path, *, jobs: int = 5_000, only: frozenset[str] = frozenset()) -> dict[str, float]:
    """Return the median jobs per second of each peer over several runs, taken in turn; `only` chooses some of them."""
    chosen = {name: run for name, run in PEERS.items() if not only or name in only}
    runs: dict[str, list[float]] = {name: [] for name in chosen}
    for repeat in range(REPEATS):
        for name, run in chosen.items():
            home = folder / f"{name}-{repeat}"
            runs[name].append(run(home, jobs))
            shutil.rmtree(home)
    return {f"{name}_jobs_per_second": statistics.median(rates) for name, rates in runs.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=5_000)
    parser.add_argument("--only", default="", help=f"some of {', '.join(PEERS)}")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reckoner-peers-") as name:
        for figure, value in measure(
            Path(name), jobs=asked.jobs, only=frozenset(filter(None, asked.only.split(",")))
        ).items():
            print(f"{figure}: {value:,.0f}")


if __name__ == "__main__":
    main()
