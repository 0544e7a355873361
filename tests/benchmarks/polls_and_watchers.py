"""`GET /v1/reports/{id}`, against a bare Flask view that looks nothing up; and the same while 200 others follow or wait for jobs.

Both are served by gunicorn with the same numbers and loaded by the same client on 16 open connections, as fast as they answer.
Half of the 200 read streams of events, half wait with `?wait=30`, each for a job of its own; at first nothing happens to
those jobs, then each of them reports progress once a second.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from cli.stack import Stack
from tests import client
from tests.benchmarks import accepts_against_delay
from tests.benchmarks.peers import harness, processes

WATCHERS = 200
ROUNDS = 3
WARM_UP_REQUESTS = 300
LONGEST_SECONDS = 300.0


@dataclass(frozen=True)
class Target:
    """A server, its process, and the request it is loaded with."""

    address: str
    worker: psutil.Process
    request: bytes


def measure(folder: Path, *, requests: int = 3_000) -> dict[str, float]:
    """Return polls per second and their latencies, of both; of ours also with watchers; and what watchers cost in memory."""
    runs: dict[str, list[dict[str, float]]] = {
        name: [] for name in ("bare flask", "alone", "with watchers", "with active watchers")
    }
    with _ours(folder) as (stack, ours, key), _bare(folder) as bare:
        paths = _submit(stack, key, WATCHERS)
        for _ in range(ROUNDS):
            runs["bare flask"].append(_load(folder, bare, requests))
            runs["alone"].append(_load(folder, ours, requests))
        memory = {"megabytes alone": _private_megabytes(ours)}
        with _watchers(folder, ours, key, paths):
            memory["megabytes with watchers"] = _private_megabytes(ours)
            runs["with watchers"] = [_load(folder, ours, requests) for _ in range(ROUNDS)]
            with _progress(stack):
                runs["with active watchers"] = [_load(folder, ours, requests) for _ in range(ROUNDS)]
    figures = {
        f"{name} {figure}": statistics.median(run[figure] for run in of_name)
        for name, of_name in runs.items()
        for figure in of_name[0]
    }
    p99 = "p99_milliseconds"
    return figures | {
        "polls to bare Flask's": figures["alone per_second"] / figures["bare flask per_second"],
        "p99 with watchers to alone": figures[f"with watchers {p99}"] / figures[f"alone {p99}"],
        "p99 with active watchers to alone": figures[f"with active watchers {p99}"] / figures[f"alone {p99}"],
        **memory,
    }


@contextlib.contextmanager
def _ours(folder: Path) -> Iterator[tuple[Stack, Target, str]]:
    with accepts_against_delay.web_alone(folder) as (stack, key):
        path = _submit(stack, key, 1)[0]
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
        yield stack, Target(urlsplit(stack.web_url).netloc, _worker_of(stack.pids["web"]), request), key


@contextlib.contextmanager
def _bare(folder: Path) -> Iterator[Target]:
    with accepts_against_delay.bare_flask(folder) as (address, process):
        request = b"GET /v1/reports/0198c2f0-7a1e-7c55-9d2b-3f6c1d0a4e21 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        yield Target(address, _worker_of(process.pid), request)


def _worker_of(pid: int) -> psutil.Process:
    return psutil.Process(pid).children()[0]


def _submit(stack: Stack, key: str, jobs: int) -> list[str]:
    """Make jobs that stay queued, because nobody works; return where they are."""
    with client.Client(stack, key) as program:
        return [program.submit("revenue_trend")["links"]["self"] for _ in range(jobs)]


def _load(folder: Path, target: Target, requests: int) -> dict[str, float]:
    accepts_against_delay.load(folder, target.address, target.request, WARM_UP_REQUESTS, status=200)
    before = _processor_seconds(target)
    figures = accepts_against_delay.load(folder, target.address, target.request, requests, status=200)
    # On a machine that others use as well, this says more than the clock.
    return figures | {"processor_milliseconds": 1000 * (_processor_seconds(target) - before) / requests}


def _processor_seconds(target: Target) -> float:
    times = target.worker.cpu_times()
    return float(times.user + times.system)


@contextlib.contextmanager
def _watchers(folder: Path, target: Target, key: str, paths: list[str]) -> Iterator[None]:
    """Have the jobs watched, until all who watch are being served and for as long as the block lasts."""
    file = folder / "watched"
    file.write_text("\n".join(paths))
    command = harness.python("-m", "tests.benchmarks.peers.watch", target.address, key, str(file))
    watching = subprocess.Popen(
        command, cwd=processes.PROJECT_FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert watching.stdin is not None
    assert watching.stdout is not None
    try:
        watching.stdout.readline()
        processes.wait_until(
            lambda: target.worker.num_threads() >= len(paths), what="everybody is served", seconds=LONGEST_SECONDS
        )
        yield
    finally:
        watching.stdin.close()
        watching.wait(LONGEST_SECONDS)


@contextlib.contextmanager
def _progress(stack: Stack) -> Iterator[None]:
    """Have something happen to every job once a second."""
    done = threading.Event()

    def report() -> None:
        with client.database(stack) as db:
            number = 0
            while not done.wait(1.0):
                number += 1
                db.execute("UPDATE jobs SET progress = %s", [json.dumps({"phase": "compute", "done": number})])

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _private_megabytes(target: Target) -> float:
    """Return the memory that nobody else uses, of the process that answers."""
    return float(target.worker.memory_full_info().uss) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=3_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reckoner-polls-") as name:
        for figure, value in measure(Path(name), requests=asked.requests).items():
            print(f"{figure}: {value:,.3g}" if value < 1000 else f"{figure}: {value:,.0f}")


if __name__ == "__main__":
    main()
