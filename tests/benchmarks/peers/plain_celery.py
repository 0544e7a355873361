"""Plain Celery on Redis, in two shapes: the careful one, and the fastest that its defaults allow.

Neither keeps results or sends events. Prefork, as in production.
"""

from pathlib import Path

from celery import Celery

from tests.benchmarks.peers import harness, processes, tally

QUEUE = "peer"


def _app(**options: object) -> Celery:
    app = Celery("peer", broker=processes.settings_of(Path.cwd()).broker_url, set_as_current=False)
    app.conf.update(task_ignore_result=True, task_default_queue=QUEUE, **options)
    app.task(tally.done, name="peer.nothing")
    return app


# Acknowledged after the work, one message in the hand of each process: what loses least.
careful = _app(task_acks_late=True, worker_prefetch_multiplier=1)
# Acknowledged before the work, four messages each: the defaults.
defaults = _app()


def _peer(app: str) -> harness.Peer:
    options = ("--concurrency=2", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING")
    return harness.Peer(
        servers=frozenset({"redis"}),
        workers=(harness.program("celery", "-A", f"{__name__}:{app}", "worker", *options),),
        enqueue=harness.enqueue_with(__name__),
    )


def measure(folder: Path, jobs: int) -> float:
    """Jobs per second, acknowledged late, prefetch 1."""
    return harness.jobs_per_second(_peer("careful"), folder, jobs)


def measure_defaults(folder: Path, jobs: int) -> float:
    """Jobs per second, acknowledged early, prefetch 4."""
    return harness.jobs_per_second(_peer("defaults"), folder, jobs)


def enqueue(jobs: int) -> None:
    # Both shapes read the same queue. One producer for all messages is what a loop in a request would not have.
    with careful.producer_pool.acquire(block=True) as producer:
        for _ in range(jobs):
            careful.send_task("peer.nothing", producer=producer)
