"""What a caller waits for on an idle stack: a small report from request to rows, a large one with its result stored."""

import statistics
import time
from datetime import datetime
from pathlib import Path

import psutil

from analytics.sample import files, options
from cli.stack import Stack
from tests.client import Client, Json

SMALL_RUNS = 200


def small_report(stack: Stack, folder: Path) -> dict[str, float]:
    """Return milliseconds from the request to the last byte of the result, of a report on 1,000 customers."""
    path = files.write_csv("orders", options.SampleOptions(customers=1_000, seed=3), folder / "small.csv.gz")
    with Client.of_new_organisation(stack) as client:
        client.import_("orders", path)
        waits = [_run_once(client) for _ in range(SMALL_RUNS)]
    ordered = sorted(waits[SMALL_RUNS // 20 :])
    return {
        "p50_milliseconds": 1000 * statistics.median(ordered),
        "p99_milliseconds": 1000 * ordered[int(0.99 * len(ordered))],
    }


def _run_once(client: Client) -> float:
    begun = time.perf_counter()
    body = {"type": "revenue_trend", "params": {}, "max_age": 0}
    answer = client.http.post("/v1/reports", json=body, headers={"Prefer": "wait=20"})
    job: Json = answer.raise_for_status().json()
    if job["status"] != "succeeded":
        raise AssertionError(job)
    client.result(job)
    return time.perf_counter() - begun


def large_rfm(stack: Stack, folder: Path, *, orders: int, customers: int) -> dict[str, float]:
    """Return the seconds a worker needs for `rfm`, from claim to the commit of the stored result, and how large it got."""
    wanted = options.SampleOptions.for_orders(orders, customers=customers, seed=3)
    path = files.write_csv("orders", wanted, folder / "large.csv")
    with Client.of_new_organisation(stack) as client:
        answer = client.http.post("/v1/imports", params={"dataset": "orders"}, content=path.open("rb"), timeout=600)
        imported = client.finish(answer.raise_for_status().json(), seconds=600)
        if imported["status"] != "succeeded":
            raise AssertionError(imported)
        jobs = [client.finish(client.submit("rfm", bins=bins), seconds=300) for bins in (3, 4, 5)]
    path.unlink()
    if any(job["status"] != "succeeded" for job in jobs):
        raise AssertionError(jobs)
    return {
        "orders": imported["rows"]["inserted"],
        "seconds_with_result_stored": min(_seconds(job) for job in jobs),
    }


def _seconds(job: Json) -> float:
    return (datetime.fromisoformat(job["finished_at"]) - datetime.fromisoformat(job["started_at"])).total_seconds()


def memory(stack: Stack) -> dict[str, float]:
    """Return the resident megabytes of each process of the stack, children counted one by one (shared pages in each)."""
    found: dict[str, float] = {}
    for name, pid in sorted(stack.pids.items()):
        process = psutil.Process(pid)
        found[name] = process.memory_info().rss / 1e6
        for number, child in enumerate(process.children(), start=1):
            if name not in {"postgres", "redis"}:
                found[f"{name} child {number}"] = child.memory_info().rss / 1e6
    return found
