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
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from analytics.sample import files, options
from cli.stack import Stack
from tests.benchmarks.peers import harness, processes
from tests.client import Client

ROUNDS = 3
WARM_UP_REQUESTS = 300
LONGEST_SECONDS = 300.0
# The project's own processes, without those that would take the jobs away.
WEB_ONLY = "release: python -m models.migrate\nweb: gunicorn --config web/gunicorn.py 'web.app:create_app()'\n"
BODY = json.dumps({"type": "revenue_trend", "params": {}, "max_age": 0}).encode()


def measure(folder: Path, *, requests: int = 3_000) -> dict[str, float]:
    """Return requests accepted per second and latencies of both, medians of several rounds taken in turn, and the ratio."""
    runs: dict[str, list[dict[str, float]]] = {"reckoner": [], "bare_flask": []}
    with _reckoner(folder) as ours, _bare_flask(folder) as bare:
        for _ in range(ROUNDS):
            for name, (address, request) in {"reckoner": ours, "bare_flask": bare}.items():
                _load(folder, address, request, WARM_UP_REQUESTS)
                runs[name].append(_load(folder, address, request, requests))
    figures = {
        f"{name}_{figure}": statistics.median(run[figure] for run in of_name)
        for name, of_name in runs.items()
        for figure in of_name[0]
    }
    figures["ratio_to_bare_flask"] = figures["reckoner_per_second"] / figures["bare_flask_per_second"]
    return figures


@contextlib.contextmanager
def _reckoner(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Our web process over a small imported dataset: address and request."""
    home = folder / "reckoner"
    with Stack(home=home) as stack, Client.of_new_organisation(stack) as client:
        orders = files.write_csv("orders", options.SampleOptions(customers=1_000, seed=3), folder / "orders.csv")
        imported = client.import_("orders", orders)
        if imported["status"] != "succeeded":
            raise AssertionError(imported)
        key = client.key
    procfile = folder / "Procfile"
    procfile.write_text(WEB_ONLY)
    with Stack(home=home, arguments=("--procfile", str(procfile)), ready_path="/healthz") as stack:
        yield urlsplit(stack.web_url).netloc, _request(f"Authorization: Bearer {key}\r\n")


@contextlib.contextmanager
def _bare_flask(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The bare view over a Redis of its own: address and request."""
    home = folder / "bare"
    home.mkdir(mode=0o700)
    config = processes.PROJECT_FOLDER / "tests" / "benchmarks" / "peers" / "bare_gunicorn.py"
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        number = listening.fileno()
        command = harness.program("gunicorn", "--config", str(config), "--bind", f"fd://{number}")
        with (
            processes.serving(home, frozenset({"redis"})),
            processes.running(command, folder=home, log=home / "web.log", descriptors=(number,)),
        ):
            host, port = listening.getsockname()
            yield f"{host}:{port}", _request("")


def _request(headers: str) -> bytes:
    head = f"POST /v1/reports HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}"
    return f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY


def _load(folder: Path, address: str, request: bytes, requests: int) -> dict[str, float]:
    file = folder / "request"
    file.write_bytes(request)
    command = harness.python("-m", "tests.benchmarks.peers.load", address, str(requests), str(file))
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
