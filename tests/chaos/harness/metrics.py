"""What `/metrics` says, beside what SQL says."""

from collections import Counter

import httpx
from prometheus_client import parser

from tests.chaos.harness.running import ChaosStack

STATES = ("reckoner_jobs", "reckoner_jobs_finished_total")
RESCUES = "reckoner_rescues_total"


def differences(stack: ChaosStack) -> tuple[str, ...]:
    """Return every count in `/metrics` that is not SQL's. Asked while nothing is accepted or finished."""
    answer = httpx.get(f"{stack.web_url}/metrics", timeout=10, trust_env=False)
    if answer.status_code != 200:
        return (f"/metrics answers {answer.status_code}",)
    said: Counter[tuple[str, ...]] = Counter()
    for family in parser.text_string_to_metric_families(answer.text):
        for sample in family.samples:
            if sample.name in STATES:
                said["jobs", sample.labels["kind"], sample.labels["queue"], sample.labels["status"]] += int(
                    sample.value
                )
            elif sample.name == RESCUES:
                said["rescues", sample.labels["reason"]] += int(sample.value)
    true = _true(stack)
    return tuple(
        f"{'/'.join(name)}: {said[name]} instead of {true[name]}"
        for name in sorted({*said, *true})
        if said[name] != true[name]
    )


def _true(stack: ChaosStack) -> Counter[tuple[str, ...]]:
    jobs = "SELECT kind, queue, status, count(*) FROM jobs GROUP BY 1, 2, 3"
    rescues = "SELECT reason, count(*) FROM job_events WHERE reason IN ('worker-lost', 'lease-expired') GROUP BY 1"
    counted: Counter[tuple[str, ...]] = Counter()
    for kind, queue, status, count in stack.rows(jobs):
        counted["jobs", kind, queue, status] += count
    for reason, count in stack.rows(rescues):
        counted["rescues", reason] += count
    return counted
