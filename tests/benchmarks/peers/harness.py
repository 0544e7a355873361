"""Measures every queue in one and the same way, from outside.

Two worker processes are started and do a few jobs to warm up; then they are frozen (SIGSTOP) while all jobs are enqueued;
the clock runs from their thaw (SIGCONT) until the last job has noted its end. The servers are the stack's own, with its
settings: Redis with `appendfsync everysec`, PostgreSQL with `fsync` and `synchronous_commit` on.
"""

import contextlib
import dataclasses
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.peers import processes, tally

WARM_UP_JOBS = 40
LONGEST_SECONDS = 120.0
# What a worker does after its last job, such as acknowledging it, is over by then.
SETTLE_SECONDS = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Peer:
    """How one queue is set up. Everything works in the folder of the measurement; jobs end by calling `tally.done`."""

    servers: frozenset[str]
    """`redis`, `postgres` or both."""
    workers: tuple[tuple[str, ...], ...]
    """Commands that stay; together they have two processes that work."""
    enqueue: tuple[str, ...]
    """Command that enqueues as many jobs as its last argument, which is added, says."""
    prepare: tuple[str, ...] | None = None
    """Command that runs once, before the workers start."""
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)


def python(*arguments: str) -> tuple[str, ...]:
    """A command of the Python, and of the virtual environment, that runs us."""
    return (sys.executable, *arguments)


def program(name: str, *arguments: str) -> tuple[str, ...]:
    """A command that an installed package brought."""
    return (str(Path(sys.executable).parent / name), *arguments)


def enqueue_with(module: str) -> tuple[str, ...]:
    """The command that calls the function `enqueue` of a peer's module."""
    return python("-m", "tests.benchmarks.peers.enqueue", module)


def jobs_per_second(peer: Peer, folder: Path, jobs: int) -> float:
    """Measure in a new folder; nothing is left running.

    Raises:
        AssertionError: a job was lost or done twice, or it took longer than it may.
    """
    folder.mkdir(mode=0o700, parents=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(processes.serving(folder, peer.servers))
        if peer.prepare is not None:
            processes.run(peer.prepare, folder=folder, environment=peer.environment)
        workers = [
            stack.enter_context(
                processes.running(
                    argv, folder=folder, log=folder / f"worker-{number}.log", environment=peer.environment
                )
            )
            for number, argv in enumerate(peer.workers)
        ]
        _enqueue(peer, folder, WARM_UP_JOBS)
        _wait_for(folder, WARM_UP_JOBS)
        time.sleep(SETTLE_SECONDS)
        for worker in workers:
            processes.signal_family(worker, signal.SIGSTOP)
        _enqueue(peer, folder, jobs)
        begun = time.monotonic()
        for worker in workers:
            processes.signal_family(worker, signal.SIGCONT)
        _wait_for(folder, WARM_UP_JOBS + jobs)
        time.sleep(SETTLE_SECONDS)
        if tally.count(folder) != WARM_UP_JOBS + jobs:
            raise AssertionError(f"{tally.count(folder) - WARM_UP_JOBS} ends of {jobs} jobs")
    return jobs / (tally.last(folder) - begun)


def _enqueue(peer: Peer, folder: Path, jobs: int) -> None:
    processes.run((*peer.enqueue, str(jobs)), folder=folder, environment=peer.environment)


def _wait_for(folder: Path, jobs: int) -> None:
    try:
        processes.wait_until(lambda: tally.count(folder) >= jobs, what=f"{jobs} jobs are done", seconds=LONGEST_SECONDS)
    except processes.TooSlowError as error:
        logs = "".join(path.read_text(errors="replace")[-2000:] for path in sorted(folder.glob("worker-*.log")))
        raise processes.TooSlowError(f"{error}; {tally.count(folder)} were\n{logs}") from None
