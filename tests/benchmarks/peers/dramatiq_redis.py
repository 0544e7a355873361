"""Dramatiq on Redis, which acknowledges after the work: two processes, with one thread each and with its default of eight."""

from pathlib import Path

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from tests.benchmarks.peers import harness, processes, tally

QUEUE = "peer"

broker = RedisBroker(url=processes.settings_of(Path.cwd()).redis_client_url)  # type: ignore[no-untyped-call]
nothing = dramatiq.actor(broker=broker, queue_name=QUEUE, actor_name="nothing")(tally.done)


def measure(folder: Path, jobs: int) -> float:
    """Jobs per second, one thread per process."""
    return harness.jobs_per_second(_peer("--threads", "1"), folder, jobs)


def measure_defaults(folder: Path, jobs: int) -> float:
    """Jobs per second, eight threads per process."""
    return harness.jobs_per_second(_peer(), folder, jobs)


def _peer(*options: str) -> harness.Peer:
    worker = harness.program("dramatiq", "--processes", "2", *options, f"{__name__}:broker")
    return harness.Peer(servers=frozenset({"redis"}), workers=(worker,), enqueue=harness.enqueue_with(__name__))


def enqueue(jobs: int) -> None:
    for _ in range(jobs):
        nothing.send()
