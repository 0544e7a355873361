"""What clients of a stack see while something is away: answers, their times, and what readiness says."""

from collections.abc import Iterable
from typing import Any

import httpx

from tests.chaos.harness.ledger import Ledger
from tests.chaos.harness.running import ChaosStack
from tests.client import Json, wait_for

ACCEPTED = "202"


def percentile(ordered: list[float], part: float) -> float:
    """Return the value below which this part of the ordered values lies."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def during(ledger: Ledger, spans: Iterable[tuple[float, float]]) -> list[float]:
    """Return the seconds of every request that was made within these spans, in order of size."""
    return sorted(each for since, until in spans for each in ledger.latencies(since=since, until=until))


def in_words(seconds: list[float]) -> str:
    """Return how long requests took: how many, their median, p99 and longest in milliseconds."""
    return (
        f"{len(seconds)} requests, median {percentile(seconds, 0.5) * 1000:.0f}, p99 {percentile(seconds, 0.99) * 1000:.0f}, "
        f"longest {seconds[-1] * 1000:.0f} ms"
    )


def assert_all_accepted(ledger: Ledger) -> None:
    """Fail where any request was answered otherwise than that the job is accepted, or not at all."""
    statuses = ledger.statuses()
    assert set(statuses) == {ACCEPTED}, statuses


def readiness(stack: ChaosStack) -> Json:
    """Return what `/readyz` says, whatever its status."""
    said: Any = httpx.get(f"{stack.web_url}/readyz", timeout=10, trust_env=False).json()
    return dict(said)


def reasons(stack: ChaosStack) -> set[str]:
    """Return the codes of why the stack is not ready."""
    return {reason["code"] for reason in readiness(stack)["reasons"]}


def wait_until_degraded(stack: ChaosStack, code: str, *, seconds: float) -> None:
    """Wait until readiness says that the stack accepts jobs, and is degraded for this reason."""
    wait_for(lambda: readiness(stack)["status"] == "degraded" and code in reasons(stack), seconds=seconds, pause=0.25)
