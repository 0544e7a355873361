"""Requests accepted per second: `POST /v1/reports` against a bare Flask view that calls `.delay()`.

Both are served by gunicorn with the same numbers, both are loaded by the same client on 16 open connections, in turn, and
behind neither does a worker run, so that nothing but accepting is measured. Ours checks a key, reads the catalogue, and
commits the job to PostgreSQL before it answers; `.delay()` appends to a Redis that flushes once a second.
"""

import argparse
import contextlib
import json
import socket
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from analytics.sample import files, options
from cli.stack import Stack
from tests.benchmarks.peers import harness, processes
from tests.client import Client

ROUNDS = 3
WARM_UP_REQUESTS = 300
LONGEST_SECONDS = 300.0
# One organisation asks for all.
UNLIMITED = {"REQUESTS_PER_MINUTE": "10000000", "MAX_UNFINISHED": "10000000"}
# The project's own processes, without those that would take the jobs away.
WEB_ONLY = "release: python -m models.migrate\nweb: gunicorn --config web/gunicorn.py 'web.app:create_app()'\n"
BODY = json.dumps({"type": "revenue_trend", "params": {}, "max_age": 0}).encode()


def measure(folder: Path, *, requests: int = 3_000) -> dict[str, float]:
    """Return requests accepted per second and latencies of both, medians of several rounds taken in turn, and the ratio."""
    runs: dict[str, list[dict[str, float]]] = {"reckoner": [], "bare_flask": []}
    with web_alone(folder) as (stack, key), bare_flask(folder) as (bare, _):
        ours = urlsplit(stack.web_url).netloc, _request(f"Authorization: Bearer {key}\r\n")
        for _ in range(ROUNDS):
            for name, (address, request) in {"reckoner": ours, "bare_flask": (bare, _request(""))}.items():
                load(folder, address, request, WARM_UP_REQUESTS)
                runs[name].append(load(folder, address, request, requests))
    figures = {
        f"{name}_{figure}": statistics.median(run[figure] for run in of_name)
        for name, of_name in runs.items()
        for figure in of_name[0]
    }
    figures["ratio_to_bare_flask"] = figures["reckoner_per_second"] / figures["bare_flask_per_second"]
    return figures


@contextlib.contextmanager
def web_alone(folder: Path) -> Iterator[tuple[Stack, str]]:
    """Our web process over a small imported dataset, without workers, and a key for it."""
    home = folder / "reckoner"
    with Stack(home=home) as stack, Client.of_new_organisation(stack) as client:
        orders = files.write_csv("orders", options.SampleOptions(customers=1_000, seed=3), folder / "orders.csv")
        imported = client.import_("orders", orders)
        if imported["status"] != "succeeded":
            raise AssertionError(imported)
        key = client.key
    procfile = folder / "Procfile"
    procfile.write_text(WEB_ONLY)
    arguments = ("--procfile", str(procfile))
    with Stack(home=home, arguments=arguments, ready_path="/healthz", environment=UNLIMITED) as stack:
        yield stack, key


@contextlib.contextmanager
def bare_flask(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The bare views over a Redis of their own: address and process."""
    home = folder / "bare"
    home.mkdir(mode=0o700)
    config = processes.PROJECT_FOLDER / "tests" / "benchmarks" / "peers" / "bare_gunicorn.py"
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        number = listening.fileno()
        command = harness.program("gunicorn", "--config", str(config), "--bind", f"fd://{number}")
        with (
            processes.serving(home, frozenset({"redis"})),
            processes.running(command, folder=home, log=home / "web.log", descriptors=(number,)) as process,
        ):
            host, port = listening.getsockname()
            processes.wait_until(lambda: _answers(host, port), what="the bare view answers", seconds=LONGEST_SECONDS)
            yield f"{host}:{port}", process


def _request(headers: str) -> bytes:
    head = f"POST /v1/reports HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}"
    return f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY


def _answers(host: str, port: int) -> bool:
    return httpx.get(f"http://{host}:{port}/", timeout=LONGEST_SECONDS, trust_env=False).status_code == 404


def load(folder: Path, address: str, request: bytes, requests: int, *, status: int = 202) -> dict[str, float]:
    """Send a request so often, each time to be answered with this status; return how that went."""
    file = folder / "request"
    file.write_bytes(request)
    command = harness.python("-m", "tests.benchmarks.peers.load", address, str(requests), str(file), str(status))
    figures: dict[str, float] = json.loads(processes.run(command, folder=folder, seconds=LONGEST_SECONDS))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=3_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reckoner-accepts-") as name:
        for figure, value in measure(Path(name), requests=asked.requests).items():
            print(f"{figure}: {value:,.3g}" if value < 1000 else f"{figure}: {value:,.0f}")


if __name__ == "__main__":
    main()
