"""RQ on Redis: two of its ordinary workers, which fork for each job; and, beside them, two that do not."""

from pathlib import Path

import redis
import rq

from tests.benchmarks.peers import harness, processes, tally

QUEUE = "peer"
# Jobs that are enqueued in one pipeline.
BATCH = 500


def measure(folder: Path, jobs: int) -> float:
    """Jobs per second of the ordinary worker, a forked process per job."""
    return harness.jobs_per_second(_peer(folder, "rq.worker.Worker"), folder, jobs)


def measure_without_fork(folder: Path, jobs: int) -> float:
    """Jobs per second of the simple worker, all jobs in one process."""
    return harness.jobs_per_second(_peer(folder, "rq.worker.SimpleWorker"), folder, jobs)


def _peer(folder: Path, worker_class: str) -> harness.Peer:
    url = processes.settings_of(folder).redis_client_url
    options = ("--quiet", "--disable-job-desc-logging", "--worker-class", worker_class, "--url", url)
    worker = harness.program("rq", "worker", *options, QUEUE)
    return harness.Peer(servers=frozenset({"redis"}), workers=(worker, worker), enqueue=harness.enqueue_with(__name__))


def enqueue(jobs: int) -> None:
    with redis.Redis.from_url(processes.settings_of(Path.cwd()).redis_client_url) as connection:
        queue = rq.Queue(QUEUE, connection=connection)
        for begin in range(0, jobs, BATCH):
            # No result is kept, as with the other peers.
            batch = [rq.Queue.prepare_data(tally.done, result_ttl=0) for _ in range(begin, min(begin + BATCH, jobs))]
            queue.enqueue_many(batch)
