"""Our own engine, with one worker of two children: each job is claimed, finished and logged in durable transactions.

As in the other peers nobody watches: events for Flower are off. Everything else is as shipped; the jobs are one organisation's,
so that all but its share of them wait in PostgreSQL and are let in as others finish.
"""

from pathlib import Path

from models import organisations, session, transitions
from tests.benchmarks.peers import harness, tally
from workers import publisher
from workers.celery import app as application
from workers.running_job import RunningJob
from workers.runtime import JobTask

QUEUE = "reports"
# Jobs that are accepted in one transaction.
BATCH = 500


def nothing(job: RunningJob) -> None:
    with job.finish():
        pass
    tally.done()


application.conf.worker_send_task_events = False
application.conf.task_send_sent_event = False
application.task(name="probes.run", base=JobTask)(nothing)


def measure(folder: Path, jobs: int) -> float:
    """Jobs per second."""
    return harness.jobs_per_second(_peer(folder), folder, jobs)


def _peer(folder: Path) -> harness.Peer:
    options = ("--concurrency=2", "--without-gossip", "--without-mingle", "-Q", QUEUE)
    return harness.Peer(
        servers=frozenset({"redis", "postgres"}),
        workers=(harness.program("celery", "-A", f"{__name__}:application", "worker", *options),),
        enqueue=harness.enqueue_with(__name__),
        prepare=harness.python("-m", "tests.chaos.stack.release"),
        environment={"RECKONER_HOME": str(folder), "LOG_LEVEL": "WARNING"},
    )


def enqueue(jobs: int) -> None:
    with session.transaction() as db:
        organisation_id = organisations.ensure(db, "peer").id
    new = transitions.NewJob(organisation_id=organisation_id, kind="probe", type="noop", params={}, queue=QUEUE)
    for begin in range(0, jobs, BATCH):
        with session.transaction() as db:
            for _ in range(begin, min(begin + BATCH, jobs)):
                transitions.accept(db, new)
    publisher.publish([publisher.Lane(organisation_id, QUEUE)])
