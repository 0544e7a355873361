"""Procrastinate on PostgreSQL, as durable as we are: two of its workers, whose jobs are coroutines."""

from pathlib import Path

import procrastinate

from tests.benchmarks.peers import harness, processes, tally

QUEUE = "peer"
# Jobs that are enqueued in one statement.
BATCH = 500
# Jobs that one worker runs at the same time; fewer are slower, more are not faster.
CONCURRENCY = 10


def _database_url() -> str:
    return processes.settings_of(Path.cwd()).sqlalchemy_url.replace("postgresql+psycopg:", "postgresql:")


app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=_database_url()))


@app.task(name="nothing", queue=QUEUE)
async def nothing() -> None:
    tally.done()


def measure(folder: Path, jobs: int) -> float:
    """Jobs per second of two workers."""
    return harness.jobs_per_second(_peer(), folder, jobs)


def _peer() -> harness.Peer:
    command = harness.program("procrastinate", f"--app={__name__}.app")
    worker = (*command, "worker", "--concurrency", str(CONCURRENCY))
    return harness.Peer(
        servers=frozenset({"postgres"}),
        workers=(worker, worker),
        enqueue=harness.enqueue_with(__name__),
        prepare=(*command, "schema", "--apply"),
    )


def enqueue(jobs: int) -> None:
    with app.open():
        for begin in range(0, jobs, BATCH):
            nothing.batch_defer(*({} for _ in range(begin, min(begin + BATCH, jobs))))
